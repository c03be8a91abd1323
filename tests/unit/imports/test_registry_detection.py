"""Telling formats apart, and what happens to files that are none."""

from __future__ import annotations

import codecs
import json
import os
import zipfile
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Refusal
from allie_desktop.domain.errors import BadInputError, ImportFileError
from allie_desktop.imports import registry
from allie_desktop.imports.registry import FORMATS, IMPORTERS, detect, importer_named, read

EXCHANGE = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
NATIVE = {"id": "1", "messages": EXCHANGE}
OPENAI = {"messages": EXCHANGE}
SHAREGPT = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
CHATGPT = {
    "title": "t",
    "mapping": {
        "1": {
            "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["a"]}},
            "parent": None,
        },
        "2": {
            "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["b"]}},
            "parent": "1",
        },
    },
    "current_node": "2",
}
CLAUDE = {
    "uuid": "u",
    "chat_messages": [{"sender": "human", "text": "a"}, {"sender": "assistant", "text": "b"}],
}
OPENWEBUI = {"id": "c", "chat": {"history": None, "models": [], "messages": EXCHANGE}}
LMSTUDIO = {
    "messages": [
        {"versions": [{"role": "user", "content": [{"type": "text", "text": "a"}]}], "currentlySelected": 0},
        {
            "versions": [{"role": "assistant", "content": [{"type": "text", "text": "b"}]}],
            "currentlySelected": 0,
        },
    ]
}
RECORDS = {
    "native": NATIVE,
    "openai": OPENAI,
    "sharegpt": SHAREGPT,
    "chatgpt": CHATGPT,
    "claude": CLAUDE,
    "openwebui": OPENWEBUI,
    "lmstudio": LMSTUDIO,
}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def message_of(path: Path, format_name: str = "auto") -> str:
    with pytest.raises(ImportFileError) as caught:
        list(read(path, format_name))
    return str(caught.value).replace(f"{path.parent}{os.sep}", "")


@pytest.mark.parametrize("name", sorted(RECORDS))
@pytest.mark.parametrize("shape", ["array", "indented array", "lines", "one object", "with a mark", "utf-16"])
def test_every_format_is_told_by_its_content_however_it_is_written(tmp_path, name, shape):
    record = RECORDS[name]
    text = {
        "array": json.dumps([record, record]),
        "indented array": json.dumps([record, record], indent=2),
        "lines": f"{json.dumps(record)}\n{json.dumps(record)}\n",
        "one object": json.dumps(record, indent=2),
    }.get(shape, json.dumps([record]))
    encodings = {"with a mark": "utf-8-sig", "utf-16": "utf-16"}
    path = written(tmp_path / "some.json", text.encode(encodings.get(shape, "utf-8")))
    assert detect(path).name == name
    found = list(read(path))
    assert [[turn.content for turn in each.turns] for each in found] == [["a", "b"]] * len(found)
    assert found


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_only_the_native_form_may_say_where_it_comes_from(tmp_path, name):
    path = written(tmp_path / "some.json", json.dumps([{**RECORDS[name], "source": "chat"}]))
    (found,) = read(path, name)
    assert found.source == ("chat" if name == "native" else name)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({}, "openai"),
        ({"tools": [{"type": "function", "function": {"name": "x", "parameters": {"id": 1}}}]}, "openai"),
        ({"id": "1"}, "native"),
        ({"created_at": "2024-01-01"}, "native"),
        ({"topic": "cats"}, "native"),
        ({"messages": [*EXCHANGE, {"role": "assistant", "content": "c", "rating": 1}]}, "native"),
        ({"messages": [*EXCHANGE, {"role": "assistant", "content": "c", "correction": "d"}]}, "native"),
        ({"messages": [*EXCHANGE, {"role": "assistant", "content": "c", "mood": "good"}]}, "native"),
    ],
)
def test_messages_are_native_as_soon_as_they_have_a_key_that_openai_does_not_know(tmp_path, keys, name):
    assert detect(written(tmp_path / "a.jsonl", json.dumps({**OPENAI, **keys}))).name == name


def test_every_importer_is_found_by_its_name():
    assert [importer_named(importer.name) for importer in IMPORTERS] == list(IMPORTERS)
    assert FORMATS == (
        "auto", "chatgpt", "claude", "jan", "llm", "lmstudio", "native", "openai", "openwebui", "sharegpt",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["word", "", "Native", "auto"])
def test_an_unknown_format_is_refused_with_the_known_ones(name):
    with pytest.raises(BadInputError) as caught:
        importer_named(name)
    assert str(caught.value) == (
        f"There is no format called {name!r}. Choose one of: auto, chatgpt, claude, jan, llm, lmstudio,"
        " native, openai, openwebui, sharegpt."
    )


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(BadInputError):
        read(written(tmp_path / "a.jsonl", json.dumps(NATIVE)), "word")


