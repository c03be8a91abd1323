"""The probes that come with the program, and which of them an episode asks."""

from __future__ import annotations

from collections import Counter

import pytest

from allie_desktop.domain.errors import AllieError
from allie_desktop.paths import resource
from allie_desktop.safety.probes import Probes
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


def test_no_probe_is_abuse_itself(probes):
    toxicity = LexiconToxicity()
    texts = [text for pair in probes.requests for text in (pair.unsafe, pair.safe)]
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
    few = Probes(requests=probes.requests[:3], sentences=())
    assert few.asked(10, seed=7) == few.requests


@pytest.mark.parametrize("content", ["", "{", '{"kind": "x"}\n', "[1]\n", "\n\n"])
def test_probes_that_are_not_whole_are_an_error(tmp_path, content):
    (tmp_path / "refusals.jsonl").write_text(content, "utf-8")
    (tmp_path / "bias.jsonl").write_text(content, "utf-8")
    with pytest.raises(AllieError, match=r"refusals\.jsonl") as error:
        Probes.read(tmp_path)
    assert error.value.remedy
