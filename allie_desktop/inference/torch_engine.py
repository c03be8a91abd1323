"""Answers from a torch model, many prompts at once.

The reference engine: it sees a conversation exactly as training and validation do (the model's own chat
template, nothing added), keeps adapters apart from the weights, so that base and every version answer
from one copy in memory, and decodes prompts of like length together.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from allie_desktop.domain.errors import BadInputError, ModelError, VersionCorruptError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.planning import Message
from allie_desktop.inference.prompts import PromptTooLongError
from allie_desktop.models.generation import Sampling, generate

if TYPE_CHECKING:
    from allie_desktop.models.loading import LoadedBase

#: Most prompts decoded together, and most tokens (prompts and answers) that their caches may hold.
_ROWS = 32
_CACHE_TOKENS = 24_576

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_MARK = "\u2063allie-mark\u2063"


@dataclass(frozen=True, slots=True)
class _Prompt:
    index: int
    tokens: list[int]
    limit: int  # most new tokens


class TorchEngine:
    """Generates with one base model, which is its own from then on, and any number of adapters. Calls may
    come from any thread; they run one after another."""

    def __init__(self, base: LoadedBase) -> None:
        self._base = base
        self._model = base.model
        self._peft: Any = None
        self._adapters: dict[str, str] = {}  # name → the name that torch knows it by
        self._lock = threading.Lock()
        self._marks = _control_marks(base.tokenizer)
        self._stops = _stop_tokens(base.tokenizer, base.model)
        self._linears: dict[str, tuple[int, int]] = {
            name: (module.out_features, module.in_features)
            for name, module in base.model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of the loaded adapters."""
        return tuple(self._adapters)

    @property
    def context_tokens(self) -> int:
        """Most tokens of a prompt with its answer."""
        return int(getattr(self._base.model.config, "max_position_embeddings", 2048))

    def load_adapter(self, name: str, path: Path) -> None:
        """Load the PEFT adapter in the folder ``path`` under ``name``, replacing one of that name.

        Raises :class:`VersionCorruptError` when a file is missing or broken, when it does not fit this
        base model, or when a weight is not a number.
        """
        with self._lock:
            if name in self._adapters:
                self._unload(name)
            self._load(name, path)

    def unload_adapter(self, name: str) -> None:
        """Free an adapter; nothing happens when there is none of that name."""
        with self._lock:
            if name in self._adapters:
                self._unload(name)

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        adapter: str | None = None,
        max_tokens: int = 256,
        greedy: bool = True,
        temperature: float = 0.7,
        top_p: float = 0.9,
        seed: int = 0,
    ) -> list[str]:
        """Return the reply to each conversation, in order.

        ``adapter`` is a loaded one, or None for the base model. ``seed`` makes sampling repeatable for
        the same list. Raises :class:`PromptTooLongError` before anything is generated.
        """
        if adapter is not None and adapter not in self._adapters:
            raise KeyError(adapter)
        prompts = [self._encode(i, c, max_tokens) for i, c in enumerate(conversations)]
        tokenizer = self._base.tokenizer
        answers = [""] * len(prompts)
        with self._lock, self._using(adapter):
            for batch in _batches(prompts):
                made = generate(
                    self._model if self._peft is None else self._peft,
                    [p.tokens for p in batch],
                    Sampling(
                        max_tokens=batch[0].limit,
                        temperature=0.0 if greedy else temperature,
                        top_p=top_p,
                        seed=seed,
                    ),
                    stop_tokens=self._stops,
                    pad_token=tokenizer.pad_token_id or 0,
                    batch_size=len(batch),
                )
                for prompt, tokens in zip(batch, made, strict=True):
                    answers[prompt.index] = tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return answers

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the base model."""
        return self._base.tokenizer

    @property
    def stop_tokens(self) -> tuple[int, ...]:
        """The tokens that end a reply."""
        return self._stops

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens that ask for a reply; raise :class:`BadInputError` when the template refuses."""
        plain = [{"role": m.role.value, "content": self._clean(m.content)} for m in messages]
        tokenizer = self._base.tokenizer
        try:
            text = tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # jinja templates raise whatever they like
            raise BadInputError(
                f"The model's chat template cannot take this conversation: {error}",
                "Questions and answers have to alternate, beginning with a question.",
            ) from error
        tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def step(self, tokens: Sequence[int], cache: Any, *, adapter: str | None) -> torch.Tensor:
        """Read ``tokens`` after what ``cache`` holds already; return the logits of the next one, float32 on
        the CPU. Streams that call this in turn are computed in turn, whatever their adapters are."""
        with self._lock, torch.inference_mode():
            if adapter is not None and adapter not in self._adapters:
                raise KeyError(adapter)
            return self._step(tokens, cache, adapter)

    def _step(self, tokens: Sequence[int], cache: Any, adapter: str | None) -> torch.Tensor:
        with self._using(adapter):
            model = self._model if self._peft is None else self._peft
            ids = torch.tensor([list(tokens)], device=next(model.parameters()).device)
            output = model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
            logits: torch.Tensor = model.get_output_embeddings()(output.last_hidden_state[:, -1])
            return logits[0].float().cpu()

    def _encode(self, index: int, messages: Sequence[Message], max_tokens: int) -> _Prompt:
        tokens = self.prompt(messages)
        room = self.context_tokens - len(tokens)
        if room < 1:
            raise PromptTooLongError(index, len(tokens), self.context_tokens)
        return _Prompt(index, tokens, min(max_tokens, room))

    def _clean(self, text: str) -> str:
        """Take out the model's control marks, which only the template may write, as training does."""
        return self._marks.sub(" ", text) if self._marks else text

    def _using(self, adapter: str | None) -> Any:
        """Return a context in which the model has this adapter, or none."""
        from contextlib import nullcontext

        if self._peft is None:
            return nullcontext()
        if adapter is None:
            return self._peft.disable_adapter()
        self._peft.set_adapter(self._adapters[adapter], inference_mode=True)
        return nullcontext()

    def _load(self, name: str, path: Path) -> None:
        from peft import PeftModel

        # Everything that can be wrong is found before peft touches the model: half an adapter cannot be
        # taken out again.
        _check_weights(path, self._places(_read_config(path), path))
        inner = "a" + name.encode().hex()  # torch allows no dots in module names
        try:
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(
                    self._model, path, adapter_name=inner, is_trainable=False, autocast_adapter_dtype=False
                )
            else:
                self._peft.load_adapter(
                    path, adapter_name=inner, is_trainable=False, autocast_adapter_dtype=False
                )
        except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
            raise _broken(path, _first_line(error)) from error
        self._peft.eval()
        self._adapters[name] = inner

    def _places(self, config: dict[str, Any], path: Path) -> dict[str, tuple[int, int]]:
        """Return the name and shape of every weight that an adapter of this configuration has."""
        rank, targets = config.get("r"), config.get("target_modules")
        if not isinstance(rank, int) or not isinstance(targets, list):
            raise _broken(path, f"{_CONFIG} does not say which layers it changes")
        places = {}
        for name, (rows, columns) in self._linears.items():
            if name.rpartition(".")[2] in targets:
                places[f"base_model.model.{name}.lora_A.weight"] = (rank, columns)
                places[f"base_model.model.{name}.lora_B.weight"] = (rows, rank)
        return places

    def _unload(self, name: str) -> None:
        inner = self._adapters.pop(name)
        if self._adapters:
            # The library warns when the one that goes was the last that was used.
            self._peft.set_adapter(next(iter(self._adapters.values())), inference_mode=True)
            self._peft.delete_adapter(inner)
        else:
            self._model = self._peft.unload()
            self._peft = None