KNOWN = (
    "Allie reads its own JSON Lines, messages as in OpenAI and ShareGPT files, and what ChatGPT, Claude, Open"
    " WebUI, LM Studio, Jan and the llm tool export or keep."
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "x is empty. There is nothing to import."),
        (" \n\t\r\n", "x is empty. There is nothing to import."),
        (codecs.BOM_UTF8, "x is empty. There is nothing to import."),
        (codecs.BOM_UTF16_LE, "x is empty. There is nothing to import."),
        ("hello", f"x looks like none of the formats that Allie reads. {KNOWN} Or name its format."),
        ('{"a": 1}', f"x looks like none of the formats that Allie reads. {KNOWN} Or name its format."),
        ("[]", f"x looks like none of the formats that Allie reads. {KNOWN} Or name its format."),
        (
            bytes(range(256)) * 20,
            "x is not a text file. Give an export of conversations; text must be UTF-8 or UTF-16 with a mark.",
        ),
        (
            json.dumps(NATIVE).encode("utf-16-le"),
            "x is not a text file. Give an export of conversations; text must be UTF-8 or UTF-16 with a mark.",
        ),
        (
            b"SQLite format 3\x00" + b"\x01" * 84,
            "x cannot be read: file is not a database. Close the programs that use it, or copy it.",
        ),
        (b"PK\x03\x04broken", "x is a damaged zip archive. Download or copy it again."),
    ],
)
def test_a_file_that_is_no_conversation_gets_a_sentence(tmp_path, content, sentence):
    assert message_of(written(tmp_path / "x", content)) == sentence


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_an_empty_list_holds_no_conversations(tmp_path, name):
    path = written(tmp_path / "x", "[]")
    assert message_of(path, name) == "x holds no conversations. There is nothing to import."


def test_a_missing_file_gets_a_sentence(tmp_path):
    assert message_of(tmp_path / "none") == "There is no file none. Check the name and try again."


def test_a_device_is_not_read():
    assert message_of(Path(os.devnull)) == "null is neither a file nor a folder. Give a file to import."


def test_a_name_that_cannot_be_gets_a_sentence(tmp_path):
    for name in ("a\x00b", "x" * 5000):
        with pytest.raises(ImportFileError):
            read(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_gets_a_sentence(tmp_path):
    path = written(tmp_path / "x", json.dumps(NATIVE))
    path.chmod(0)
    assert message_of(path) == "x cannot be read: Permission denied. Check the file and its permissions."


def test_a_folder_without_conversations_gets_a_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "settings.json").write_text('{"theme": "dark"}')
    assert message_of(tmp_path) == f"There are no conversations in the folder {tmp_path}. {KNOWN}".replace(
        f"{tmp_path.parent}{os.sep}", ""
    )


