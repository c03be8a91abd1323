"""Taking a model's thoughts out of its answer, where programs keep both in one text."""

from __future__ import annotations

import re

_DETAILS = re.compile(r'<details\s+type="(?:reasoning|tool_calls|code_interpreter)"')
_DETAILS_END = "</details>"
_THOUGHT = re.compile(r"\s*<(think|thinking)>")


def without_reasoning(text: str) -> str:
    """Return an answer without leading ``<think>`` and without ``<details>`` of reasoning and tools."""
    kept: list[str] = []
    at = 0
    while (start := _DETAILS.search(text, at)) is not None:
        end = text.find(_DETAILS_END, start.end())
        if end < 0:
            break
        kept.append(text[at : start.start()])
        at = end + len(_DETAILS_END)
    if kept:
        text = "".join((*kept, text[at:])).strip()
    thought = _THOUGHT.match(text)
    if thought is not None:
        _, closing, answer = text.partition(f"</{thought[1]}>")
        return answer.lstrip() if closing else text
    return text
