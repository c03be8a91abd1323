"""The threads of Jan: a folder a thread, with ``thread.json`` and the messages in ``messages.jsonl``.

Give Jan's data folder, its ``threads`` folder, one thread's folder or a ``messages.jsonl``. The form is
that of Jan's own source (types ``Thread`` and ``ThreadMessage``). Reasoning, pictures and tools are left
out, and so are answers that ended in an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from allie_desktop.domain.conversation import Conversation, Refusal, Role, Turn
from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.document import file_document, opened_text, shown
from allie_desktop.imports.draft import MAXIMUM_TURNS, Draft, coherent, finished, moment
from allie_desktop.imports.encoding import utf8_head
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.reasoning import without_reasoning
from allie_desktop.imports.records import MAXIMUM_RECORD_BYTES, UnusableError, decoded, lines, value_of

SOURCE = "jan"

_MESSAGES = "messages.jsonl"
_THREAD = "thread.json"
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


class JanImporter:
    """Reads Jan's threads from its folders. Implements the port ``Importer``."""

    name = "jan"

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether this is a folder with threads in it, or the messages of one."""
        if path.is_dir():
            return next(_threads(path), None) is not None
        outline = Outline(utf8_head(head))
        return path.name == _MESSAGES and outline.has(1, "thread_id") and outline.has(1, "role")

    def read(self, path: Path) -> Iterator[Conversation | Refusal]:
        """Yield one conversation or refusal a thread; raise :class:`ImportFileError` when there is none."""
        nothing = True
        for messages in [path] if path.is_file() else _threads(path):
            nothing = False
            try:
                yield from _read_thread(messages)
            except ImportFileError as error:
                yield Refusal(file=shown(messages), line=None, reason=str(error))
        if nothing:
            raise ImportFileError(f"{shown(path)} holds no threads of Jan.", "Give Jan's data folder.")


def _threads(folder: Path) -> Iterator[Path]:
    """Yield the message files of a thread's folder, a folder of threads, or Jan's data folder."""
    for place in (folder, folder / "threads"):
        try:
            children = sorted(place.iterdir()) if place.is_dir() else []
        except OSError:
            continue
        for messages in (place / _MESSAGES, *(child / _MESSAGES for child in children)):
            if messages.is_file() and (messages.parent / _THREAD).is_file():
                yield messages


def _read_thread(messages: Path) -> Iterator[Conversation | Refusal]:
    """Yield the thread, or why it was refused: without one of its messages it is not what was said."""
    document = file_document(messages)
    line: int | None = None
    try:
        spoken: list[tuple[datetime | None, Turn]] = []
        with opened_text(document) as (stream, _):
            for record in lines(stream):
                line = record.line
                spoken.extend(_spoken(value_of(record)))
                if len(spoken) > MAXIMUM_TURNS:
                    break
        line = None
        yield finished(_draft(messages.parent, spoken), otherwise_created_at=document.modified_at)
    except UnusableError as error:
        yield Refusal(file=document.label, line=line, reason=error.reason)


def _draft(folder: Path, spoken: list[tuple[datetime | None, Turn]]) -> Draft:
    times = [time for time, _ in spoken if time is not None]
    if len(times) == len(spoken):
        spoken = sorted(spoken, key=lambda pair: pair[0] or times[0])
    thread = _thread(folder / _THREAD)
    return Draft(
        id=thread.get("id") or folder.name,
        created_at=moment(thread.get("created")) or (min(times) if times else None),
        source=SOURCE,
        title=thread.get("title"),
        turns=coherent([*_system(thread), *(turn for _, turn in spoken)]),
    )


def _spoken(message: Mapping[str, object]) -> Iterator[tuple[datetime | None, Turn]]:
    role_name = message.get("role")
    role = _ROLES.get(role_name) if isinstance(role_name, str) else None
    if role is None or message.get("status") == "error":
        return
    content = message.get("content")
    texts = [_part_text(part) for part in content] if isinstance(content, list) else [content]
    text = "\n".join(text for text in texts if isinstance(text, str) and text.strip())
    yield (
        moment(message.get("created_at")),
        Turn(role=role, content=without_reasoning(text) if role is Role.ASSISTANT else text),
    )


def _part_text(part: object) -> object:
    if not isinstance(part, dict) or part.get("type") != "text":
        return None
    text = part.get("text")
    return text.get("value") if isinstance(text, dict) else text


def _thread(path: Path) -> Mapping[str, object]:
    """Return ``thread.json``; a damaged one costs the title and the time, not the conversation."""
    try:
        with opened_text(file_document(path)) as (stream, _):
            thread = decoded(stream.read(MAXIMUM_RECORD_BYTES))
    except (ImportFileError, UnusableError):
        return {}
    return thread if isinstance(thread, dict) else {}


def _system(thread: Mapping[str, object]) -> Iterator[Turn]:
    assistants = thread.get("assistants")
    first = assistants[0] if isinstance(assistants, list) and assistants else None
    instructions = first.get("instructions") if isinstance(first, dict) else None
    # With places for the date and the like in it, it is not what the model was told.
    if isinstance(instructions, str) and instructions.strip() and "{{" not in instructions:
        yield Turn(role=Role.SYSTEM, content=instructions)