def test_a_file_whose_name_is_not_utf_8_is_read_and_named(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    try:
        written(path, json.dumps(NATIVE) + "\nbad")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    _, refusal = read(path)
    assert refusal.file.endswith("caf\ufffd.jsonl")


def test_lines_that_are_not_utf_8_are_refused_by_their_numbers(tmp_path):
    lines = [
        json.dumps(NATIVE),
        json.dumps({**NATIVE, "title": "Käse"}, ensure_ascii=False),
        json.dumps(NATIVE),
    ]
    outcomes = list(read(written(tmp_path / "x.jsonl", "\n".join(lines).encode("latin-1"))))
    assert [isinstance(each, Refusal) for each in outcomes] == [False, True, False]
    assert (outcomes[1].line, outcomes[1].reason) == (
        2,
        "It is not UTF-8 text (perhaps Latin-1 or Windows-1252); save the file as UTF-8 and try again.",
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_text_with_a_mark_is_read_in_its_encoding(tmp_path, encoding):
    record = {
        **NATIVE,
        "messages": [{"role": "user", "content": "שלום 🦙"}, {"role": "assistant", "content": "é"}],
    }
    text = "\n".join([json.dumps(record, ensure_ascii=False)] * 1000)
    found = list(read(written(tmp_path / "x.jsonl", text.encode(encoding))))
    assert [[turn.content for turn in each.turns] for each in found] == [["שלום 🦙", "é"]] * 1000


def test_endless_refusals_are_counted_and_not_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "MAXIMUM_REFUSALS", 3)
    outcomes = list(
        read(written(tmp_path / "x.jsonl", f"{json.dumps(NATIVE)}\n" + "bad\n" * 10 + json.dumps(NATIVE)))
    )
    assert [outcome.line if isinstance(outcome, Refusal) else outcome.id for outcome in outcomes] == [
        "1", 2, 3, 4, "1", None,
    ]  # fmt: skip
    assert outcomes[-1].reason == "7 more were refused in the same way."


# ---- archives -----------------------------------------------------------------------------------------------


def zipped(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


CONVERSATIONS = json.dumps([CHATGPT]).encode()


def test_a_zip_of_lines_is_read_whatever_their_name(tmp_path):
    path = zipped(tmp_path / "x.zip", ("my chats.jsonl", json.dumps(NATIVE).encode()), ("readme.txt", b"x"))
    assert (detect(path).name, len(list(read(path)))) == ("native", 1)


def test_a_zip_with_several_formats_is_read_by_all_of_them(tmp_path):
    path = zipped(
        tmp_path / "x.zip", ("a.jsonl", json.dumps(NATIVE).encode()), ("conversations.json", CONVERSATIONS)
    )
    assert [found.source for found in read(path)] == ["chatgpt", "import"]


def test_what_one_format_reads_in_a_folder_no_other_reads_again(tmp_path):
    written(
        tmp_path / "old.json", json.dumps([{"title": "t", "messages": EXCHANGE, "history": {"messages": {}}}])
    )
    written(tmp_path / "1.conversation.json", json.dumps({"messages": [], "perChatPredictionConfig": {}}))
    assert [each.source if not isinstance(each, Refusal) else each.reason for each in read(tmp_path)] == [
        "openwebui",
        "It has no messages with text.",
    ]


def test_a_zip_of_zips_says_so(tmp_path):
    inner = zipped(tmp_path / "inner.zip", ("conversations.json", CONVERSATIONS)).read_bytes()
    path = zipped(tmp_path / "x.zip", ("inner.zip", inner))
    assert message_of(path) == "x.zip holds only further archives. Unpack it and give the archives in it."


def test_a_zip_without_conversations_says_so(tmp_path):
    path = zipped(tmp_path / "x.zip", ("photo.jpg", b"x"), ("settings.json", b'{"theme": 1}'))
    assert message_of(path) == f"There are no conversations in x.zip. {KNOWN}"


def test_an_empty_zip_says_so(tmp_path):
    assert message_of(zipped(tmp_path / "x.zip")) == f"There are no conversations in x.zip. {KNOWN}"


def test_an_encrypted_member_says_so(tmp_path):
    path = zipped(tmp_path / "x.zip", ("conversations.json", CONVERSATIONS))
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of encryption, in the local header
    data[data.rfind(b"PK\x01\x02") + 8] |= 1  # and in the table of contents
    path.write_bytes(data)
    assert message_of(path) == (
        "x.zip/conversations.json is encrypted. Unpack the archive and give the file in it."
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_in_an_unusual_way_says_so(tmp_path, method):
    path = zipped(tmp_path / "x.zip", ("conversations.json", CONVERSATIONS), method=method)
    assert message_of(path) == (
        "x.zip/conversations.json is packed in a way that Allie does not read."
        " Unpack the archive and give the file in it."
    )


def test_a_member_with_flipped_bits_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", ("conversations.json", CONVERSATIONS), method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"x"', 1))
    assert [outcome.reason for outcome in read(path, "chatgpt") if isinstance(outcome, Refusal)] == [
        f"{path}/conversations.json is damaged in its archive. Download or copy the archive again."
    ]


def test_a_truncated_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", ("conversations.json", CONVERSATIONS))
    path.write_bytes(path.read_bytes()[:-30])
    assert message_of(path) == "x.zip is a damaged zip archive. Download or copy it again."


def test_a_zip_bomb_is_stopped_early(tmp_path):
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("conversations.json", "w") as member,
    ):
        member.write(CONVERSATIONS[:-1])
        for _ in range(66):
            member.write(b" " * 1024**2)
    refusal = list(read(path))[-1]
    assert refusal.reason == (
        f"{path}/conversations.json unpacks to far more than its size in the archive allows for conversations."
        " If you trust it, unpack the archive and give the file in it."
    )


def test_an_archive_with_a_giant_table_of_contents_is_not_opened(tmp_path):
    path = zipped(tmp_path / "x.zip", ("conversations.json", CONVERSATIONS))
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x05\x06")
    data[at + 12 : at + 16] = (40 * 1024**2).to_bytes(4, "little")
    path.write_bytes(data)
    assert message_of(path) == (
        "x.zip lists far more files than an export of conversations has."
        " Unpack it and give the files with the conversations."
    )
