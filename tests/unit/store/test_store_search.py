"""Finding conversations by their words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import assessed, later, reply, user

CONVERSATIONS = [
    assessed(
        "dog", user("What is my dog's name?"), reply("Rex.", correction="Bello, the poodle"), title="Pets"
    ),
    assessed(
        "bread", user("How do I bake sourdough?"), reply("With Crème-Brûlée patience."), title="Kitchen Rex"
    ),
    assessed("code", user("Explain foo_bar() in utils.py"), reply("It returns 42.")),
    assessed("chinese", user("我想学习中文"), reply("很好!")),
    assessed("japanese", user("カタカナを読む"), reply("はい")),
    assessed("thai", user("สวัสดีครับ"), reply("ดี")),
    assessed("arabic", user("كيف حالك اليوم"), reply("بخير")),
    assessed("russian", user("Привет, как дела?"), reply("Хорошо")),
    assessed("korean", user("안녕하세요 세계"), reply("네")),
    assessed("emoji", user("I feel 🎉 today"), reply("🎉🎉")),
    assessed("old", user("a dog barked"), reply("woof"), created_at=later(-60)),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteConversations]:
    with Database.open(tmp_path_factory.mktemp("search") / "allie.sqlite") as database:
        store = SqliteConversations(database)
        store.add(CONVERSATIONS)
        yield store


def found(store: SqliteConversations, search: str) -> list[str]:
    return sorted(row.id for row in store.rows(search=search))


@pytest.mark.parametrize(
    ("search", "ids"),
    [
        ("dog", ["dog", "old"]),
        ("DOG", ["dog", "old"]),
        ("dog name", ["dog"]),
        ("name dog", ["dog"]),
        ("dog's", ["dog"]),
        ("pood", ["dog"]),  # a beginning, in a correction
        ("poo dog", []),  # only the last word may be a beginning
        ("pets", ["dog"]),
        ("rex", ["bread", "dog"]),  # in a title and in a reply
        ("creme brulee", ["bread"]),
        ("crème-brûlée", ["bread"]),
        ("foo_bar", ["code"]),
        ("utils.py", ["code"]),
        ("42", ["code"]),
        ("中文", ["chinese"]),
        ("学习", ["chinese"]),
        ("タカ", ["japanese"]),
        ("สวัสดี", ["thai"]),
        ("اليوم", ["arabic"]),
        ("привет", ["russian"]),
        ("세계", ["korean"]),
        ("🎉", ["emoji"]),
        ("nowhere", []),
        ("dog AND name", []),
        ('"dog', ["dog", "old"]),
        ("dog*", ["dog", "old"]),
        ("body:dog", []),
        ("(dog", ["dog", "old"]),
        ("-dog", ["dog", "old"]),
        ("'; DROP TABLE turns; --", []),
        ("%", []),
        ("\x00", []),
        ("\ud800", []),
    ],
)
def test_a_search_finds_what_has_its_words(store: SqliteConversations, search: str, ids: list[str]):
    assert found(store, search) == ids


@pytest.mark.parametrize("search", ["", " ", "\n\t"])
def test_a_blank_search_finds_everything(store: SqliteConversations, search: str):
    assert len(store.rows(search=search)) == len(CONVERSATIONS)


def test_finds_come_newest_first_within_a_source_and_page(store: SqliteConversations):
    assert [row.id for row in store.rows(search="dog")] == ["dog", "old"]
    assert [row.id for row in store.rows(search="dog", limit=1, offset=1)] == ["old"]
    assert store.rows(search="dog", source="chat") == ()
    assert len(store.rows(search="dog", source="chatgpt")) == 2


@given(search=st.text())
def test_whatever_is_searched_for_nothing_breaks(store: SqliteConversations, search: str):
    assert len(store.rows(search=search)) <= len(CONVERSATIONS)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteConversations]:
    with Database.open(tmp_path_factory.mktemp("changing") / "allie.sqlite") as database:
        database.connection.execute("PRAGMA synchronous=OFF")
        store = SqliteConversations(database)
        store.add([assessed("a")])
        yield store
        database.check(full=True)


@given(word=st.text(min_size=1, max_size=20).filter(lambda word: word.isprintable() and word.strip()))
def test_a_text_is_found_by_itself(changing: SqliteConversations, word: str):
    changing.replace(assessed("a", user(f"say {word} now"), reply("ok")))
    assert found(changing, word) == ["a"]
