"""A log that is bounded on the disk and never in the way."""

from __future__ import annotations

from pathlib import Path

from allie_desktop.ipc.worker_log import WorkerLog


def test_what_is_written_is_appended_over_objects(tmp_path: Path) -> None:
    WorkerLog(tmp_path / "worker.log").write(b"one\n")
    log = WorkerLog(tmp_path / "worker.log")
    log.note("two")

    assert (tmp_path / "worker.log").read_text() == "one\n[allie] two\n"
    assert log.tail == "[allie] two\n"


def test_a_full_file_becomes_the_older_one(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "worker.log", maximum_bytes=10)
    for text in (b"aaaaaa", b"bbbbbb", b"cccccc"):
        log.write(text)

    assert (tmp_path / "worker.log").read_bytes() == b"cccccc"
    assert (tmp_path / "worker.log.1").read_bytes() == b"bbbbbb"
    assert log.tail == "aaaaaabbbbbbcccccc"


def test_of_more_than_fits_the_end_is_kept(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "worker.log", maximum_bytes=10)
    log.write(b"0123456789abcdef")

    assert (tmp_path / "worker.log").read_bytes() == b"6789abcdef"


def test_the_tail_in_memory_is_bounded_and_text(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "worker.log")
    log.write(b"\xff" * 100_000)

    assert log.tail == "\ufffd" * 8192


def test_a_log_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "missing" / "worker.log")
    log.write(b"still remembered")

    assert log.tail == "still remembered"
