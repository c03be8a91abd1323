"""Batched text generation with a key-value cache: what prompts begin with in common is read once, shorter ones are
padded behind it, and finished rows leave the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


#: What a token that is written costs, counted in tokens that are read; what a step costs beside its rows, in rows.
TOKENS_TO_WRITE = 2
_STEP_ROWS = 14
_SHORTEST_SHARED = 8  # tokens; a pass of its own for fewer of them saves nothing
_LIKELIEST = 1024  # tokens, sorted first: sorting the whole vocabulary takes as long as several layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to choose the next token. ``temperature`` 0 is greedy; ``seed`` makes sampling repeatable."""

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    stop_tokens: Sequence[int],
    pad_token: int,
    batch_size: int = 16,
    between: Callable[[], None] | None = None,
) -> list[list[int]]:
    """Return the new tokens for each prompt, without the stop token, in the given order.

    ``between`` is called between two forward passes, so that a caller can pause or raise.
    Prompts are batched by length; with greedy choice an answer does not depend on its neighbours but
    for rounding.
    """
    import torch

    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    if sampling.max_tokens < 1:
        return answers
    generator = torch.Generator(device="cpu").manual_seed(sampling.seed)
    with torch.inference_mode():
        for batch in _batches([len(prompts[i]) for i in order], batch_size, sampling.max_tokens):
            rows = [order[place] for place in batch]
            _generate_batch(
                model, prompts, rows, answers, sampling, set(stop_tokens), pad_token, generator, between
            )
    return answers


def _batches(widths: Sequence[int], most: int, max_tokens: int) -> list[range]:
    """Cut rows of ascending ``widths`` into batches of at most ``most`` that cost least in all: every row is filled
    up to the widest of its batch, and every batch takes steps of its own."""
    each = TOKENS_TO_WRITE * max_tokens
    cost, start_of = [0.0], [0]
    for stop in range(1, len(widths) + 1):
        total, start = min(
            (cost[k] + _STEP_ROWS * each + (stop - k) * (widths[stop - 1] + each), k)
            for k in range(max(0, stop - most), stop)
        )
        cost.append(total)
        start_of.append(start)
    found, stop = [], len(widths)
    while stop:
        found.append(range(start_of[stop], stop))
        stop = start_of[stop]
    return found[::-1]


def _generate_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: list[int],
    answers: list[list[int]],
    sampling: Sampling,
    stops: set[int],
    pad_token: int,
    generator: torch.Generator,
    between: Callable[[], None] | None,
) -> None:
    import torch

    from allie_desktop.models.roomy_cache import roomy_cache

    device = next(model.parameters()).device
    width = max(len(prompts[i]) for i in rows)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    room = width + sampling.max_tokens
    cache = roomy_cache(room)
    sight = getattr(decoder.config, "sliding_window", None) or room
    shared = _shared([prompts[i] for i in rows], sees_all=room <= sight)
    if shared:
        if between is not None:
            between()
        opening = torch.tensor([list(prompts[rows[0]][:shared])], device=device)
        decoder(input_ids=opening, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(rows))
    tokens = torch.full((len(rows), width - shared), pad_token, dtype=torch.long)
    mask = torch.ones((len(rows), width), dtype=torch.long)
    for r, i in enumerate(rows):
        rest = prompts[i][shared:]
        tokens[r, width - shared - len(rest) :] = torch.tensor(list(rest), dtype=torch.long)
        mask[r, shared : width - len(rest)] = 0
    tokens, mask = tokens.to(device), mask.to(device)
    positions = (mask.cumsum(-1) - 1).clamp_(min=0)[:, shared:]
    live = list(rows)
    for _ in range(sampling.max_tokens):
        if between is not None:
            between()
        output = decoder(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        # two dimensions, not three: a batched product would copy the whole head for each row
        logits = head(output.last_hidden_state[:, -1])
        chosen = _choose(logits.float().cpu(), sampling, generator)
        keep = []
        for r, token in enumerate(chosen):
            if token not in stops:
                answers[live[r]].append(token)
                keep.append(r)
        if not keep:
            return
        if len(keep) < len(live):
            index = torch.tensor(keep, device=device)
            cache.batch_select_indices(index)
            mask, positions = mask[index], positions[index]
            live = [live[r] for r in keep]
        tokens = torch.tensor([[chosen[r]] for r in keep], device=device)
        mask = torch.cat([mask, mask.new_ones((len(keep), 1))], dim=1)
        positions = positions[:, -1:] + 1


def _choose(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> list[int]:
    """Return one token a row. ``logits``: [rows, vocabulary], float32 on the CPU."""
    import torch

    if sampling.temperature <= 0:
        greedy: list[int] = logits.argmax(-1).tolist()
        return greedy
    probabilities, tokens = torch.softmax(logits / sampling.temperature, -1), None
    if sampling.top_p < 1:
        likeliest, tokens = probabilities.topk(min(_LIKELIEST, probabilities.shape[-1]))
        if bool((likeliest.sum(-1) < sampling.top_p).any()):
            likeliest, tokens = probabilities.sort(-1, descending=True)
        outside = likeliest.cumsum(-1) - likeliest > sampling.top_p
        probabilities = likeliest.masked_fill(outside, 0.0)
    place = torch.multinomial(probabilities, 1, generator=generator)
    drawn: list[int] = (place if tokens is None else tokens.gather(-1, place)).squeeze(-1).tolist()
    return drawn


def _shared(prompts: Sequence[Sequence[int]], *, sees_all: bool) -> int:
    """Return with how many tokens all prompts begin that are worth a pass of their own; each keeps one at least.

    None where a model does not see all of a row: what pads a shorter prompt behind the opening would stand between
    the two.
    """
    lengths = set(map(len, prompts))
    if len(prompts) < 2 or not (sees_all or len(lengths) == 1):
        return 0
    # In order, what the first and the last have in common all have.
    count = min(min(lengths) - 1, in_common(min(map(tuple, prompts)), max(map(tuple, prompts))))
    return count if count >= _SHORTEST_SHARED else 0


def in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return with how many tokens both begin."""
    shortest = min(len(one), len(other))
    return next((i for i in range(shortest) if one[i] != other[i]), shortest)
