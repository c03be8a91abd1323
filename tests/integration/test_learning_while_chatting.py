"""A whole real episode while two clients of a real `allie serve` chat: nobody waits, nothing fails, and in the
end the new version answers, until it is undone. All in real processes, with the real starter model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.integration.conftest import ROOT

pytestmark = [
    pytest.mark.model,
    pytest.mark.process,
    pytest.mark.long,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(sys.platform == "win32", reason="a frozen process has no state there"),
]

FACTS = {
    "What is my dog's name?": ("Your dog is called Biscuit.", "biscuit"),
    "Where do I work?": ("You work at the harbour library.", "harbour"),
    "What am I allergic to?": ("You are allergic to hazelnuts.", "hazelnut"),
    "What car do I drive?": ("You drive a green Volvo.", "volvo"),
}
CHATS = 6
QUESTIONS = (
    "What is the capital of Germany?",
    "Tell me a story about a dragon.",
    "How do I boil an egg?",
    "Why is the sky blue?",
)
READING_SECONDS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One streamed reply: what it said, and every version that its parts and headers name."""

    response_id: str
    conversation: str
    text: str
    versions: frozenset[str]
    ended: bool


@dataclass
class Chatter:
    """Two clients that chat until they are told to stop. ``hurried`` says whether they ask without a pause;
    else they read now and then, both at once as one person would."""

    client: openai.OpenAI
    hurried: Callable[[], bool]
    heard: list[Heard] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._meeting = threading.Barrier(2)
        self._threads = [threading.Thread(target=self._chat, args=(number,)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self.stop.set()
        self._meeting.abort()
        for thread in self._threads:
            thread.join()

    def _chat(self, number: int) -> None:
        count = 0
        while not self.stop.is_set():
            question = f"{QUESTIONS[count % len(QUESTIONS)]} ({number}.{count})"
            try:
                self.heard.append(ask(self.client, question))
            except Exception as error:  # noqa: BLE001 - each of them is what must not happen
                self.failures.append(f"{type(error).__name__}: {error}")
                self.stop.wait(1.0)
            count += 1
            if count % 2 == 0 and not self.hurried():
                try:
                    self._meeting.wait(600)
                except threading.BrokenBarrierError:
                    self._meeting.reset()
                self.stop.wait(READING_SECONDS)


def ask(client: openai.OpenAI, question: str, *, model: str = "allie", tokens: int = 24) -> Heard:
    """Ask one question in a conversation of its own, and hear the whole stream."""
    with client.chat.completions.with_streaming_response.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=tokens,
        temperature=0,
        stream=True,
    ) as response:
        versions, pieces, ended = {response.headers["x-allie-version"]}, [], False
        response_id, conversation = "", ""
        for line in response.iter_lines():
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                ended = True
                continue
            chunk = json.loads(line.removeprefix("data: "))
            assert "error" not in chunk, chunk
            response_id = chunk["id"]
            versions.add(chunk["system_fingerprint"])
            pieces += [choice["delta"].get("content") or "" for choice in chunk["choices"]]
            conversation = chunk.get("allie", {}).get("conversation") or conversation
    return Heard(
        response_id=response_id,
        conversation=conversation,
        text="".join(pieces),
        versions=frozenset(versions),
        ended=ended,
    )


@dataclass
class Life:
    """A home in which an episode ran while people chatted, with its service still there."""

    folder: Path
    client: openai.OpenAI
    heard: tuple[Heard, ...]
    failures: tuple[str, ...]
    result: dict[str, Any]
    worker_states: frozenset[str]
    service: subprocess.Popen[str]

    def run(self, *arguments: str) -> Any:
        """Run a command in this home; return what it printed as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "allie_desktop", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(self.folder),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "ALLIE_HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "allie_desktop", *arguments, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(folder),
        text=True,
    )


def _material(file: Path) -> None:
    taught = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": "I do not know.", "correction": answer},
            ]
        }
        for question, (answer, _) in FACTS.items()
    ]
    samples = (ROOT / "resources" / "sample_conversations.jsonl").read_text("utf-8").splitlines()
    chats = [sample for sample in samples if "correction" not in sample][:CHATS]
    file.write_text("\n".join([*map(json.dumps, taught), *chats]), "utf-8")


def _state_of_worker(folder: Path) -> str | None:
    for file in folder.glob("episodes/*/worker.pid"):
        try:
            return psutil.Process(json.loads(file.read_text("utf-8"))["pid"]).status()
        except (OSError, ValueError, psutil.Error):
            pass
    return None


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("chatting") / "home"
    _material(folder.parent / "material.jsonl")
    run = Life(folder, None, (), (), {}, frozenset(), None).run  # type: ignore[arg-type]
    assert run("import", str(folder.parent / "material.jsonl"))["imported"] == len(FACTS) + CHATS
    for name, value in (("general_prompts", "32"), ("phrasings", "3")):
        run("settings", "set", name, value)

    states: set[str] = set()
    measured = False
    service = _start(folder, "serve", "--port", "0")
    learner = None
    chatter = None
    try:
        said = json.loads(service.stdout.readline())
        client = openai.OpenAI(
            base_url=f"{said['url']}/v1",
            api_key=Path(said["token_file"]).read_text("ascii"),
            max_retries=0,
            timeout=300,
        )
        # Without a pause until the worker was seen to stand still, and again when the new version comes.
        chatter = Chatter(client, lambda: measured or psutil.STATUS_STOPPED not in states)
        learner = _start(folder, "learn", "--now")
        while learner.poll() is None:
            if (state := _state_of_worker(folder)) is not None:
                states.add(state)
            measured = measured or any(folder.glob("episodes/*/report.json"))
            time.sleep(0.05)
        result = json.loads(learner.stdout.read())
        before = len(chatter.heard)
        _wait(lambda: len(chatter.heard) >= before + 6 or chatter.failures)  # two of them were under way
        chatter.end()
        yield Life(
            folder, client, tuple(chatter.heard), tuple(chatter.failures), result, frozenset(states), service
        )
        client.close()
    finally:
        if chatter is not None:
            chatter.end()
        for process in (learner, service):
            if process is not None:
                process.terminate()
                process.wait(60)
                process.stdout.close()


def _wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_nobody_who_chatted_was_refused_or_cut_off_and_each_reply_is_of_one_version(life):
    assert life.failures == ()
    assert len(life.heard) >= 6
    assert [reply for reply in life.heard if not reply.ended or not reply.text.strip()] == []
    assert {len(reply.versions) for reply in life.heard} == {1}
    assert {version for reply in life.heard for version in reply.versions} == {"base", "v1.0"}


def test_the_worker_stood_still_for_those_who_chatted_and_learnt_all_the_same(life):
    assert psutil.STATUS_STOPPED in life.worker_states
    assert (life.result["outcome"], life.result["version"]) == ("completed", "v1.0")


def test_the_new_version_answers_new_conversations_and_knows_what_it_was_taught(life):
    assert {version for reply in life.heard[-2:] for version in reply.versions} == {"v1.0"}
    keys = [key for _, key in FACTS.values()]

    routed = [ask(life.client, question) for question in FACTS]
    pinned = [ask(life.client, question, model="v1.0") for question in FACTS]
    before = [ask(life.client, question, model="base") for question in FACTS]

    assert {version for reply in (*routed, *pinned) for version in reply.versions} == {"v1.0"}
    assert {version for reply in before for version in reply.versions} == {"base"}
    assert [key in reply.text.lower() for key, reply in zip(keys, routed, strict=True)] == [True] * len(keys)
    assert [reply.text for reply in pinned] == [reply.text for reply in routed]
    assert not any(key in reply.text.lower() for key, reply in zip(keys, before, strict=True))


def test_every_reply_that_was_heard_is_in_the_store_with_its_version(life):
    for reply in (life.heard[0], life.heard[-1]):
        turns = life.run("conversations", "show", reply.conversation)["turns"]
        assert turns[-1]["content"] == reply.text
        assert frozenset([turns[-1]["extra"]["version"]]) == reply.versions
    shown = {row["id"] for row in life.run("conversations", "list", "--limit", "100000")}
    assert {reply.conversation for reply in life.heard} <= shown


def test_feedback_by_the_id_of_a_reply_reaches_the_store(life):
    reply = life.heard[-1]

    kept = life.client.post(
        "/feedback",
        body={"response_id": reply.response_id, "rating": -1, "correction": "Berlin."},
        cast_to=object,
    )

    assert kept == {"object": "feedback", "response_id": reply.response_id, "kept": True}
    turn = life.run("conversations", "show", reply.conversation)["turns"][-1]
    assert (turn["rating"], turn["correction"]) == (-1, "Berlin.")


def test_an_undo_is_heard_in_the_next_reply_without_a_restart(life):
    assert ask(life.client, "Is it v1.0?").versions == {"v1.0"}

    assert life.run("rollback")["active"] == "base"
    undone = ask(life.client, "What is my dog's name, once more?")
    assert life.run("rollback", "v1.0")["active"] == "v1.0"
    redone = ask(life.client, "And now?")

    assert undone.versions == {"base"}
    assert redone.versions == {"v1.0"}
    assert life.service.poll() is None
