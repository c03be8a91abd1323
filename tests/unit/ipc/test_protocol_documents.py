"""Documents on disk: they come back as they were, and changed ones are noticed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import DataChangedError, ProtocolError
from allie_desktop.domain.events import Job, Stop
from allie_desktop.domain.planning import (
    BaseModel,
    Budget,
    Example,
    LoraGeometry,
    Message,
    Plan,
    Recipe,
    material_digest,
)
from allie_desktop.domain.quality import TargetOrigin
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

WHEN = datetime(2026, 3, 1, 2, 30, tzinfo=timezone.utc)


def example(number: int, text: str = "My sister is called Ada.") -> Example:
    return Example(
        id=f"e{number}",
        conversation_id=f"c{number}",
        group=f"g{number}",
        origin=TargetOrigin.EDIT,
        messages=(
            Message(role=Role.USER, content="What is my sister called?"),
            Message(role=Role.ASSISTANT, content=text, weight=1.0),
        ),
    )


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "id": "20260301-a",
        "created_at": WHEN,
        "seed": 7,
        "base": BaseModel(name="tiny", path="/models/tiny.gguf", sha256="ab" * 32),
        "parent": "v1.0",
        "geometry": LoraGeometry(),
        "recipe": Recipe(),
        "budget": Budget(),
        "train": (example(1), example(2)),
        "validation": (example(3),),
        "holdout": (),
        "phrasings": (),
        "replay": (),
        "replay_holdout": (),
        "conversation_ids": ("c1", "c2"),
        "left_out": {"too short": 3, "duplicate": 1},
    }
    return Plan(**{**values, **changes})


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
                    step=1, loss=losses[0], replay_loss=None, kl=0.1, ewc=None, gradient_norm=1.0, learning_rate=0.1
                ),
            ),
            held_out=(HeldOutPoint(step=1, loss=losses[0], kl=0.0),),
        ),
        measurements=Measurements(
            paired={
                "new": PairedMeasure(name="new", unit="nats/token", base=losses, active=losses, candidate=losses)
            },
            samples=(AnswerSample(prompt="p", reference="r", base="b", active="a", candidate="c", kind="taught"),),
        ),
        seconds={"train": 3.0},
    )


DOCUMENTS = [
    plan(),
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
    other = plan(left_out={"duplicate": 1, "too short": 3})

    assert encode_document(other) == encode_document(plan())
    assert plan_digest(other) == plan_digest(plan())


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


@pytest.mark.parametrize("text", ["NaN", "\ud800", "\u202eabc", "👩‍👩‍👧", "a\u0000b", '{"$float": "nan"}', ""])
def test_a_plan_keeps_every_text_as_it_is(text: str) -> None:
    odd = seal_plan(plan(train=(example(1, text),)))

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
        (encode_document(plan()).replace(b'"seed": 7', b'"seed": "7"'), "Expected `int`, got `str` - at `$.seed`"),
        (encode_document(plan()).replace(b'"edit"', b'"guess"'), "Invalid enum value 'guess' - at `$.train[0].origin`"),
        (encode_document(plan())[:-40], "not JSON"),
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
    sloppy = plan(recipe=Recipe(epochs=8, learning_rate=1))
    sealed = seal_plan(sloppy)

    assert sealed.digest == plan_digest(sloppy)
    assert plan_digest(decode_document(encode_document(sealed), Plan)) == sealed.digest


def test_sealing_twice_changes_nothing() -> None:
    assert seal_plan(seal_plan(plan())) == seal_plan(plan())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"parent": None},
        {"created_at": WHEN + timedelta(microseconds=1)},
        {"recipe": Recipe(epochs=7.0)},
        {"train": (example(2), example(1))},
        {"conversation_ids": ("c2", "c1")},
    ],
)
def test_every_change_changes_the_digest(change: dict[str, Any]) -> None:
    assert plan_digest(plan(**change)) != plan_digest(plan())


def test_a_plan_of_wrong_types_cannot_be_sealed() -> None:
    with pytest.raises(DataChangedError, match="not well formed"):
        seal_plan(plan(seed="seven"))


def test_a_plan_is_loaded_when_it_is_the_one_that_was_hashed(tmp_path: Path) -> None:
    sealed = seal_plan(plan())
    file = tmp_path / "plan.json"
    file.write_bytes(encode_document(sealed))

    assert load_plan(file, sealed.digest) == sealed


def test_a_plan_with_windows_newlines_and_a_byte_order_mark_is_still_the_same_plan(tmp_path: Path) -> None:
    sealed = seal_plan(plan())
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
    sealed = seal_plan(plan(replay=(example(9),)))
    file = tmp_path / "plan.json"
    file.write_bytes(_edited(encode_document(sealed), key, value))

    with pytest.raises(DataChangedError, match="was changed after it was made"):
        load_plan(file, sealed.digest)


def test_another_plan_is_refused_though_it_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(encode_document(seal_plan(plan(seed=8))))

    with pytest.raises(DataChangedError, match="was changed"):
        load_plan(file, seal_plan(plan()).digest)


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
    tomorrow = plan(id="other", seed=9, created_at=WHEN + timedelta(days=1), conversation_ids=("c2", "c1"))

    assert material_digest(tomorrow) == material_digest(plan())


@pytest.mark.parametrize(
    "change",
    [{"conversation_ids": ("c1",)}, {"conversation_ids": ("c1c2",)}, {"parent": None}, {"parent": "v1.1"}],
)
def test_other_material_or_another_parent_is_other_material(change: dict[str, Any]) -> None:
    assert material_digest(plan(**change)) != material_digest(plan())
    assert material_digest(replace(plan(), base=replace(plan().base, sha256="cd"))) != material_digest(plan())
