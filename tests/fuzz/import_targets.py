"""Files that a person may import: each format, in files, lines, zips, folders and databases."""

from __future__ import annotations

import io
import json
import sqlite3
import warnings
import zipfile
from contextlib import ExitStack, closing, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from allie_desktop.domain.conversation import MAXIMUM_TURN_CHARACTERS, Conversation, Refusal, Role
from allie_desktop.domain.errors import ImportFileError
from allie_desktop.domain.soundness import is_whole
from allie_desktop.imports.native import to_native_line
from allie_desktop.imports.registry import read
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.episode_stage import FakeClock
from tests.fuzz.import_records import RECORDS
from tests.fuzz.mad_english import mad_english
from tests.fuzz.mutations import ODD_TEXTS, any_text, changed, damaged, nearly, written
from tests.fuzz.target import Outcome, Target, expect, expect_sentence

_LLM_TABLES = Path(__file__).parents[1] / "unit" / "imports" / "data"
_STORE_TURNOVER = 400  # conversations that one store keeps before a new one is made: small ones are quick

#: The seed alone decides an input, not the clock.
_LONG_AGO = (2020, 1, 1, 0, 0, 0)
_LARGE_BYTES = 1024**2  # other ways of packing take seconds for more

_ALL = [record for records in RECORDS.values() for record in records]


def check(path: Path, format_name: str, collector: Collector, database: Database) -> Outcome:
    """Import ``path`` into the store; raise what breaks a promise."""
    refused = kept = 0

    def told() -> Any:
        nonlocal refused, kept
        for outcome in read(path, format_name):
            if isinstance(outcome, Refusal):
                refused += 1
                expect(outcome.reason.strip().endswith("."), f"no sentence: {outcome.reason[-200:]!r}")
                outcome.file.encode()
            else:
                kept += 1
                _check_conversation(outcome)
            yield outcome

    try:
        summary = collector.import_all(told())
    except ImportFileError as error:
        expect_sentence(error)
        expect(not database.connection.in_transaction, "a transaction is left open")
        return Outcome.REFUSED
    expect(summary.imported + summary.duplicates + len(summary.refused) >= kept, "a conversation was lost")
    return Outcome.TAKEN if kept else Outcome.REFUSED


def _check_conversation(found: Conversation) -> None:
    expect(found.id and found.source, "a conversation has no id or source")
    expect(found.created_at.tzinfo is not None, "a time has no zone")
    expect({Role.USER, Role.ASSISTANT} <= {turn.role for turn in found.turns}, "one side says nothing")
    for turn in found.turns:
        expect("\x00" not in turn.content, "NUL in a text")
        expect(len(turn.content) <= MAXIMUM_TURN_CHARACTERS, "a text is too long")
        turn.content.encode()
    to_native_line(found).encode()


class _Imports(Target):
    """Keeps a store to import into."""

    group = "importers"

    def prepare(self, stack: ExitStack) -> None:
        self._stores = stack.enter_context(ExitStack())
        self._open()

    def _open(self) -> None:
        path = self.folder / "allie.sqlite3"
        for old in self.folder.glob(f"{path.name}*"):
            old.unlink()
        self._database = self._stores.enter_context(Database.open(path))
        self._database.connection.execute("PRAGMA synchronous = OFF")
        self._conversations = SqliteConversations(self._database)
        self._collector = Collector(
            self._conversations,
            toxicity=LexiconToxicity(),
            near_duplicates=MinHashNearDuplicates(),
            clock=FakeClock(),
        )

    def bring_in(self, path: Path, format_name: str) -> Outcome:
        outcome = check(path, format_name, self._collector, self._database)
        if (
            self._database.connection.execute("SELECT count(*) FROM conversations").fetchone()[0]
            > _STORE_TURNOVER
        ):
            self.looked_after()
        return outcome

    def looked_after(self) -> None:
        """The store is sound, and every conversation in it is what its hash says and can be exported."""
        try:
            self._database.check(full=True)
            for exported in self._conversations.export():
                to_native_line(exported).encode()
                expect(is_whole(self._conversations.get(exported.id)), "a text is not what was kept")
        finally:
            self._stores.close()
            self._open()


