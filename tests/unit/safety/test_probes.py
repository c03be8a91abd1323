"""The probes that come with the program, and which of them an episode asks."""

from __future__ import annotations

import re
import shutil
from collections import Counter

import pytest

from allie_desktop.domain.errors import AllieError
from allie_desktop.paths import resource
from allie_desktop.safety.probes import Probes, agreement
from allie_desktop.safety.toxicity import LexiconToxicity


@pytest.fixture(scope="module")
def probes():
    return Probes.read(resource("probes"))


def test_there_are_enough_requests_of_several_kinds(probes):
    assert len(probes.requests) >= 40
    assert min(Counter(pair.kind for pair in probes.requests).values()) >= 4
    texts = [text for pair in probes.requests for text in (pair.unsafe, pair.safe)]
    assert len(set(texts)) == len(texts)


def test_there_are_enough_pairs_of_sentences_of_several_groups(probes):
    assert len(probes.sentences) >= 60
    groups = Counter(pair.group for pair in probes.sentences)
    assert len(groups) >= 8
    assert min(groups.values()) >= 6


def test_the_sentences_of_a_pair_differ_in_a_few_words_alone(probes):
    for pair in probes.sentences:
        more, less = set(pair.more.lower().split()), set(pair.less.lower().split())
        assert more != less
        assert len(more & less) >= 3, pair
        assert abs(len(pair.more.split()) - len(pair.less.split())) <= 1, pair


def test_the_replies_of_a_pair_are_about_as_long_and_stand_for_themselves(probes):
    assert len(probes.replies) >= 24
    assert len(Counter(pair.kind for pair in probes.replies)) >= 8
    texts = [text for pair in probes.replies for text in (pair.asked, pair.kind_reply, pair.unkind_reply)]
    assert len(set(texts)) == len(texts)
    for pair in probes.replies:
        kind, unkind = len(pair.kind_reply.split()), len(pair.unkind_reply.split())
        assert 0.7 <= kind / unkind <= 1.5, pair


def test_an_episode_weighs_replies_of_all_kinds(probes):
    replied = probes.replied(12, seed=3)
    assert len(set(replied)) == 12
    assert {pair.kind for pair in replied} == {pair.kind for pair in probes.replies}
    assert {pair for seed in range(24) for pair in probes.replied(12, seed=seed)} == set(probes.replies)


def test_no_probe_is_abuse_itself_but_what_is_to_be_unlikely(probes):
    toxicity = LexiconToxicity()
    texts = [text for pair in probes.requests for text in (pair.unsafe, pair.safe)]
    texts += [text for pair in probes.replies for text in (pair.asked, pair.kind_reply)]
    assert [text for text in texts if toxicity.score(text) >= 0.7] == []


def test_an_episode_asks_of_all_kinds_and_the_next_one_others(probes):
    first, second = probes.asked(10, seed=1), probes.asked(10, seed=2)
    assert len(set(first)) == len(set(second)) == 10
    assert first == probes.asked(10, seed=1)
    assert set(first).isdisjoint(second)
    assert len({pair.kind for pair in first}) >= 7
    assert {pair for seed in range(45) for pair in probes.asked(10, seed=seed)} == set(probes.requests)


def test_sentences_are_of_all_groups_too(probes):
    said = probes.said(40, seed=3)
    assert len(set(said)) == 40
    assert {pair.group for pair in said} == {pair.group for pair in probes.sentences}
    assert set(said) != set(probes.said(40, seed=4))


def test_of_few_requests_all_are_asked(probes):
    few = Probes(requests=probes.requests[:3], sentences=(), replies=())
    assert few.asked(10, seed=7) == few.requests


@pytest.mark.parametrize("content", ["", "{", '{"kind": "x"}\n', "[1]\n", "\n\n"])
def test_probes_that_are_not_whole_are_an_error(tmp_path, content):
    (tmp_path / "refusals.jsonl").write_text(content, "utf-8")
    (tmp_path / "bias.jsonl").write_text(content, "utf-8")
    (tmp_path / "manners.jsonl").write_text(content, "utf-8")
    with pytest.raises(AllieError, match=r"refusals\.jsonl") as error:
        Probes.read(tmp_path)
    assert error.value.remedy


@pytest.mark.parametrize("missing", ["refusals.jsonl", "bias.jsonl", "manners.jsonl"])
def test_no_kind_of_probes_may_be_missing(tmp_path, missing):
    shutil.copytree(resource("probes"), tmp_path / "probes")
    (tmp_path / "probes" / missing).unlink()
    with pytest.raises(AllieError, match=re.escape(missing)):
        Probes.read(tmp_path / "probes")


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        (["A week has 7 days.", "a week has 7 days"], 1.0),
        (["It has 8.", "A spider is an animal, and it has 8 legs."], 1.0),  # brevity is no contradiction
        (["Mars.", "The planet is called Earth."], 0.0),
        (["We live on Earth.", "We live on Mars."], 0.75),
        (["yes", "no", "yes"], 1 / 3),
        (["", "It is 8."], 0.0),
        (["", ""], 1.0),
        (["alone"], 1.0),
        ([], 1.0),
    ],
)
def test_agreement_is_the_share_of_words_that_the_shorter_answer_has_in_common(answers, share):
    assert agreement(answers) == pytest.approx(share)
