"""A model's chat template, rendered as training renders it, without the library that training uses.

llama.cpp has a template engine of its own, and its chat endpoint reads control marks out of a person's
words. What a version learnt was made with jinja2 in the sandbox, with the marks taken out; so is what it
is asked here, and a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from allie_desktop.domain.errors import BadInputError, MissingChatTemplateError
from allie_desktop.domain.planning import Message

#: Shorter ones may well be words.
_SHORTEST_MARK = 3


class ChatTemplate:
    """Makes one text of a conversation. ``marks`` are the tokenizer's control marks, which only the template
    may write. Any thread."""

    def __init__(self, source: str, *, bos: str = "", eos: str = "", marks: Sequence[str] = ()) -> None:
        if not source:
            raise MissingChatTemplateError(
                "The model has no chat template, so Allie cannot tell its words from yours.",
                "Choose the chat (or 'instruct') variant of the model.",
            )
        self._source = source
        self._bos, self._eos = bos, eos
        found = sorted((re.escape(m) for m in marks if len(m) >= _SHORTEST_MARK), key=len, reverse=True)
        self._marks = re.compile("|".join(found)) if found else None

    def render(self, messages: Sequence[Message]) -> str:
        """Return the text that ends where the assistant is to speak; raise :class:`BadInputError` when the
        template cannot take this order of messages."""
        plain = [{"role": m.role.value, "content": self._clean(m.content)} for m in messages]
        try:
            text: str = self._compiled.render(
                messages=plain, add_generation_prompt=True, bos_token=self._bos, eos_token=self._eos
            )
        except Exception as error:  # templates raise whatever they like
            raise BadInputError(
                f"The model's chat template cannot take this conversation: {error}",
                "Questions and answers have to alternate, beginning with a question.",
            ) from error
        return text

    def _clean(self, text: str) -> str:
        return self._marks.sub(" ", text) if self._marks else text

    @cached_property
    def _compiled(self) -> Any:
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # The settings that templates are written for; the same as in the library that training uses.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        return environment.from_string(self._source)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
