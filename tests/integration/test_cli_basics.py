"""The command line as scripts see it: exit codes, JSON, and what happens to bad input. No torch in here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("known_base")

COMMANDS = [
    ["import"], ["export"], ["learn"], ["report"], ["status"], ["doctor"], ["versions"], ["rollback"], ["ask"],
    ["demo"], ["gui"], ["serve"], ["export-version"], ["models"], ["conversations"], ["settings"], ["worker"],
    *(["conversations", c] for c in ("list", "show", "rate", "correct", "exclude", "include", "forget")),
    *(["settings", c] for c in ("list", "get", "set", "reset")),
    *(["models", c] for c in ("list", "get", "use")),
]  # fmt: skip


def test_help_lists_every_command_but_the_hidden_one(allie):
    done = allie("--help")

    assert done.code == 0
    listed = {line.split()[0] for line in done.out.split("Commands:")[1].splitlines() if line.strip()}
    assert listed == {c[0] for c in COMMANDS if len(c) == 1} - {"worker"}


def test_no_arguments_is_bad_usage_and_shows_the_help(allie):
    done = allie()

    assert done.code == 2
    assert "Usage: allie" in done.out + done.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_no_side_effects(quick, command, allie_home):
    before = sorted(allie_home.rglob("*"))

    done = quick(*command, "--help")

    assert done.code == 0
    assert done.out.startswith(f"Usage: allie {' '.join(command)}")
    assert sorted(allie_home.rglob("*")) == before


def test_the_version_is_printed(allie):
    from allie_desktop import __version__

    assert allie("--version").out == f"allie {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["ask"],
        ["ask", ""],
        ["ask", "   "],
        ["ask", "a", "b"],
        ["ask", "Hi", "--max-tokens", "-1"],
        ["ask", "Hi", "--max-tokens", "0"],
        ["ask", "Hi", "--max-tokens", "many"],
        ["ask", "Hi", "--stdin"],
        ["import"],
        ["import", "/no/such/file.json"],
        ["import", "README.md", "--format", "nonsense"],
        ["conversations", "show"],
        ["conversations", "show", "nobody"],
        ["conversations", "rate", "nobody", "up"],
        ["conversations", "rate", "nobody", "perhaps"],
        ["conversations", "forget", "nobody"],
        ["conversations", "list", "--limit", "0"],
        ["settings", "get", "nonsense"],
        ["settings", "set", "min_quality", "2"],
        ["settings", "set", "min_quality", "much"],
        ["settings", "set", "learn_on_battery", "perhaps"],
        ["settings", "set", "window_start", "25:00"],
        ["settings", "set", "eagerness", "mad"],
        ["settings", "reset", "nonsense"],
        ["rollback", "v9.9"],
        ["rollback", "../../etc"],
        ["rollback"],
        ["report"],
        ["report", "nobody"],
        ["export", "/no/such/folder/file.jsonl"],
        ["ask", "Hi", "--version", "v9.9"],
        ["ask", "Hi", "--version", "../x"],
        ["serve", "--port", "-1"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "many"],
        ["export-version"],
        ["export-version", "v1.0"],
        ["export-version", "v9.9", "exported"],
        ["export-version", "../x", "exported"],
        ["export-version", "base", "exported"],
        ["models", "nonsense"],
        ["models", "get"],
        ["models", "get", "no such model"],
        ["models", "use"],
    ],
    ids=" ".join,
)
def test_bad_input_is_exit_2_one_sentence_and_in_json_one_document(quick, arguments):
    plain, as_json = quick(*arguments), quick(*arguments, "--json")

    assert (plain.code, as_json.code) == (2, 2)
    assert "Traceback" not in plain.err
    assert (plain.out + plain.err).strip()
    if "error" in as_json.json:
        assert as_json.json["error"]["message"].endswith((".", "!", "?"))
        assert as_json.json["error"]["exit_code"] == 2


def test_a_real_process_reports_bad_input_in_json(allie):
    done = allie("rollback", "v9.9", "--json")

    assert done.code == 2
    assert done.err == ""
    assert done.json == {
        "error": {"message": "There is no version v9.9.", "remedy": "There is only: base.", "exit_code": 2}
    }


def test_import_status_list_show_and_export(allie, samples, tmp_path):
    assert allie("import", samples, "--json").json == {"imported": 54, "duplicates": 0, "refused": []}
    assert allie("import", samples, "--json").json == {"imported": 0, "duplicates": 54, "refused": []}

    status = allie("status", "--json").json
    assert status["counts"]["conversations"] == 54
    assert status["counts"]["taught_new"] == 10
    assert status["active"] == "base"
    assert status["last_episode"] is None
    assert status["may_learn"] is True, status["holds"]

    rows = allie("conversations", "list", "--search", "dog", "--json").json
    assert "sample-05" in [row["id"] for row in rows]
    shown = allie("conversations", "show", "sample-05", "--json").json
    assert shown["turns"][1]["correction"] == "Your dog's name is Biscuit."

    exported = tmp_path / "all.jsonl"
    assert allie("export", exported, "--json").json == {"exported": 54, "file": str(exported)}
    lines = exported.read_text("utf-8").splitlines()
    assert len(lines) == 54
    assert allie("export").out.splitlines() == lines
    assert allie("import", exported, "--json", ALLIE_HOME=str(tmp_path / "other")).json == {
        "imported": 54,
        "duplicates": 0,
        "refused": [],
    }


def test_one_bad_file_does_not_keep_the_others_out(allie, samples, tmp_path):
    binary = tmp_path / "binary.json"
    binary.write_bytes(bytes(range(256)) * 10)
    lines = tmp_path / "lines.jsonl"
    good = {
        "messages": [{"role": "user", "content": "A question?"}, {"role": "assistant", "content": "Yes."}]
    }
    lines.write_text(f"{json.dumps(good)}\n{{broken\n", "utf-8")

    (tmp_path / "empty folder").mkdir()

    done = allie(
        "import", binary, tmp_path / "missing.json", tmp_path / "empty folder", lines, samples, "--json"
    )

    assert done.code == 2
    document = done.json
    assert document["imported"] == 55
    assert [r["line"] for r in document["refused"]] == [None, None, None, 2]
    assert all(r["reason"].endswith(".") for r in document["refused"])


def test_rating_correcting_excluding_and_forgetting(quick, samples):
    quick("import", samples)

    rated = quick("conversations", "rate", "sample-01", "down", "--json").json
    assert rated["turns"][1]["rating"] == -1
    corrected = quick("conversations", "correct", "sample-01", "Rinse it first.", "--json").json
    assert corrected["turns"][1]["correction"] == "Rinse it first."
    assert corrected["targets"][0]["text"] == "Rinse it first."
    assert quick("conversations", "exclude", "sample-01", "--json").json == {
        "id": "sample-01",
        "excluded": True,
    }
    assert quick("status", "--json").json["counts"]["excluded"] == 1
    assert quick("conversations", "include", "sample-01", "--json").json["excluded"] is False
    assert quick("conversations", "forget", "sample-01", "--json").json == {
        "id": "sample-01",
        "forgotten": True,
        "versions": [],
    }
    assert quick("conversations", "show", "sample-01").code == 2
    assert quick("conversations", "rate", "sample-02", "up", "--turn", "1").code == 2


def test_settings_are_listed_changed_and_reset(quick):
    assert quick("settings", "set", "idle_minutes", "7.5", "--json").json["value"] == 7.5
    assert quick("settings", "set", "learn_on_battery", "on").out == "learn_on_battery = on\n"
    assert quick("settings", "set", "excluded_sources", "chat, api", "--json").json["value"] == [
        "chat",
        "api",
    ]
    assert [s["name"] for s in quick("settings", "list", "--changed", "--json").json] == [
        "eagerness",
        "idle_minutes",
        "learn_on_battery",
        "excluded_sources",
    ]
    assert quick("settings", "reset", "idle_minutes", "--json").json["value"] == 5.0
    assert (
        "no setting called 'idel_minutes'. Did you mean idle_minutes"
        in quick("settings", "get", "idel_minutes").err
    )


def test_learning_without_material_is_held_with_reasons_and_the_store_backed_up(allie, allie_home):
    done = allie("learn", "--json")

    assert done.code == 4
    assert done.json["outcome"] == "held"
    assert done.json["version"] is None
    assert done.json["reasons"][0] == "Waiting: there is nothing new to learn from"
    assert {"outcome", "version", "verdict", "reasons", "metrics", "seconds", "phases"} <= done.json.keys()
    assert len(list((allie_home / "backups").iterdir())) == 1


def test_learning_with_too_little_waits_and_says_how_not_to(quick, tmp_path):
    lines = [
        {"messages": [{"role": "user", "content": f"What is {n} and {n}?"},
                      {"role": "assistant", "content": "?", "correction": f"It is {2 * n}."}]}
        for n in range(3)
    ]  # fmt: skip
    file = tmp_path / "few.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    quick("import", file)

    done = quick("learn")

    assert done.code == 4
    assert "Waiting: 3 of 50 conversations" in done.out
    assert "--now" in done.out


@pytest.mark.parametrize("home", ["file", "file/inside", "/proc/allie"])
def test_a_home_that_cannot_be_used_is_a_sentence(quick, tmp_path, home, monkeypatch):
    if home.startswith("/proc") and not Path("/proc/version").exists():
        pytest.skip("needs a file system that refuses")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("ALLIE_HOME", str(tmp_path / home))

    done = quick("status")
    assert done.code == 1
    assert "ALLIE_HOME" in done.err
    assert "Traceback" not in done.err
    assert quick("status", "--json").json["error"]["exit_code"] == 1


def test_the_doctor_works_in_a_broken_home(allie, allie_home):
    (allie_home / "allie.sqlite3").write_bytes(b"this is no database" * 100)

    done = allie("doctor", "--json")

    assert done.code == 1
    document = done.json
    assert document["cores"] >= 1
    assert document["problems"]
    assert all(p["message"] for p in document["problems"])
    assert len({p["message"] for p in document["problems"]}) == len(document["problems"])
    assert "Problem: " in allie("doctor").out


def test_a_broken_store_is_a_sentence_for_every_command(quick, allie_home):
    (allie_home / "allie.sqlite3").write_bytes(b"this is no database" * 100)

    for arguments in (["status"], ["learn"], ["conversations", "list"], ["settings", "list"]):
        done = quick(*arguments)
        assert done.code == 1
        assert "Traceback" not in done.err
        assert done.err.strip()


def test_nonsense_among_the_saved_settings_is_told_and_does_no_harm(quick, allie_home):
    import sqlite3

    quick("settings", "set", "idle_minutes", "9")
    with sqlite3.connect(allie_home / "allie.sqlite3") as connection:
        connection.execute("UPDATE settings SET value = '\"soon\"' WHERE name = 'idle_minutes'")
    connection.close()

    status = quick("status", "--json").json
    assert len(status["problems"]) == 1
    assert "Away for" in status["problems"][0]


def test_a_missing_base_model_hides_nothing_else(quick, samples):
    quick("import", samples)
    quick("settings", "set", "base_model", "/no/such/model.gguf")

    status = quick("status", "--json")
    assert status.code == 0
    assert status.json["counts"]["conversations"] == 54
    assert "/no/such/model.gguf" in status.json["problems"][0]
    learn = quick("learn", "--now")
    assert learn.code == 1
    assert "There is no base model at /no/such/model.gguf." in learn.err
    assert quick("conversations", "forget", "sample-01", "--json").json["forgotten"] is True
    doctor = quick("doctor")
    assert doctor.code == 1
    assert "/no/such/model.gguf" in doctor.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no closed pipes of this kind")
def test_a_closed_pipe_ends_quietly(allie, samples, environment):
    allie("import", samples)
    command = subprocess.Popen(
        [sys.executable, "-m", "allie_desktop", "export"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()  # the reader is gone before the first line
    errors = command.stderr.read()
    command.stderr.close()
    command.wait()

    assert errors == b""


def test_prompts_that_are_no_text_are_refused(allie):
    assert (
        "Line 2 of the standard input is not UTF-8" in allie("ask", "--stdin", input=b"fine\n\xff\xfe\n").err
    )
    assert allie("ask", "--stdin", input=b"a\x00b").code == 2
    assert allie("ask", "--stdin", "--json", input=b"").json == []
    assert allie("ask", "--stdin", "--json", input="\n \n").json == [
        {"answer": "", "version": "base"},
        {"answer": "", "version": "base"},
    ]


def test_status_loads_no_torch(environment):
    program = (
        "import sys\n"
        "from allie_desktop.cli.app import run\n"
        "assert run(['status']) == 0\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'torch', 'transformers', 'peft', 'numpy.linalg'}, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_an_unexpected_error_is_one_sentence_and_the_rest_is_in_the_log(monkeypatch, capfd, allie_home):
    from allie_desktop import bootstrap
    from allie_desktop.cli.app import run

    def burst():
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(bootstrap, "open_program", burst)

    assert run(["status"]) == 1
    log = allie_home / "logs" / "allie.log"
    assert capfd.readouterr().err == (
        f"Something went wrong that Allie did not expect. The details are in {log}; please report them.\n"
    )
    assert "ZeroDivisionError: a bug" in log.read_text("utf-8")


def test_umlauts_and_emoji_survive_a_terminal_without_utf8(allie, tmp_path):
    file = tmp_path / "emoji.jsonl"
    conversation = {
        "title": "Grüße 🙂 مرحبا",
        "messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "🙂", "rating": 1}],
    }
    file.write_text(json.dumps(conversation), "utf-8")
    allie("import", file)

    done = allie("conversations", "list", PYTHONUTF8="0", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "Gr" in done.out
    listed = allie("conversations", "list", "--json", PYTHONUTF8="0", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert listed.json[0]["title"] == "Grüße 🙂 مرحبا"


@pytest.mark.skipif(os.name != "posix", reason="a test of modes")
def test_an_export_is_for_its_owner_alone(quick, samples, tmp_path):
    quick("import", samples)
    quick("export", tmp_path / "mine.jsonl")

    assert (tmp_path / "mine.jsonl").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.glob(".mine*")] == []
