"""The log of the llm tool: real tables of two generations, made by running it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Conversation, Refusal
from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.llm_logs import LlmImporter
from allie_desktop.imports.registry import detect, read

DATA = Path(__file__).parent / "data"

HELLO = [
    ("system", "Be kind"),
    ("user", "Hello there"),
    ("assistant", "You said: Hello there"),
    ("user", "and more"),
    ("assistant", "You said: and more"),
]
FRAGMENT = [
    ("user", "piped frag\n\nwith fragment"),
    ("assistant", "You said: piped frag\n\nwith fragment"),
]
EMOJI = [("user", "émoji 🦙 שלום"), ("assistant", "You said: émoji 🦙 שלום")]


def logs(folder: Path, *scripts: str) -> Path:
    """Make a logs.db of a script in the data folder and of statements."""
    path = folder / "logs.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        for script in scripts:
            database.executescript((DATA / script).read_text("utf-8") if script.endswith(".sql") else script)
        database.commit()
    return path


def texts(path: Path) -> list[list[tuple[str, str]]]:
    return [[(turn.role.value, turn.content) for turn in found.turns] for found in read(path)]


def test_a_log_of_older_versions_is_read(tmp_path):
    path = logs(tmp_path, "llm_0_27.sql")
    first, _, _ = read(path)
    assert detect(path).name == "llm"
    assert texts(path) == [HELLO, FRAGMENT, EMOJI]
    assert (first.id, first.title, first.source) == ("01m81p96w4e6xf9qxq53dz2we7", "Hello there", "llm")
    assert first.created_at == datetime(2024, 1, 22, 13, 14, 14, 788148, tzinfo=timezone.utc)


def test_the_message_tree_of_newer_versions_is_read(tmp_path):
    path = logs(tmp_path, "llm_0_36.sql")
    first, *_ = read(path)
    assert texts(path) == [
        HELLO,
        [("user", "single"), ("assistant", "You said: single")],
        [*FRAGMENT, ("user", "again"), ("assistant", "You said: again")],
    ]
    assert first.created_at == datetime(2024, 1, 22, 13, 3, 25, 567184, tzinfo=timezone.utc)


def test_a_conversation_that_went_on_after_the_upgrade_is_read_once_and_whole(tmp_path):
    path = logs(tmp_path, "llm_upgraded.sql")
    assert texts(path) == [
        [*HELLO, ("user", "third"), ("assistant", "You said: third")],
        [*EMOJI, ("user", "after the upgrade"), ("assistant", "You said: after the upgrade")],
        FRAGMENT,
    ]


def test_answers_after_the_call_of_a_tool_belong_to_the_question(tmp_path):
    path = logs(
        tmp_path,
        "llm_0_27.sql",
        "DELETE FROM responses; INSERT INTO responses (id, prompt, response, conversation_id, datetime_utc) VALUES"
        " ('1', 'a', 'Let me see.', 'c', '2024-01-01T00:00:00'), ('2', '', 'Here.', 'c', '2024-01-01T00:00:01')",
    )
    assert texts(path) == [[("user", "a"), ("assistant", "Let me see.\n\nHere.")]]


def test_rows_of_wrong_types_are_refused_or_passed_over(tmp_path):
    path = logs(
        tmp_path,
        "llm_0_27.sql",
        "DELETE FROM responses; INSERT INTO responses (id, prompt, response, conversation_id, datetime_utc) VALUES"
        " ('1', x'ff00', 5, 'c', 'whenever'), (NULL, 'a', 'b', 'd', NULL), ('3', 'a', 'b', NULL, x'00'),"
        " ('4', CAST(x'61ff62' AS TEXT), 'b' || char(0), 'e', 1e99)",
    )
    refused, *found = sorted(read(path), key=lambda item: isinstance(item, Conversation))
    assert isinstance(refused, Refusal)
    assert sorted(
        turn.content for item in found if isinstance(item, Conversation) for turn in item.turns
    ) == [
        "a",
        "a\ufffdb",
        "b",
        "b",
    ]


def test_a_text_that_is_far_too_long_is_refused(tmp_path):
    path = logs(
        tmp_path,
        "llm_0_27.sql",
        "DELETE FROM responses; INSERT INTO responses (id, prompt, response, conversation_id) VALUES"
        " ('1', 'a', hex(zeroblob(3000000)), 'c')",
    )
    assert [refusal.reason for refusal in read(path)] == [
        "Conversation c: Message 2 is longer than 1,000,000 characters."
    ]


def test_a_message_tree_that_bites_its_tail_ends(tmp_path):
    path = logs(
        tmp_path,
        "llm_0_36.sql",
        "UPDATE messages SET parent_hash = 'b2:f0b0afce2f85ba5e14e33174b66189d2' WHERE parent_hash IS NULL",
    )
    assert texts(path)[0] == HELLO


def test_another_database_is_not_a_log(tmp_path):
    path = logs(tmp_path, "CREATE TABLE notes (text)")
    for format_name in ("auto", "llm"):
        with pytest.raises(ImportFileError) as caught:
            list(read(path, format_name))
        assert str(caught.value) == (
            f"{path} is not a log of the llm tool. `llm logs path` prints where the log is."
        )


def test_views_in_place_of_tables_are_not_asked(tmp_path):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS id FROM n"
    path = logs(tmp_path, f"CREATE VIEW responses AS {endless}; CREATE VIEW conversations AS {endless}")
    assert not LlmImporter().matches(path, path.read_bytes())


def test_an_empty_log_holds_no_conversations(tmp_path):
    path = logs(tmp_path, "llm_0_27.sql", "DELETE FROM responses")
    with pytest.raises(ImportFileError, match="holds no conversations"):
        list(read(path))


@pytest.mark.parametrize("kept", [50, 100, 3_000, 9_000])
def test_a_truncated_log_is_refused_or_read_as_far_as_it_goes(tmp_path, kept):
    path = logs(tmp_path, "llm_0_27.sql")
    path.write_bytes(path.read_bytes()[:kept])
    outcomes: list[object] = []
    try:
        outcomes.extend(read(path, "llm"))
    except ImportFileError as error:
        outcomes.append(error)
    assert isinstance(outcomes[-1], Refusal | ImportFileError)


def test_the_log_is_not_changed_by_reading(tmp_path):
    path = logs(tmp_path, "llm_0_27.sql")
    before = path.read_bytes()
    list(read(path))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["logs.db"]


def test_a_name_with_odd_characters_is_opened(tmp_path):
    folder = tmp_path / "a ?#%&é"
    folder.mkdir()
    assert len(texts(logs(folder, "llm_0_27.sql"))) == 3


@pytest.mark.slow
def test_what_llm_itself_logs_is_read(tmp_path):
    llm = pytest.importorskip("llm")
    sqlite_utils = pytest.importorskip("sqlite_utils")

    class Parrot(llm.Model):
        model_id = "parrot"

        def execute(self, prompt, stream, response, conversation):
            yield f"You said: {prompt.prompt}"

    database = sqlite_utils.Database(memory=True)
    conversation = Parrot().conversation()
    for words in ("Hello", "again"):
        response = conversation.prompt(words, system="Be kind" if words == "Hello" else None)
        response.text()
        response.log_to_db(database)
    with closing(sqlite3.connect(tmp_path / "logs.db")) as file:
        database.conn.backup(file)
    database.close()
    assert texts(tmp_path / "logs.db") == [
        [
            ("system", "Be kind"),
            ("user", "Hello"),
            ("assistant", "You said: Hello"),
            ("user", "again"),
            ("assistant", "You said: again"),
        ]
    ]