def _batches(prompts: Sequence[_Prompt]) -> Iterator[list[_Prompt]]:
    """Yield the prompts, longest first, in groups of one limit that fit into memory: those of like length
    together waste least, and if memory is short the first group shows it."""
    batch: list[_Prompt] = []
    for prompt in sorted(prompts, key=lambda p: (p.limit, -len(p.tokens))):
        if batch:
            widest = max(len(batch[0].tokens), len(prompt.tokens)) + prompt.limit
            too_large = len(batch) == _ROWS or widest * (len(batch) + 1) > _CACHE_TOKENS
            if too_large or batch[0].limit != prompt.limit:
                yield batch
                batch = []
        batch.append(prompt)
    if batch:
        yield batch


def _control_marks(tokenizer: Any) -> re.Pattern[str] | None:
    special = {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
    marks = sorted((re.escape(t) for t in special | set(tokenizer.all_special_tokens) if len(t) > 2), key=len)
    return re.compile("|".join(reversed(marks))) if marks else None


def _stop_tokens(tokenizer: Any, model: Any) -> tuple[int, ...]:
    """Return what ends a reply: the end of sequence, and the mark that the template puts after one."""
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _MARK}]
    tail = tokenizer.apply_chat_template(turns, tokenize=False).split(_MARK)[-1].strip()
    stops = {tokenizer.eos_token_id}
    after = tokenizer(tail, add_special_tokens=False)["input_ids"] if tail else []
    if after and after[0] in tokenizer.all_special_ids:
        stops.add(after[0])
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    stops.update(configured if isinstance(configured, list) else [configured])
    found = tuple(sorted(int(t) for t in stops if t is not None))
    if not found:
        raise ModelError("This model has no token that ends an answer.", "Choose another base model.")
    return found


def _read_config(path: Path) -> dict[str, Any]:
    """Return the adapter's configuration, or raise unless it is that of a LoRA adapter."""
    try:
        config = parse_json((path / _CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(path, f"{_CONFIG} cannot be read") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise _broken(path, f"{_CONFIG} does not describe a LoRA adapter")
    return config


def _check_weights(path: Path, places: dict[str, tuple[int, int]]) -> None:
    """Raise unless the file has a weight for each of ``places`` and nothing else, all of them numbers."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path / _WEIGHTS, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if shapes != places:
                raise _broken(path, "it was made for another base model")
            sick = [name for name in places if not bool(torch.isfinite(file.get_tensor(name)).all())]
    except (OSError, SafetensorError) as error:
        raise _broken(path, f"{_WEIGHTS} cannot be read") from error
    if sick:
        raise _broken(path, "it holds weights that are not numbers")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _broken(path: Path, why: str) -> VersionCorruptError:
    return VersionCorruptError(
        f"The adapter in {path} cannot be used: {why}.",
        "Go back to another version with `allie rollback`, or use `--version base`.",
    )