class TextFiles(_Imports):
    """Files of text in any format, read by their own importer, by another one, or by whichever fits."""

    name = "import-files"
    share = 9

    def make(self, random: Random) -> bytes:
        """The first line names the format to read by and the file's name; the rest is the file."""
        name = random.choice(tuple(RECORDS))
        records = RECORDS[name]
        data = _file(records, random)
        if random.random() < 0.05:
            data = data.decode("utf-8", "replace").encode(
                random.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1")), "replace"
            )
            if random.random() < 0.5:
                data = damaged(data, random, most=2)
        by = random.choice((name, name, "auto", "auto", random.choice(tuple(RECORDS))))
        ending = random.choice(("json", "jsonl", "ndjson", "txt"))
        return f"{by} {ending}\n".encode() + data

    def attempt(self, data: bytes) -> Outcome:
        head, _, content = data.partition(b"\n")
        by, ending = head.decode().split()
        path = self.folder / f"messages.{ending}"
        path.write_bytes(content)
        try:
            return self.bring_in(path, by)
        finally:
            path.unlink()


def _file(records: list[Any], random: Random) -> bytes:
    """Return a file of a format's records, nearly valid."""
    if random.random() < 0.2:
        records = [_reworded(record, random) for record in records]
    match random.randrange(4):
        case 0:
            return nearly(records, random, others=_ALL)
        case 1:
            return nearly(records[0], random, others=_ALL)
        case 2:
            pieces = [nearly(record, random, others=_ALL) for record in records]
            pieces.insert(random.randrange(len(pieces) + 1), written(records[0], random))
            return random.choice((b"\n", b"\r\n", b"\n\n", b"", b",")).join(pieces)
        case _:
            return written(
                [changed(record, random, others=_ALL) for record in records * random.randint(1, 4)], random
            )


def _reworded(value: Any, random: Random) -> Any:
    """Return a record that says other things: what is imported is judged, too."""
    if isinstance(value, dict):
        return {
            key: (
                mad_english(random, longest=3000)
                if key in {"content", "text", "value", "correction"} and isinstance(item, str)
                else _reworded(item, random)
            )
            for key, item in value.items()
        }
    return [_reworded(item, random) for item in value] if isinstance(value, list) else value


