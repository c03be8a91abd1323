"""Asking a chosen version, over real sealed folders, with both engines."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from allie_desktop.domain.errors import UnknownVersionError, VersionCorruptError
from allie_desktop.domain.versions import VersionMetadata
from allie_desktop.inference.answering import Answer, Answerer
from allie_desktop.inference.engines import LocalEngines
from allie_desktop.inference.prompts import PromptTooLongError
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.store.version_folders import VersionFolders

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.fixture(params=["gguf", "folder"])
def base(request, twins, tmp_path):
    return resolve_base(str(getattr(twins, request.param)), tmp_path / "cache")


@pytest.fixture
def versions(tmp_path, twins, base):
    folders = VersionFolders(tmp_path / "models", base_name=base.name, base_sha256=base.sha256)
    metadata = VersionMetadata(
        version="v1.0",
        parent=None,
        base_name=base.name,
        base_sha256=base.sha256,
        created_at=NOW,
        episode_id="e1",
        plan_digest="",
        conversations=1,
    )
    folders.seal("v1.0", twins.adapter, metadata, ())
    return folders


@pytest.fixture
def answerer(versions, base, tmp_path):
    engines = LocalEngines(
        versions, lambda: base, cache=tmp_path / "cache", converted=tmp_path / "converted", device="cpu"
    )
    return Answerer(versions, lambda: engines)


def ask(answerer, *prompts, **options):
    return answerer.ask(prompts, greedy=True, max_tokens=8, **options)


def test_the_active_version_answers_unless_another_is_asked_for(answerer, versions):
    base = ask(answerer, "Hi")
    versions.activate("v1.0", fallback="base", reason="", at=NOW)
    active = ask(answerer, "Hi")

    assert [base[0].version, active[0].version] == ["base", "v1.0"]
    assert base[0].answer != active[0].answer
    assert ask(answerer, "Hi", version="base") == base


def test_an_answer_is_heard_piece_by_piece(answerer):
    pieces = []
    (answer,) = answerer.ask(["Hi"], greedy=True, max_tokens=8, heard=pieces.append)

    assert "".join(pieces).rstrip() == answer.answer
    assert len(pieces) > 1
    assert all(pieces)


def test_drawn_answers_vary_and_those_of_a_seed_do_not(answerer):
    def drawn(seed):
        found = answerer.ask(["Hi"], max_tokens=8, temperature=1.5, top_p=1.0, seed=seed)
        return found[0].answer

    assert drawn(3) == drawn(3)
    assert len({drawn(None) for _ in range(5)}) > 1


def test_answers_come_in_order_and_nothing_asked_is_nothing_said(answerer):
    alone = ask(answerer, "Hi")[0]

    assert ask(answerer, "", "Hi", "  ") == [
        Answer(answer="", version="base"),
        alone,
        Answer(answer="", version="base"),
    ]


def test_the_model_is_not_loaded_for_nothing(versions):
    def never():
        raise AssertionError("loaded")

    assert ask(Answerer(versions, never), "", " ") == [Answer(answer="", version="base")] * 2
    assert ask(Answerer(versions, never)) == []


def test_an_unknown_version_is_refused_with_the_known_ones(answerer):
    with pytest.raises(UnknownVersionError) as caught:
        ask(answerer, "Hi", version="v9.9")

    assert caught.value.remedy == "There are: base, v1.0."
    assert caught.value.exit_code == 2


def test_a_changed_version_is_refused_before_the_model_is_loaded(versions):
    file = next(path for path in versions.folder.rglob("adapter_model.safetensors"))
    file.chmod(0o600)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)

    with pytest.raises(VersionCorruptError):
        ask(Answerer(versions, lambda: None), "Hi", version="v1.0")


def test_a_prompt_that_is_too_long_is_named_by_its_place(answerer):
    with pytest.raises(PromptTooLongError) as caught:
        ask(answerer, "", "Hi", "", "x" * 3000)

    assert caught.value.index == 3
