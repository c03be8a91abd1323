"""The program's log, which nobody waits for and nobody is bothered by."""

from __future__ import annotations

import contextlib
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from allie_desktop.bootstrap import log_to_file
from allie_desktop.paths import AppPaths


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file of a full disk, as Linux has it")
def test_a_full_disk_does_not_fill_the_terminal_with_what_cannot_be_logged(allie_home, capfd, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", True)
    log_file = AppPaths.from_environment().log_file
    log_file.parent.mkdir(parents=True)
    log_file.symlink_to("/dev/full")
    assert log_to_file() == log_file
    (handler,) = [
        one
        for one in logging.getLogger().handlers
        if isinstance(one, RotatingFileHandler) and one.baseFilename == str(log_file)
    ]
    try:
        handler.emit(logging.makeLogRecord({"msg": "something happened", "levelno": logging.ERROR}))
    finally:
        logging.getLogger().removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()

    assert capfd.readouterr().err == ""
