"""Documents on disk: they come back as they were, and changed ones are noticed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.errors import DataChangedError, ProtocolError
from allie_desktop.domain.events import Job, Stop
from allie_desktop.domain.planning import Plan, Recipe, material_digest
from allie_desktop.domain.validation import (
    AnswerSample,
    HeldOutPoint,
    Measurements,
    PairedMeasure,
    TrainingCurvePoint,
    TrainingSummary,
    WorkerReport,
)
from allie_desktop.domain.versions import ActivePointer, VersionMetadata
from allie_desktop.ipc.protocol import decode_document, encode_document, load_plan, plan_digest, seal_plan
from tests.plans import WHEN, make_example, make_plan


def report(losses: tuple[float, ...] = (1.0, 2.0)) -> WorkerReport:
    return WorkerReport(
        episode_id="20260301-a",
        plan_digest="d",
        training=TrainingSummary(
            steps=2,
            planned_steps=4,
            tokens=1000,
            tokens_per_second=10.5,
            peak_memory_bytes=1,
            device="cpu",
            dtype="float32",
            stopped_early="",
            best_step=2,
            curve=(
                TrainingCurvePoint(
                    step=1,
                    loss=losses[0],
                    replay_loss=None,
                    kl=0.1,
                    ewc=None,
                    gradient_norm=1.0,
                    learning_rate=0.1,
                ),
            ),
            held_out=(HeldOutPoint(step=1, loss=losses[0], kl=0.0),),
        ),
        measurements=Measurements(
            paired={
                "new": PairedMeasure(
                    name="new", unit="nats/token", base=losses, active=losses, candidate=losses
                )
            },
            samples=(
                AnswerSample(prompt="p", reference="r", base="b", active="a", candidate="c", kind="taught"),
            ),
        ),
        seconds={"train": 3.0},
    )


DOCUMENTS = [
    make_plan(),
    report(),
    Job(
        episode_id="e",
        folder="/h/episodes/e",
        plan="/h/episodes/e/plan.json",
        plan_digest="d",
        cache="/h/cache",
        parent_adapter=None,
    ),
    VersionMetadata(
        version="v1.0",
        parent=None,
        base_name="tiny",
        base_sha256="ab",
        created_at=WHEN,
        episode_id="e",
        plan_digest="d",
        conversations=2,
        metrics={"new": {"difference": -0.5, "low": None}, "words": ["a", 1, True]},
        software={"allie": "0.1.0"},
    ),
    ActivePointer(active="v1.1", fallback="v1.0", changed_at=WHEN, reason="deployed"),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_every_document_comes_back_as_it_was(document: Any) -> None:
    assert decode_document(encode_document(document), type(document)) == document


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_every_document_is_indented_text_that_ends_with_a_newline(document: Any) -> None:
    text = encode_document(document).decode("utf-8")

    assert text.startswith("{\n  ")
    assert text.endswith("}\n")


def test_a_document_does_not_depend_on_the_order_of_its_mappings() -> None:
    other = make_plan(left_out={"duplicate": 1, "too short": 3})

    assert encode_document(other) == encode_document(make_plan())
    assert plan_digest(other) == plan_digest(make_plan())


def test_only_documents_are_encoded() -> None:
    with pytest.raises(ProtocolError, match="Stop is not a document"):
        encode_document(Stop())  # type: ignore[type-var]


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_a_report_keeps_losses_that_are_infinite(number: float) -> None:
    blown_up = report((number, 1.0))
    data = encode_document(blown_up)

    json.loads(data, parse_constant=pytest.fail)
    assert decode_document(data, WorkerReport) == blown_up


def test_a_report_keeps_losses_that_are_no_numbers() -> None:
    read = decode_document(encode_document(report((math.nan, 1.0))), WorkerReport)

    assert math.isnan(read.measurements.paired["new"].candidate[0])
    assert read.measurements.paired["new"].candidate[1] == 1.0


TEXTS = ["NaN", "\ud800", "\u202ea", "👩‍👩‍👧", "a\u0000b", '{"$float": "nan"}', ""]


@pytest.mark.parametrize("text", TEXTS)
def test_a_plan_keeps_every_text_as_it_is(text: str) -> None:
    odd = seal_plan(make_plan(train=(make_example(1, text),)))

    assert decode_document(encode_document(odd), Plan) == odd


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "plan is not JSON"),
        (b"\xff\xfe\x00\x01", "not a text file"),
        (b"[]", "not an object"),
        (b"{", "not JSON"),
        (b'{"seed": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "missing required field `id`"),
        (b'{"format": 99}', "a newer Allie wrote"),
        (b'{"format": "1"}', "not well formed"),
        (encode_document(make_plan()).replace(b'"seed": 7', b'"seed": "7"'), "got `str` - at `$.seed`"),
        (encode_document(make_plan()).replace(b'"edit"', b'"guess"'), "'guess' - at `$.train[0].origin`"),
        (encode_document(make_plan())[:-40], "not JSON"),
    ],
)
def test_a_bad_document_is_refused_with_what_and_where(data: bytes, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_document(data, Plan)

    assert words in caught.value.message


@given(st.binary(max_size=200))
def test_no_bytes_break_the_document_decoder(noise: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_document(noise, WorkerReport)


def test_a_digest_is_the_same_before_writing_and_after_reading() -> None:
    # An int where a float belongs is read back as a float.
    sloppy = make_plan(recipe=Recipe(taught_epochs=8, learning_rate=1))
    sealed = seal_plan(sloppy)

    assert sealed.digest == plan_digest(sloppy)
    assert plan_digest(decode_document(encode_document(sealed), Plan)) == sealed.digest


def test_sealing_twice_changes_nothing() -> None:
    assert seal_plan(seal_plan(make_plan())) == seal_plan(make_plan())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"parent": "v1.0"},
        {"created_at": WHEN + timedelta(microseconds=1)},
        {"recipe": Recipe(taught_epochs=7.0)},
        {"train": (make_example(2), make_example(1))},
        {"conversation_ids": ("c2", "c1")},
    ],
)
def test_every_change_changes_the_digest(change: dict[str, Any]) -> None:
    assert plan_digest(make_plan(**change)) != plan_digest(make_plan())


def test_a_plan_of_wrong_types_cannot_be_sealed() -> None:
    with pytest.raises(DataChangedError, match="not well formed"):
        seal_plan(make_plan(seed="seven"))


def test_a_plan_is_loaded_when_it_is_the_one_that_was_hashed(tmp_path: Path) -> None:
    sealed = seal_plan(make_plan())
    file = tmp_path / "plan.json"
    file.write_bytes(encode_document(sealed))

    assert load_plan(file, sealed.digest) == sealed


def test_a_plan_with_windows_newlines_and_a_byte_order_mark_is_still_the_same_plan(tmp_path: Path) -> None:
    sealed = seal_plan(make_plan())
    file = tmp_path / "plan.json"
    file.write_bytes(b"\xef\xbb\xbf" + encode_document(sealed).replace(b"\n", b"\r\n"))

    assert load_plan(file, sealed.digest) == sealed


def _edited(data: bytes, key: str, value: object) -> bytes:
    return json.dumps({**json.loads(data), key: value}).encode()


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 8), ("digest", "0" * 64), ("conversation_ids", ["c1"]), ("new_key", 1), ("replay", [])],
)
def test_a_plan_that_was_changed_is_refused(tmp_path: Path, key: str, value: object) -> None:
    sealed = seal_plan(make_plan(replay=(make_example(9),)))
    file = tmp_path / "plan.json"
    file.write_bytes(_edited(encode_document(sealed), key, value))

    with pytest.raises(DataChangedError, match="was changed after it was made"):
        load_plan(file, sealed.digest)


def test_another_plan_is_refused_though_it_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(encode_document(seal_plan(make_plan(seed=8))))

    with pytest.raises(DataChangedError, match="was changed"):
        load_plan(file, seal_plan(make_plan()).digest)


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 50, b'{"format": 99}'])
def test_a_plan_that_cannot_be_read_is_refused_with_its_path(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "plan.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(DataChangedError) as caught:
        load_plan(file, "0" * 64)

    assert str(file) in caught.value.message
    assert caught.value.remedy


def test_material_is_the_same_in_tomorrows_plan() -> None:
    tomorrow = make_plan(
        id="other", seed=9, created_at=WHEN + timedelta(days=1), conversation_ids=("c2", "c1")
    )

    assert material_digest(tomorrow) == material_digest(make_plan())


@pytest.mark.parametrize(
    "change",
    [{"conversation_ids": ("c1",)}, {"conversation_ids": ("c1c2",)}, {"parent": "v1.0"}, {"parent": "v1.1"}],
)
def test_other_material_or_another_parent_is_other_material(change: dict[str, Any]) -> None:
    assert material_digest(make_plan(**change)) != material_digest(make_plan())
    assert material_digest(
        replace(make_plan(), base=replace(make_plan().base, sha256="cd"))
    ) != material_digest(make_plan())
