"""Commands that run the parts of a proof one after the other."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.benchmarks.suite import PARTS, command
from tests.parts import run_parts


def test_each_part_is_shown_and_kept_and_those_that_fail_are_named(tmp_path, capsys):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import sys; print('| é |', *sys.argv[1:])", "utf-8")
    bad.write_text("print('half'); raise SystemExit(1)", "utf-8")
    out = tmp_path / "made" / "out"
    parts = {"one": [str(good), "a"], "two": [str(bad)], "three": None, "four": [str(good)]}
    assert run_parts(out, parts) == ["two"]
    assert (out / "one.md").read_text("utf-8") == "| é | a\n"
    assert (out / "two.md").read_text("utf-8") == "half\n"
    assert not (out / "three.md").exists()
    assert (out / "four.md").exists()
    said = capsys.readouterr().out
    assert "| é | a" in said
    assert "three: left out" in said


def options(**changes: object) -> argparse.Namespace:
    found = {
        "out": Path("out"),
        "chats": None,
        "text": None,
        "task": [],
        "train": 9,
        "test": 8,
        "minutes": 7.0,
    }
    return argparse.Namespace(**{**found, **changes})


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_a_script_that_is_there_or_lacks_its_material(part):
    root = Path(__file__).resolve().parents[2]
    assert (command(part, options()) is None) == (part in ("chat", "facts", "speed", "tasks"))
    whole = command(part, options(chats=Path("c.jsonl"), text=Path("t.txt"), task=["a=b,c"]))
    assert whole is not None
    assert (root / whole[0]).is_file()
    assert whole[whole.index("--json") + 1].endswith(f"{part}.json")
