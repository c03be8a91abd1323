"""The sample conversations, the questions about them, and the home they are learnt in."""

from __future__ import annotations

import pytest

from allie_desktop.cli.demonstration import Question, _home, load_questions
from allie_desktop.domain.conversation import Conversation, Role
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.phrasing import held_out_phrasings, phrasings
from allie_desktop.imports.registry import read
from allie_desktop.paths import resource


@pytest.fixture(scope="module")
def samples():
    return list(read(resource("sample_conversations.jsonl"), "auto"))


def test_the_samples_are_ten_corrected_facts_and_forty_four_good_talks(samples):
    assert all(isinstance(record, Conversation) for record in samples)
    taught = [c for c in samples if any(turn.correction for turn in c.turns)]

    assert (len(samples), len(taught)) == (54, 10)
    assert {sum(t.role is Role.USER for t in c.turns) for c in samples} == {1, 2, 3}
    assert len({c.id for c in samples}) == 54


def test_every_fact_is_asked_as_taught_and_in_other_words(samples):
    corrections = {c.turns[0].content: c.turns[1].correction for c in samples if c.turns[1].correction}
    questions = load_questions()
    asked, unseen = questions[:10], questions[10:]

    assert {q.text for q in asked} == corrections.keys()
    assert all(q.is_right(corrections[q.text]) for q in asked)
    assert all(q.as_taught for q in asked)
    assert not any(q.as_taught for q in unseen)
    assert [q.expected for q in asked] == [q.expected for q in unseen]
    assert len({q.text for q in questions}) == 20


def test_the_unseen_questions_are_none_that_training_makes():
    asked, unseen = load_questions()[:10], load_questions()[10:]

    for question, other in zip(asked, unseen, strict=True):
        for seed in range(20):
            made = {*phrasings(question.text, 32, seed), *held_out_phrasings(question.text, seed)}
            assert other.text.casefold().strip("?!. ") not in {m.casefold().strip("?!. ") for m in made}


def test_an_answer_is_right_when_it_has_what_was_taught():
    question = Question(text="", as_taught=True, expected=("ninth of March", "9 March"))

    assert question.is_right("It is on the NINTH OF MARCH, of course.")
    assert question.is_right("9 March")
    assert not question.is_right("In March.")
    assert not question.is_right("")


def test_a_throw_away_home_is_gone_afterwards():
    with _home(None) as folder:
        (folder / "file").write_text("x")
        assert folder.is_dir()

    assert not folder.exists()


def test_a_kept_home_stays(tmp_path):
    with _home(str(tmp_path / "kept")) as folder:
        folder.mkdir()
        (folder / "file").write_text("x")

    assert (tmp_path / "kept" / "file").exists()


def test_a_folder_with_something_in_it_is_never_used(tmp_path):
    (tmp_path / "mine").write_text("x")

    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(BadInputError, match="not an empty folder"), _home(str(folder)):
            raise AssertionError("entered")
