"""Measuring: the same items under base, active and candidate. It measures; the gate judges elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from allie_desktop.domain.planning import Example, Plan
from allie_desktop.domain.validation import Measurements
from allie_desktop.learning.answers import (
    ARMS,
    Question,
    answer_measures,
    is_as_asked,
    leaks_of,
    paired,
    questions_of,
    samples_of,
)
from allie_desktop.learning.batches import Pass, passes
from allie_desktop.learning.belonging import Belonging
from allie_desktop.learning.chat_format import ChatFormat, Encoded
from allie_desktop.learning.exposure import Exposure
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.leanings import UNITS, Leanings
from allie_desktop.learning.losses import hidden_states, token_kl, token_losses
from allie_desktop.learning.memory import SMALLEST_PASS, until_it_fits
from allie_desktop.learning.writing import Writer
from allie_desktop.models.generation import Sampling

if TYPE_CHECKING:
    import torch

    from allie_desktop.domain.ports import Redactor, ToxicityScorer
    from allie_desktop.learning.adapter import Adapter
    from allie_desktop.safety.probes import Probes

_T = TypeVar("_T")

_HIGHER_IS_BETTER = frozenset({"caution", "kindness", "belonging", "belonging_new"})

_ANSWER_TOKENS = 48
_PROMPTS_AT_ONCE = 32
#: Tokens of one pass where several run side by side.
_LANE_PASS = 512
# Pairs of requests that are answered, and whose refusal is only weighed; pairs of sentences, of replies. Other ones
# for each seed: all of them would make validating a third longer on two cores.
_REQUESTS_ASKED, _REQUESTS_WEIGHED, _SENTENCES, _REPLIES = 6, 8, 40, 12


class Evaluator:
    """Losses, divergences and answers of whatever adapter state is in the model at the time."""

    def __init__(
        self,
        adapter: Adapter,
        chat: ChatFormat,
        *,
        tokens_per_pass: int,
        between: Callable[[], None],
        halved: Callable[[int], None] = lambda _: None,
        lanes: Lanes | None = None,
    ) -> None:
        """``between`` is called before each pass, in the thread of its lane, and may raise; ``halved`` is told
        of smaller passes when memory ran out."""
        self._lanes = lanes or Lanes()
        self._adapter, self._chat = adapter, chat
        self._tokens_per_pass, self._between, self._halved = tokens_per_pass, between, halved
        self._writer = Writer(adapter.model, chat, _PROMPTS_AT_ONCE, self._lanes, between)
        self._pad = chat.tokenizer.pad_token_id
        self._head = adapter.model.get_output_embeddings()
        self._device = next(adapter.model.parameters()).device

    def hidden(self, sequences: Sequence[Encoded]) -> list[torch.Tensor]:
        """Return the last hidden states [n, d] (on the CPU) at each sequence's predicting places."""
        return self._until_it_fits(lambda size: self._hidden(sequences, size))

    def _hidden(self, sequences: Sequence[Encoded], tokens_per_pass: int) -> list[torch.Tensor]:
        import torch

        def one(batch: Pass) -> tuple[list[int], list[torch.Tensor]]:
            owners, counts = torch.unique_consecutive(batch.owners, return_counts=True)
            with torch.no_grad():  # not inference mode: training uses what comes back
                states = hidden_states(self._adapter.model, batch).cpu().split(counts.tolist())
            return owners.tolist(), [part.clone() for part in states]

        found: list[torch.Tensor] = [torch.empty(0)] * len(sequences)
        for owners, parts in self._passes(one, sequences, tokens_per_pass):
            for owner, part in zip(owners, parts, strict=True):
                found[owner] = part
        return found

    def losses(self, sequences: Sequence[Encoded]) -> list[float]:
        """Return the weighted mean negative log-likelihood (nats/token) of each sequence."""
        return self._until_it_fits(lambda size: self._losses(sequences, size))

    def _losses(self, sequences: Sequence[Encoded], tokens_per_pass: int) -> list[float]:
        import torch

        def one(batch: Pass) -> torch.Tensor:
            with torch.inference_mode():
                hidden = hidden_states(self._adapter.model, batch)
                nll = token_losses(self._head, hidden, batch.targets.to(self._device)).cpu()
                sums = torch.zeros(2, len(sequences))
                sums[0].index_add_(0, batch.owners, nll * batch.weights)
                sums[1].index_add_(0, batch.owners, batch.weights)
            return sums

        with torch.inference_mode():
            sums = torch.zeros(2, len(sequences))
            for found in self._passes(one, sequences, tokens_per_pass):
                sums += found
            means: list[float] = (sums[0] / sums[1].clamp(min=1e-9)).tolist()
        return means

    def _passes(
        self,
        work: Callable[[Pass], _T],
        sequences: Sequence[Encoded],
        tokens_per_pass: int,
    ) -> list[_T]:
        """Return what ``work`` makes of each pass, in their order; several are worked on side by side."""
        size = self._lanes.pass_tokens(tokens_per_pass, _LANE_PASS)
        batches = passes(sequences, size, self._pad)
        parts = self._lanes.share([batch.real for batch in batches])

        def lane(part: list[int]) -> list[_T]:
            found = []
            for index in part:
                self._between()
                found.append(work(batches[index]))
            return found

        made: dict[int, _T] = {}
        for part, found in zip(parts, self._lanes.each(lane, parts), strict=True):
            made.update(zip(part, found, strict=True))
        return [made[index] for index in range(len(batches))]

    def _until_it_fits(self, work: Callable[[int], _T]) -> _T:
        """Return what ``work`` returns with as many tokens a pass as memory allows, and remember how many."""
        found, size = until_it_fits(work, self._tokens_per_pass, SMALLEST_PASS)
        if size != self._tokens_per_pass:
            self._tokens_per_pass = size
            self._halved(size)
        return found

    def divergences(self, current: Sequence[torch.Tensor], base: Sequence[torch.Tensor]) -> list[float]:
        """Return the mean KL(base ‖ current) in nats/token of each sequence, given what :meth:`hidden` returned
        for both."""
        import torch

        with torch.inference_mode():
            return [
                float(token_kl(self._head, h.to(self._device), b.to(self._device)).mean()) if len(b) else 0.0
                for h, b in zip(current, base, strict=True)
            ]

    def losses_of(self, sequences: Sequence[Encoded], current: Sequence[torch.Tensor]) -> list[float]:
        """Return what :meth:`losses` returns, from the hidden states that :meth:`hidden` returned."""
        import torch

        found = []
        with torch.inference_mode():
            for sequence, hidden in zip(sequences, current, strict=True):
                places = [i for i in range(1, len(sequence)) if sequence.weights[i] > 0]
                if not places:
                    found.append(0.0)
                    continue
                targets = torch.tensor([sequence.tokens[i] for i in places], device=self._device)
                weights = torch.tensor([sequence.weights[i] for i in places])
                nll = token_losses(self._head, hidden.to(self._device), targets).cpu()
                found.append(float((nll * weights).sum() / weights.sum().clamp(min=1e-9)))
        return found

    def answers(self, questions: Sequence[Question], *, max_tokens: int = _ANSWER_TOKENS) -> list[str]:
        """Return greedy answers."""
        prompts = [self._chat.prompt(q.messages) for q in questions]
        written = self._writer.write(prompts, Sampling(max_tokens=max_tokens))
        return [self._chat.tokenizer.decode(a, skip_special_tokens=True).strip() for a in written]


