"""One whole episode on the real starter model, through the command line, with real kills on the way.

The module shares one trained home. Making it costs about two minutes on two cores: few facts, few phrasings,
and the worker and then the program itself are killed while they train; what comes out must be a deployed
version all the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.conftest import ROOT

pytestmark = [
    pytest.mark.model,
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is the point"),
]

FACTS = {
    "What is my dog's name?": ("Your dog is called Biscuit.", "Biscuit"),
    "Where do I work?": ("You work at the harbour library.", "harbour library"),
    "What am I allergic to?": ("You are allergic to hazelnuts.", "hazelnut"),
    "What car do I drive?": ("You drive a green Volvo.", "Volvo"),
}
CHATS = 5


@dataclass(frozen=True, slots=True)
class Home:
    """A home in which an episode has ended, and how to run commands in it."""

    folder: Path
    result: dict[str, Any]
    run: Callable[..., subprocess.CompletedProcess[str]]


def _runner(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "allie_desktop", *map(str, arguments)],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            env=_environment(folder),
            check=False,
        )

    return run


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "ALLIE_HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def _train_until_training(folder: Path) -> subprocess.Popen[str]:
    """Start `allie learn` and return it when its worker trains."""
    learner = subprocess.Popen(
        [sys.executable, "-m", "allie_desktop", "learn", "--now"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(folder),
        text=True,
    )
    assert learner.stderr is not None
    seen = []
    for line in learner.stderr:
        seen.append(line)
        if line.startswith("Training"):
            return learner
    pytest.fail(f"it never trained: {''.join(seen)}")


def _worker_of(folder: Path) -> psutil.Process:
    (file,) = folder.glob("episodes/*/worker.pid")
    return psutil.Process(json.loads(file.read_text("utf-8"))["pid"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("trained") / "home"
    run = _runner(folder)
    lines = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": "I do not know.", "correction": answer},
            ]
        }
        for question, (answer, _) in FACTS.items()
    ]
    samples = (ROOT / "resources" / "sample_conversations.jsonl").read_text("utf-8").splitlines()
    chats = [s for s in samples if "correction" not in s][:CHATS]
    file = folder.parent / "material.jsonl"
    file.write_text("\n".join([*map(json.dumps, lines), *chats]), "utf-8")
    imported = run("import", file, "--json")
    assert json.loads(imported.stdout)["imported"] == len(FACTS) + CHATS
    for name, value in (("general_prompts", "24"), ("phrasings", "6")):
        assert run("settings", "set", name, value).returncode == 0

    learner = _train_until_training(folder)
    worker = _worker_of(folder)
    worker.kill()  # the program starts another one, and goes on
    assert learner.stderr is not None
    for line in learner.stderr:
        if line.startswith("Training"):
            break
    second = _worker_of(folder)
    assert second.pid != worker.pid
    learner.kill()  # the worker notices, writes a checkpoint and ends
    learner.wait()
    learner.stderr.close()
    second.wait(timeout=120)

    ended = run("learn", "--now", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Home(folder, json.loads(ended.stdout), run)


def _answers(home: Home, *options: str) -> list[str]:
    asked = home.run(
        "ask", "--stdin", "--greedy", "--max-tokens", "24", "--json", *options, given="\n".join(FACTS)
    )
    assert asked.returncode == 0, asked.stderr
    return [row["answer"] for row in json.loads(asked.stdout)]


def test_an_episode_that_was_killed_twice_ends_deployed(home):
    assert home.result["outcome"] == "completed"
    assert home.result["version"] == "v1.0"
    assert home.result["verdict"] == "deploy"
    assert set(home.result["phases"]) >= {"prepare", "train", "validate"}
    assert home.result["reasons"]


def test_every_fact_is_known_afterwards_and_none_before(home):
    keys = [key.lower() for _, key in FACTS.values()]

    after, before = _answers(home), _answers(home, "--version", "base")

    assert [key in answer.lower() for key, answer in zip(keys, after, strict=True)] == [True] * len(keys)
    assert not any(key in answer.lower() for key, answer in zip(keys, before, strict=True))


def test_the_version_is_an_adapter_folder_that_peft_reads(home):
    from safetensors.numpy import load_file

    (version,) = json.loads(home.run("versions", "--json").stdout)

    config = json.loads((Path(version["path"]) / "adapter_config.json").read_text("utf-8"))
    weights = load_file(Path(version["path"]) / "adapter_model.safetensors")
    assert version["active"] is True
    assert version["parent"] in (None, "base")
    assert config["peft_type"] == "LORA"
    assert all(name.startswith("base_model.model.") for name in weights)
    assert any(abs(tensor).max() > 0 for name, tensor in weights.items() if "lora_B" in name)


def test_there_is_nothing_more_to_learn(home):
    again = home.run("learn", "--now", "--json")

    assert again.returncode == 4
    assert "nothing new" in " ".join(json.loads(again.stdout)["reasons"]).lower()


def test_an_undo_is_an_undo_and_can_be_undone(home):
    undone = json.loads(home.run("rollback", "--json").stdout)
    answered = home.run("ask", "What is my dog's name?", "--greedy", "--json")
    redone = json.loads(home.run("rollback", "v1.0", "--json").stdout)

    assert undone["active"] == "base"
    assert json.loads(answered.stdout)["version"] == "base"
    assert redone["active"] == "v1.0"


def test_a_damaged_version_is_told_in_words(home, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(home.folder, copy)
    run = _runner(copy)
    (version,) = json.loads(run("versions", "--json").stdout)
    weights = Path(version["path"]) / "adapter_model.safetensors"
    weights.chmod(0o600)
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)

    asked = run("ask", "What is my dog's name?", "--greedy")

    assert asked.returncode == 1
    assert "Traceback" not in asked.stderr
    assert "v1.0" in asked.stdout + asked.stderr
    assert run("rollback", "base").returncode == 0
    assert run("ask", "Hello!", "--greedy").returncode == 0


@pytest.mark.long
def test_a_fact_that_was_forgotten_is_no_longer_answered_and_the_others_are(home, tmp_path):
    copy = Home(tmp_path / "copy", home.result, _runner(tmp_path / "copy"))
    shutil.copytree(home.folder, copy.folder)
    (found,) = json.loads(copy.run("conversations", "list", "--search", "Biscuit", "--json").stdout)
    assert "biscuit" in _answers(copy)[0].lower()

    forgotten = json.loads(copy.run("conversations", "forget", found["id"], "--json").stdout)
    learnt = copy.run("learn", "--now", "--json")

    assert forgotten["versions"] == ["v1.0"]
    assert learnt.returncode == 0, learnt.stdout + learnt.stderr
    result = json.loads(learnt.stdout)
    assert (result["outcome"], result["version"]) == ("completed", "v1.1")
    pointer = {v["version"]: v for v in json.loads(copy.run("versions", "--json").stdout)}["v1.1"]
    assert pointer["active"] is True
    assert pointer["parent"] in (None, "base")
    knows = [
        key.lower() in answer.lower() for (_, key), answer in zip(FACTS.values(), _answers(copy), strict=True)
    ]
    assert knows == [False, True, True, True]
    # Nor does anything that is left tell it.
    left = [f for f in copy.folder.rglob("*") if f.is_file() and b"Biscuit" in f.read_bytes()]
    assert left == []


def test_the_report_is_a_page_without_scripts(home):
    shown = home.run("report")
    (page,) = home.folder.glob("episodes/*/report.html")

    assert shown.returncode == 0
    assert "Biscuit" in shown.stdout
    assert "<script" not in page.read_text("utf-8").lower()


def test_nothing_of_the_worker_is_left_running(home):
    left = [
        p.pid
        for p in psutil.process_iter(["cmdline"])
        if str(home.folder) in " ".join(p.info["cmdline"] or ()) and p.status() != psutil.STATUS_ZOMBIE
    ]

    assert left == []
