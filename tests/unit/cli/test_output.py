"""What the command line prints."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType

import pytest

from allie_desktop.cli import output
from allie_desktop.domain.conversation import ImportSummary, Refusal
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.versions import VersionState


def test_everything_that_flows_has_a_json_form():
    document = {
        "summary": ImportSummary(
            imported=1, duplicates=0, refused=(Refusal(file="a.json", line=None, reason="It is “empty”."),)
        ),
        "state": VersionState.ACTIVE,
        "at": datetime(2026, 3, 1, tzinfo=timezone.utc),
        "path": Path("a"),
        "mapping": MappingProxyType({"x": 1.5}),
        "nan": float("nan"),
    }

    assert json.loads(output.to_json(document)) == {
        "summary": {
            "imported": 1,
            "duplicates": 0,
            "refused": [{"file": "a.json", "line": None, "reason": "It is “empty”."}],
        },
        "state": "active",
        "at": "2026-03-01T00:00:00Z",
        "path": "a",
        "mapping": {"x": 1.5},
        "nan": None,
    }


@pytest.mark.parametrize(
    "text", ["héllo 你好 🙂", "\ud800 half a pair", "\x00\x1b[31m", 'quote " and \\', "\u202e"]
)
def test_every_text_survives_json(text):
    assert json.loads(output.to_json({"text": text})) == {"text": text}


def test_an_error_is_a_document_with_its_exit_code(capsys):
    output.print_error(BadInputError("There is no such file.", "Check its name."), as_json=True)

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"message": "There is no such file.", "remedy": "Check its name.", "exit_code": 2}
    }
    assert err == ""


def test_an_error_for_a_person_goes_to_stderr(capsys):
    output.print_error(BadInputError("There is no such file.", "Check its name."), as_json=False)

    assert capsys.readouterr() == ("", "There is no such file. Check its name.\n")


def test_a_text_cannot_steer_the_terminal(capsys):
    output.say("\x1b]0;title\x07 \x1b[2J \u202egnp.exe\x9b1m ok\ttab\nline")

    printed = capsys.readouterr().out
    assert printed == "�]0;title� �[2J �gnp.exe�1m ok\ttab\nline\n"


def test_emoji_families_and_accents_are_printed_whole(capsys):
    output.say("👨‍👩‍👧 é العربية")

    assert capsys.readouterr().out == "👨‍👩‍👧 é العربية\n"


def test_a_terminal_without_utf8_gets_what_it_can_show(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    output.say("naïve 🙂")

    assert stream.buffer.getvalue() == b"na?ve ?\n"


def test_a_table_in_a_pipe_has_no_frame_and_cuts_nothing(capsys):
    output.print_table(("Id", "Title"), [("a1", "x" * 120), ("b2", "[bold]not markup[/bold]")])

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["Id  Title", "a1  " + "x" * 120, "b2  [bold]not markup[/bold]"]


def test_reserved_stdout_carries_nothing_but_json():
    program = (
        "import os, sys\n"
        "from allie_desktop.cli import output\n"
        "output.reserve_stdout_for_json()\n"
        "print('a library talks')\n"
        "os.write(1, b'native code talks\\n')\n"
        "output.print_json({'a': 'é'})\n"
        "print('and talks')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == '{"a":"é"}\n'.encode()
    assert set(done.stderr.decode().splitlines()) == {"a library talks", "native code talks", "and talks"}