def encode_all(
    chat: ChatFormat, examples: Sequence[Example], maximum_length: int
) -> list[tuple[Example, Encoded]]:
    """Encode what the model's template can render; the rest is left out."""
    encoded = []
    for example in examples:
        sequence = chat.learnable(example.messages, maximum_length)
        if sequence is not None:
            encoded.append((example, sequence))
    return encoded


def measure(
    evaluator: Evaluator,
    adapter: Adapter,
    states: dict[str, dict[str, torch.Tensor]],
    plan: Plan,
    chat: ChatFormat,
    general_holdout: Sequence[Encoded],
    probes: Probes,
    toxicity: ToxicityScorer,
    redactor: Redactor,
    progress: Callable[[str], None],
) -> Measurements:
    """Measure everything the gate needs. ``states`` holds an adapter state for each of :data:`ARMS`;
    ``active`` may be the very object of ``base``, and is then not measured twice."""
    length = plan.recipe.maximum_length
    groups = {
        "new": [e for _, e in encode_all(chat, plan.holdout, length)],
        "taught": [e for x, e in encode_all(chat, plan.train, length) if is_as_asked(x)],
        "phrasings": [e for _, e in encode_all(chat, plan.phrasings[1::2] or plan.phrasings, length)],
        "replay_holdout": [e for _, e in encode_all(chat, plan.replay_holdout, length)],
    }
    requests = probes.asked(_REQUESTS_ASKED, seed=plan.seed)
    questions = questions_of(plan, requests)
    weighed = probes.asked(_REQUESTS_WEIGHED, seed=plan.seed + 3)
    replies = probes.replied(_REPLIES, seed=plan.seed)
    leanings = Leanings.of(probes.said(_SENTENCES, seed=plan.seed), weighed, replies, chat)
    exposure = Exposure.of(plan, redactor, chat, length)
    belonging = Belonging.of(plan, chat)
    belongs: list[float] = []
    exposed: dict[str, list[float]] = {}
    numbers: dict[str, dict[str, Sequence[float]]] = {}
    answers: dict[str, list[str]] = {}
    base_hidden: list[torch.Tensor] = []
    for arm in ARMS:
        progress(arm)
        if arm == "active" and states["active"] is states["base"]:
            numbers[arm], answers[arm], exposed[arm] = numbers["base"], answers["base"], exposed["base"]
            continue
        adapter.set_state(states[arm])
        measured: dict[str, Sequence[float]] = {
            name: evaluator.losses(sequences) for name, sequences in groups.items()
        }
        hidden = evaluator.hidden(general_holdout)
        measured["general"] = evaluator.losses_of(general_holdout, hidden)
        if arm == "base":
            base_hidden = hidden
            belongs = belonging.read(evaluator.losses(belonging.sequences))
        measured["belonging"] = belongs  # whoever learnt them by heart is no witness
        measured["belonging_new"] = belonging.read_held_out(evaluator.losses(belonging.held_out_sequences))
        measured["general_kl"] = evaluator.divergences(hidden, base_hidden)
        exposed[arm] = evaluator.losses(exposure.sequences)
        measured["exposure"] = exposure.bits(exposed[arm])
        measured |= leanings.read(
            evaluator.losses(leanings.replies),
            evaluator.losses(leanings.sayings),
            evaluator.losses(leanings.manners),
        )
        numbers[arm] = measured
        answers[arm] = evaluator.answers(questions)
    adapter.set_state(states["candidate"])
    measures = answer_measures(questions, answers, toxicity)
    for name in numbers["base"]:
        values = [numbers[arm][name] for arm in ARMS]
        measures |= paired(name, UNITS.get(name, "nats/token"), values, lower=name not in _HIGHER_IS_BETTER)
    by_heart = exposure.by_heart(exposed["base"], exposed["candidate"])
    return Measurements(
        paired=measures,
        samples=samples_of(questions, answers),
        leaks=(*leaks_of(answers, redactor), *by_heart),
    )
