"""What all formats made of JSON share: finding their texts, cutting them up, refusing what is bad."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from allie_desktop.domain.conversation import Conversation, Refusal
from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.archive import is_zip
from allie_desktop.imports.container import documents, is_container
from allie_desktop.imports.document import Document, opened_text, shown
from allie_desktop.imports.draft import Draft, finished
from allie_desktop.imports.encoding import utf8_head
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.records import Record, UnusableError, elements, is_line_by_line, lines, value_of


class JsonImporter(ABC):
    """Reads one format whose records are JSON objects, one a conversation.

    A subclass says what its records look like and how to draft a conversation from one. Files, zips and,
    where the format has them, folders are handled here. Implements the port ``Importer``.
    """

    name: str

    #: Names of the files to look into, in a zip or folder.
    files: ClassVar[re.Pattern[str]] = re.compile(r"(?!\._).+\.(?:json|jsonl|ndjson)", re.IGNORECASE)
    #: Names that say enough: such a file is read, and refused in words, even when it looks like nothing.
    own_files: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    #: Whether the folders in a folder count too.
    deep: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, outline: Outline) -> bool:
        """Whether records with these keys are of this format."""

    @abstractmethod
    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the conversation in ``record``, or raise :class:`UnusableError` with the reason."""

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether this file looks like the format. A zip or folder does when any of its texts does."""
        if not path.is_dir() and not is_zip(head):
            return self.recognises(Outline(utf8_head(head)))
        with suppress(ImportFileError):
            for document in documents(path, self.files, deep=self.deep):
                with suppress(ImportFileError):
                    if self._is_ours(document):
                        return True
        return False

    def read(self, path: Path) -> Iterator[Conversation | Refusal]:
        """Yield conversations and refusals in constant memory.

        Raises :class:`ImportFileError` when the path, or the only text behind it, is unusable as a
        whole, and when there is nothing in it. In a zip or folder an unusable text is a refusal, and
        texts of other kinds (the account, the settings) are passed over.
        """
        nothing = True
        contained = is_container(path)
        for document in documents(path, self.files, deep=self.deep):
            try:
                if contained and not self.own_files.fullmatch(document.name) and not self._is_ours(document):
                    continue
                for outcome in self._read_document(document):
                    nothing = False
                    yield outcome
            except ImportFileError as error:
                if not contained:
                    raise
                nothing = False
                yield Refusal(file=document.label, line=None, reason=str(error))
        if nothing:
            raise ImportFileError(f"{shown(path)} holds no conversations.", "There is nothing to import.")

    def _is_ours(self, document: Document) -> bool:
        with opened_text(document) as (_, head):
            return self.recognises(Outline(head))

    def _read_document(self, document: Document) -> Iterator[Conversation | Refusal]:
        with opened_text(document) as (stream, head):
            by_line = is_line_by_line(head, document.name)
            for record in lines(stream) if by_line else elements(stream):
                try:
                    yield self._conversation(record, document)
                except UnusableError as error:
                    where = "" if by_line or record.position == 1 else f"Conversation {record.position}: "
                    yield Refusal(file=document.label, line=record.line, reason=f"{where}{error.reason}")

    def _conversation(self, record: Record, document: Document) -> Conversation:
        draft = self.draft(value_of(record), document)
        return finished(draft, otherwise_created_at=document.modified_at)
