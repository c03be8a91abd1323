"""What the fuzzing campaign found once, each in its smallest form."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest

from allie_desktop.cli.preferences import parsed
from allie_desktop.domain.conversation import MAXIMUM_TURN_CHARACTERS, Conversation
from allie_desktop.domain.errors import (
    BadInputError,
    CorruptModelError,
    DataChangedError,
    ImportFileError,
    ProtocolError,
    VersionCorruptError,
)
from allie_desktop.domain.settings import option_specs
from allie_desktop.domain.versions import ActivePointer, VersionName
from allie_desktop.imports.registry import MAXIMUM_REFUSALS, read
from allie_desktop.inference.gguf_adapter import convert_adapter
from allie_desktop.ipc.draft_file import forget_drafts
from allie_desktop.ipc.process import end_leftover
from allie_desktop.ipc.protocol import decode_document, encode_document, load_plan
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.gguf_header import read_header
from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.safety.refusals import Reply, judged
from allie_desktop.store.adapter_files import check_adapter
from allie_desktop.store.database import Database
from allie_desktop.store.settings import SqliteSettings
from tests.adapters import write_adapter
from tests.fuzz.model_targets import gguf, sound_fields
from tests.plans import make_plan

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("name", ["v1." + "9" * 5000, "v1.٣", "v１.0", "v1.1234567890"])
def test_digits_that_no_version_has_are_no_version_name(name: str) -> None:
    with pytest.raises(BadInputError, match="is not a version name"):
        VersionName.parse(name)


def test_half_a_surrogate_pair_for_a_time_is_a_damaged_document() -> None:
    data = b'{"active": "base", "fallback": "base", "changed_at": "\\ud800"}'

    with pytest.raises(ProtocolError, match="is not well formed"):
        decode_document(data, ActivePointer)


def test_half_a_surrogate_pair_in_a_plan_is_a_changed_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan = json.loads(encode_document(make_plan()))
    path.write_text(json.dumps({**plan, "created_at": "\ud800"}))

    with pytest.raises(DataChangedError):
        load_plan(path, "d" * 64)


@pytest.mark.parametrize("pid", [DEEP, '{"pid": 1e400, "started": 1}', f'{{"pid": {2**70}, "started": 1}}'])
def test_a_record_of_a_worker_that_makes_no_sense_is_none(tmp_path: Path, pid: str) -> None:
    (tmp_path / "worker.pid").write_text(pid)

    assert not end_leftover(tmp_path, grace_seconds=0)


def test_a_saved_setting_that_is_nested_beyond_reading_is_left_out(tmp_path: Path) -> None:
    with Database.open(tmp_path / "allie.sqlite3") as database:
        settings = SqliteSettings(database)
        settings.save("idle_minutes", 7.0)
        with database.transaction() as connection:
            connection.execute("INSERT INTO settings (name, value) VALUES ('min_quality', ?)", (DEEP,))

        assert settings.load() == {"idle_minutes": 7.0}


def test_a_number_that_is_nested_beyond_reading_is_a_text() -> None:
    spec = next(spec for spec in option_specs() if spec.name == "idle_minutes")

    assert parsed(spec, DEEP) == DEEP


def test_drafts_that_are_nested_beyond_reading_are_deleted(tmp_path: Path) -> None:
    path = tmp_path / "drafts.json"
    path.write_text(DEEP)

    forget_drafts(path, ["c1"])

    assert not path.exists()


@pytest.mark.parametrize("text", ["", "7", "{}", '{"curve": [1], "held_out": []}', DEEP])
def test_a_training_that_nobody_can_read_has_not_ended(tmp_path: Path, text: str) -> None:
    from allie_desktop.learning.session import _TRAINED, Session

    session = Session.__new__(Session)
    session._attempt = tmp_path
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / _TRAINED).write_text(text)

    assert session._read_trained() is None


@pytest.mark.parametrize("text", ['{"asked": 1e400, "fruitless": 0, "rows": []}', DEEP])
def test_a_general_set_that_makes_no_sense_is_made_anew(tmp_path: Path, text: str) -> None:
    from allie_desktop.learning.general_set import _read

    (tmp_path / "general.json").write_text(text)

    assert _read(tmp_path / "general.json").sequences == []


def test_a_gguf_file_of_lists_in_lists_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    deep = struct.pack("<IQ", 9, 1) * 50_000
    path.write_bytes(gguf([("general.architecture", struct.pack("<I", 9) + deep)], {}))

    with pytest.raises(CorruptModelError, match="is truncated or damaged"):
        read_header(path)


def test_tokens_that_are_no_list_are_none(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    number = struct.pack("<II", 4, 7)
    names = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.bos_token_id")
    path.write_bytes(gguf([(name, number) for name in names], {}))

    header = read_header(path)

    assert (header.control_tokens, header.token("bos")) == ((), "")


@pytest.mark.timeout(60)
def test_a_base_model_that_counts_beyond_its_end_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    endless = struct.pack("<IIQ", 9, 4, 2**62)
    path.write_bytes(gguf([*sound_fields(), ("tokenizer.ggml.scores", endless)], {}))

    with pytest.raises(CorruptModelError, match="is truncated or damaged"):
        resolve_base(str(path), tmp_path / "cache")


def test_a_file_without_a_name_in_a_zip_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.txt", "")
        archive.writestr("folder.json/", "")
    path.write_bytes(path.read_bytes().replace(b"x.txt", b"\x00.txt"))  # zipfile cuts names at NUL

    with pytest.raises(ImportFileError, match="There are no conversations"):
        list(read(path))


@pytest.mark.parametrize("alpha", ["1" + "0" * 400, "1e999", "NaN"])
def test_an_adapter_with_an_alpha_beyond_all_numbers_is_not_converted(tmp_path: Path, alpha: str) -> None:
    adapter = write_adapter(
        tmp_path / "adapter",
        files={"adapter_config.json": f'{{"peft_type": "LORA", "r": 1, "lora_alpha": {alpha}}}'.encode()},
    )
    (tmp_path / "base.gguf").write_bytes(gguf(sound_fields(), {}))

    with pytest.raises(VersionCorruptError, match="gives no rank and no alpha"):
        convert_adapter(adapter, tmp_path / "base.gguf", tmp_path / "out.gguf")


def test_a_damaged_adapter_is_refused_in_a_short_sentence(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "x" * 50_000, "shape": [1], "data_offsets": [0, 4]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(4)
    adapter = write_adapter(tmp_path / "adapter", files={"adapter_model.safetensors": data})

    with pytest.raises(CorruptModelError) as refused:
        check_adapter(adapter)

    assert len(str(refused.value)) < 500


@pytest.mark.timeout(30)
def test_the_longest_turn_of_nothing_but_numbers_is_redacted_in_time() -> None:
    table = "12 34 56 " * (MAXIMUM_TURN_CHARACTERS // 9)

    assert TextRedactor().redact(table) == (table, {})


@pytest.mark.timeout(30)
def test_a_reply_of_nothing_but_lines_is_judged_in_time() -> None:
    assert judged("No, " + "\n" * 200_000 + "x") is Reply.DECLINES


@pytest.mark.timeout(60)
def test_a_small_archive_of_millions_of_empty_records_is_left_in_time(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    talk = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", json.dumps(talk) + "\n" + "{}\n" * 20_000_000)

    first, *refusals = read(path)

    assert isinstance(first, Conversation)
    assert len(refusals) == MAXIMUM_REFUSALS + 1
    assert refusals[-1].reason == "More than 200,000 were refused in the same way; the rest was not read."
