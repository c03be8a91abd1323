"""One answer from a chosen version, outside any conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from allie_desktop.domain.errors import UnknownVersionError
from allie_desktop.domain.ports import VersionRepository
from allie_desktop.domain.versions import BASE
from allie_desktop.inference.prompts import PromptTooLongError, user_prompt

if TYPE_CHECKING:
    from allie_desktop.inference.torch_engine import TorchEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a version said."""

    answer: str
    version: str


class Answerer:
    """Asks versions. ``engine`` loads the model when the first question comes, not before."""

    def __init__(self, versions: VersionRepository, engine: Callable[[], TorchEngine]) -> None:
        self._versions = versions
        self._engine = engine
        self._verified: dict[str, Path] = {}

    def choose(self, version: str | None) -> str:
        """Return the name of the version that would answer: ``version``, or the active one for None.

        Raises :class:`UnknownVersionError`, or :class:`VersionCorruptError` when its files have changed.
        """
        name = self._versions.pointer().active if version is None else version
        if name != BASE and name not in self._verified:
            try:
                path = Path(self._versions.get(name).path)
            except UnknownVersionError as error:
                known = ", ".join(v.metadata.version for v in self._versions.all())
                remedy = f"There are: {BASE}{', ' + known if known else ''}."
                raise UnknownVersionError(error.message, remedy) from error
            self._versions.verify(name)
            self._verified[name] = path
        return name

    def ask(
        self,
        prompts: Sequence[str],
        *,
        version: str | None = None,
        greedy: bool = False,
        max_tokens: int = 256,
        temperature: float = 0.7,
        top_p: float = 0.9,
        seed: int = 0,
    ) -> list[Answer]:
        """Return the answers in order. An empty prompt has an empty answer.

        Raises :class:`PromptTooLongError` with the index of the prompt before anything is generated.
        """
        name = self.choose(version)
        asked = [i for i, prompt in enumerate(prompts) if prompt.strip()]
        answers = [""] * len(prompts)
        if asked:
            engine = self._engine()
            if name != BASE and name not in engine.adapters:
                engine.load_adapter(name, self._verified[name])
            try:
                made = engine.generate(
                    [user_prompt(prompts[i]) for i in asked],
                    adapter=None if name == BASE else name,
                    max_tokens=max_tokens,
                    greedy=greedy,
                    temperature=temperature,
                    top_p=top_p,
                    seed=seed,
                )
            except PromptTooLongError as error:
                error.index = asked[error.index]
                raise
            for i, text in zip(asked, made, strict=True):
                answers[i] = text
        return [Answer(answer=text, version=name) for text in answers]
