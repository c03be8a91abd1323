"""The Modelfile with which Ollama makes a model of exported files.

Ollama writes conversations with a template in Go's language, not with the model's own in Jinja. Which of
the few families a model's template belongs to is not guessed from its marks: the model's own template is
rendered for a conversation and compared with what the Go template of the family would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFamily:
    """A way of writing conversations. ``turn`` and ``reply`` are format strings with ``role`` and ``content``:
    what a message becomes, and what stands before a reply."""

    name: str
    turn: str
    reply: str
    go: str
    stops: tuple[str, ...]

    def written(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text of a conversation that asks for a reply."""
        return "".join(self.turn.format(**m) for m in messages) + self.reply


CHATML = TemplateFamily(
    name="ChatML",
    turn="<|im_start|>{role}\n{content}<|im_end|>\n",
    reply="<|im_start|>assistant\n",
    go="{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n"
    "{{ end }}<|im_start|>assistant\n",
    stops=("<|im_start|>", "<|im_end|>"),
)
ZEPHYR = TemplateFamily(
    name="Zephyr",
    turn="<|{role}|>\n{content}</s>\n",
    reply="<|assistant|>\n",
    go="{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}</s>\n{{ end }}<|assistant|>\n",
    stops=("<|system|>", "<|user|>", "<|assistant|>", "</s>"),
)
FAMILIES = (CHATML, ZEPHYR)

_TALK = (
    {"role": "system", "content": "S1"},
    {"role": "user", "content": "U1"},
    {"role": "assistant", "content": "A1"},
    {"role": "user", "content": "U2"},
)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's own template (Jinja) and its marks; it is run in a sandbox."""

    text: str
    bos: str = ""
    eos: str = ""

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text that asks for a reply; raise ValueError when the template cannot do it."""
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(why: str) -> Any:
            raise ValueError(why)

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = refuse
        try:
            return environment.from_string(self.text).render(
                messages=list(messages), add_generation_prompt=True, bos_token=self.bos, eos_token=self.eos
            )
        except (TemplateError, TypeError, KeyError) as error:
            raise ValueError(str(error)) from error

    def family(self) -> TemplateFamily | None:
        """Return the family whose Go template writes the same conversations; None where there is none."""
        try:
            written = self.render(_TALK).removeprefix(self.bos)
        except ValueError:
            return None
        # A mark at the very beginning is added by Ollama itself, from the model's file.
        return next((f for f in FAMILIES if f.written(_TALK).removeprefix(self.bos) == written), None)

    def system_message(self, family: TemplateFamily) -> str:
        """Return what the template says for a person who gave no system message; empty for nothing."""
        question = {"role": "user", "content": "U1"}
        mark = "\u2063allie-mark\u2063"
        try:
            written = self.render([question])
        except ValueError:
            return ""
        before, _, after = family.turn.format(role="system", content=mark).partition(mark)
        rest = family.written([question])
        if written.startswith(before) and written.endswith(after + rest):
            return written[len(before) : -len(after + rest)]
        return ""


def modelfile(*, source: str, adapter: str = "", template: ChatTemplate, about: str) -> str:
    """Return the text of a Modelfile. ``source`` and ``adapter`` are paths relative to it; ``about`` is a
    line for a person. Where no family fits, Ollama is left to find a template by itself."""
    lines = [f"# {about}", f"FROM {source}"]
    if adapter:
        lines.append(f"ADAPTER {adapter}")
    family = template.family()
    if family is None:
        lines.append(
            "# The model's own template is of no family that Allie knows: Ollama looks for one itself."
        )
    else:
        lines.append(f'TEMPLATE """{family.go}"""')
        system = template.system_message(family)
        if system and '"""' not in system:
            lines.append(f'SYSTEM """{system}"""')
        lines += [f'PARAMETER stop "{stop}"' for stop in family.stops]
    return "\n".join(lines) + "\n"
