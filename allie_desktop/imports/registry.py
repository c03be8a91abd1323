"""The door to every import: which formats there are, which one fits, and reading with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from allie_desktop.domain.conversation import Conversation, Refusal
from allie_desktop.domain.errors import BadInputError, ImportFileError
from allie_desktop.domain.ports import Importer
from allie_desktop.imports.chatgpt import ChatGptImporter
from allie_desktop.imports.claude import ClaudeImporter
from allie_desktop.imports.container import documents, is_container
from allie_desktop.imports.document import checked, file_document, head_of, opened_text, shown
from allie_desktop.imports.jan import JanImporter
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.llm_logs import LlmImporter, is_sqlite
from allie_desktop.imports.lmstudio import LmStudioImporter
from allie_desktop.imports.native import NativeImporter
from allie_desktop.imports.openai_messages import OpenAiImporter
from allie_desktop.imports.openwebui import OpenWebUiImporter
from allie_desktop.imports.sharegpt import ShareGptImporter

AUTO = "auto"

#: Refusals told one by one in one reading; those beyond are counted, and told in one sentence.
MAXIMUM_REFUSALS = 10_000

#: Refused records after which the rest is left unread, unless there were conversations among them: a small
#: archive can unpack to twenty millions, which take a minute.
MAXIMUM_REFUSED = 200_000
_REFUSED_FOR_EACH_KEPT = 1_000

#: Every importer, in the order in which they are asked whether a file is theirs.
IMPORTERS: tuple[Importer, ...] = (
    LlmImporter(),
    ChatGptImporter(),
    ClaudeImporter(),
    OpenWebUiImporter(),
    JanImporter(),
    ShareGptImporter(),
    LmStudioImporter(),
    OpenAiImporter(),
    NativeImporter(),
)

_KNOWN = (
    "Allie reads its own JSON Lines, messages as in OpenAI and ShareGPT files, and what ChatGPT, Claude, Open"
    " WebUI, LM Studio, Jan and the llm tool export or keep."
)

#: What may be asked for by name.
FORMATS: tuple[str, ...] = (AUTO, *sorted(importer.name for importer in IMPORTERS))


def importer_named(name: str) -> Importer:
    """Return the importer of a format; raise :class:`BadInputError` when there is none of this name."""
    for importer in IMPORTERS:
        if importer.name == name:
            return importer
    raise BadInputError(f"There is no format called {name!r}.", f"Choose one of: {', '.join(FORMATS)}.")


def detect(path: Path) -> Importer:
    """Return the importer that fits a file, a zip or a folder.

    Raises :class:`ImportFileError`, in words, when there is no such file, when it is empty, is no text, or
    looks like none of the formats.
    """
    return _fitting(path)[0]


def read(path: Path, format: str = AUTO) -> Iterator[Conversation | Refusal]:  # noqa: A002 - as in the CLI
    """Yield the conversations behind ``path`` and a refusal for each that is bad.

    Raises at once, before anything is yielded, :class:`ImportFileError` when ``path`` cannot be told to be
    of a known format and :class:`BadInputError` for a format that does not exist; while iterating
    :class:`ImportFileError` when the whole turns out to be unusable. Holds one conversation at a time.
    A zip or folder is read by every format that fits something in it.
    """
    importers = _fitting(path) if format == AUTO else (importer_named(format),)
    return _bounded(checked(path), importers)


def _fitting(path: Path) -> tuple[Importer, ...]:
    """Return every importer that fits a zip or folder, the first one that fits a file; never nothing."""
    checked(path)
    head = head_of(path)
    fitting = [importer for importer in IMPORTERS if importer.matches(path, head)]
    if fitting:
        return tuple(fitting) if is_container(path) else (fitting[0],)
    if is_sqlite(head):
        next(importer_named("llm").read(path), None)  # says what it is not, or that it is damaged
    raise _unfit(path)


def _unfit(path: Path) -> ImportFileError:
    if path.is_dir():
        return ImportFileError(f"There are no conversations in the folder {shown(path)}.", _KNOWN)
    if is_container(path):
        for document in documents(path, JsonImporter.files):
            with opened_text(document):  # says what is wrong with a damaged or encrypted archive
                pass
        return ImportFileError(f"There are no conversations in {shown(path)}.", _KNOWN)
    with opened_text(file_document(path)):  # says it when it is empty, or no text
        pass
    return ImportFileError(
        f"{shown(path)} looks like none of the formats that Allie reads.", f"{_KNOWN} Or name its format."
    )


def _bounded(path: Path, importers: tuple[Importer, ...]) -> Iterator[Conversation | Refusal]:
    refused = kept = 0
    for outcome in chain.from_iterable(importer.read(path) for importer in importers):
        if isinstance(outcome, Refusal):
            refused += 1
            if refused > max(MAXIMUM_REFUSED, _REFUSED_FOR_EACH_KEPT * kept):
                yield Refusal(
                    file=shown(path),
                    line=None,
                    reason=f"More than {refused - 1:,} were refused in the same way; the rest was not read.",
                )
                return
            if refused > MAXIMUM_REFUSALS:
                continue
        else:
            kept += 1
        yield outcome
    if refused > MAXIMUM_REFUSALS:
        more = refused - MAXIMUM_REFUSALS
        yield Refusal(file=shown(path), line=None, reason=f"{more:,} more were refused in the same way.")
