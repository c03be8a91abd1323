"""One answer from a chosen version, outside any conversation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from allie_desktop.domain.chat import GenerationOptions, TextPiece
from allie_desktop.domain.errors import UnknownVersionError
from allie_desktop.domain.ports import ChatEngine, ChatEngines, VersionRepository
from allie_desktop.domain.versions import BASE
from allie_desktop.inference.prompts import PromptTooLongError, user_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a version said."""

    answer: str
    version: str


class Answerer:
    """Asks versions over the engines that chat uses, so that an answer here is what chat would say.

    ``engines`` is called when the first question comes, not before. A model is in memory only while
    :meth:`ask` runs.
    """

    def __init__(self, versions: VersionRepository, engines: Callable[[], ChatEngines]) -> None:
        self._versions = versions
        self._engines = engines

    def choose(self, version: str | None) -> str:
        """Return the name of the version that would answer: ``version``, or the active one for None.

        Raises :class:`UnknownVersionError`, or :class:`VersionCorruptError` when its files have changed.
        """
        name = self._versions.pointer().active if version is None else version
        if name != BASE:
            try:
                self._versions.get(name)
            except UnknownVersionError as error:
                known = ", ".join(v.metadata.version for v in self._versions.all())
                remedy = f"There are: {BASE}{', ' + known if known else ''}."
                raise UnknownVersionError(error.message, remedy) from error
            self._versions.verify(name)
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
        seed: int | None = None,
        heard: Callable[[str], None] | None = None,
    ) -> list[Answer]:
        """Return the answers in order, each made by itself. An empty prompt has an empty answer.

        ``greedy`` makes them the same every time, as ``seed`` does for those that are drawn. ``heard`` gets
        the pieces of each answer as they come. Raises :class:`PromptTooLongError` with the index of the prompt.
        """
        name = self.choose(version)
        answers = [""] * len(prompts)
        asked = [i for i, prompt in enumerate(prompts) if prompt.strip()]
        if asked:
            options = GenerationOptions(
                max_tokens=max_tokens,
                temperature=0.0 if greedy else temperature,
                top_p=top_p,
                seed=0 if greedy else seed,
            )
            with contextlib.closing(self._engines().load(name)) as engine:
                for index in asked:
                    try:
                        answers[index] = _reply(engine, prompts[index], options, heard)
                    except PromptTooLongError as error:
                        error.index = index
                        raise
        return [Answer(answer=text, version=name) for text in answers]


def _reply(
    engine: ChatEngine, prompt: str, options: GenerationOptions, heard: Callable[[str], None] | None
) -> str:
    reply = ""
    for event in engine.stream(user_prompt(prompt), options, lambda: False):
        if isinstance(event, TextPiece):
            piece = event.text if reply else event.text.lstrip()
            reply += piece
            if piece and heard is not None:
                heard(piece)
    return reply.rstrip()