class Archives(_Imports):
    """Zips: with conversations in them, damaged, encrypted, odd in their names, or far larger inside than out."""

    name = "import-zips"
    share = 2.5

    def make(self, random: Random) -> bytes:
        buffer = io.BytesIO()
        packing = random.choice(
            (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        )
        if random.random() < 0.7:
            packing = zipfile.ZIP_DEFLATED
        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
            warnings.simplefilter("ignore")  # a name may well come twice
            for _ in range(random.randint(0, 3)):
                with suppress(UnicodeError, ValueError, IndexError):  # a name that cannot be written
                    name, content = _member(random)
                    how = packing if len(content) < _LARGE_BYTES else zipfile.ZIP_DEFLATED
                    archive.writestr(zipfile.ZipInfo(name, date_time=_LONG_AGO), content, how)
        data = buffer.getvalue()
        kind = random.random()
        if kind < 0.5:
            return damaged(data, random)
        if kind < 0.6:
            return _with_flags(data, random)
        if kind < 0.65:
            return data + data
        return data

    def attempt(self, data: bytes) -> Outcome:
        path = self.folder / "export.zip"
        path.write_bytes(data)
        try:
            return self.bring_in(path, "auto")
        finally:
            path.unlink()


def _member(random: Random) -> tuple[str, bytes]:
    """Return the name and the content of a file in a zip."""
    name = random.choice(
        (
            "conversations.json",
            "a/b/conversations.json",
            "chat.jsonl",
            "../../../conversations.json",
            "/etc/conversations.json",
            "C:\\conversations.json",
            "__MACOSX/._conversations.json",
            "conversations.json/",
            "users.json",
            "inner.zip",
            "n" * 300 + ".json",
            "9" * 5000 + ".json",
            f"{random.choice(ODD_TEXTS)[:100]}.json",
            f"{any_text(random, 20)}.json",
        )
    )
    kind = random.random()
    if kind < 0.04:  # a bomb: megabytes of nothing out of kilobytes
        filling = random.choice((b" ", b"\x00", b"[", b'{"a":', b'"', b"\n", b"{}\n"))
        return name, filling * (random.choice((1, 1, 1, 1, 8, 70)) * 1024**2 // len(filling))
    if kind < 0.1:
        return name, random.randbytes(random.randint(0, 200))
    return name, _file(RECORDS[random.choice(tuple(RECORDS))], random)


def _with_flags(data: bytes, random: Random) -> bytes:
    """Return a zip whose table of contents says other things of one of its files."""
    at = data.find(random.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")))
    field = at + random.randrange(4, 46)
    return (
        data[:field]
        + random.choice((b"\xff\xff\xff\xff", b"\x01\x00", b"\x63\x00", b"\x00"))
        + data[field + 2 :]
    )


class Databases(_Imports):
    """Logs of the llm tool: rows that say other things, and files that are damaged."""

    name = "import-databases"
    share = 2.5

    def make(self, random: Random) -> bytes:
        data = _llm_log(random.choice(("llm_0_27", "llm_0_36", "llm_upgraded")))
        if random.random() < 0.5:
            return damaged(data, random, most=8)
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(data)
            for _ in range(random.randint(1, 4)):
                with suppress(sqlite3.Error, OverflowError, UnicodeError):
                    _meddle(database, random)
            database.commit()
            return bytes(database.serialize())

    def attempt(self, data: bytes) -> Outcome:
        path = self.folder / "logs.db"
        path.write_bytes(data)
        try:
            return self.bring_in(path, "llm" if len(data) % 2 else "auto")
        finally:
            for left in self.folder.glob("logs.db*"):
                left.unlink()


@cache
def _llm_log(name: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript((_LLM_TABLES / f"{name}.sql").read_text("utf-8"))
        return bytes(database.serialize())


def _meddle(database: sqlite3.Connection, random: Random) -> None:
    """Change, double, rename or lose something in a random table."""
    tables = [
        row[0]
        for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    table = random.choice(tables)
    columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    column = random.choice(columns)
    match random.randrange(6):
        case 0 | 1 | 2:
            value: Any = random.choice(
                (None, 0, -1, 2**63 - 1, 1.5, float("inf"), b"\xff\x00", "", "x" * 100_000, *ODD_TEXTS[:30])
            )
            if isinstance(value, str):
                value = value.encode("utf-8", "replace").decode()
            if random.random() < 0.2:
                value = nearly(RECORDS["openai"][0]["messages"], random).decode("utf-8", "replace")
            database.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))
        case 3:
            database.execute(f'DELETE FROM "{table}"')
        case 4:
            database.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "other"')
        case _:
            database.execute(f'INSERT INTO "{table}" SELECT * FROM "{table}"')


class Folders(_Imports):
    """Folders as Jan and other programs keep them, with files that do not belong there."""

    name = "import-folders"
    share = 1

    def make(self, random: Random) -> bytes:
        """A JSON object of file names and their texts (Latin-1, so that every byte can be told)."""
        files = {"threads/t/thread.json": written({"id": "t", "title": "T", "created": 1.0}, random)}
        files["threads/t/messages.jsonl"] = b"\n".join(nearly(record, random) for record in RECORDS["jan"])
        for _ in range(random.randint(0, 3)):
            ending = random.choice(("json", "jsonl", "conversation.json", "txt", "zip"))
            files[f"threads/{random.randrange(3)}/{random.randrange(9)}.{ending}"] = _file(
                RECORDS[random.choice(tuple(RECORDS))], random
            )
        return json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()

    def attempt(self, data: bytes) -> Outcome:
        root = self.folder / "in"
        files = json.loads(data)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode("latin-1"))
        try:
            return self.bring_in(root / "threads" if len(data) % 2 else root, "auto")
        finally:
            for name in files:
                (root / name).unlink()


TARGETS = (TextFiles, Archives, Databases, Folders)
