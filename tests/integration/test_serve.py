"""``allie serve`` as a real process with the real starter model, and real clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import openai
import pytest

from allie_desktop.ipc.chat_process import ChatProcess

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("known_base")]

GERMANY = [{"role": "user", "content": "What is the capital of Germany?"}]


def wait_until(condition, seconds=60.0):
    ends = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return value


def health(url: str) -> dict:
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        return json.load(answer)


@pytest.mark.model
def test_the_openai_client_chats_and_nothing_answered_is_lost_by_a_kill(serve):
    served = serve("--port", "0")
    assert health(served.url)["status"] in {"idle", "loading", "ok"}
    asking = served.client()
    assert [model.id for model in asking.models.list()] == ["allie", "base"]

    whole = asking.chat.completions.create(model="allie", messages=GERMANY, max_tokens=16, temperature=0)
    answer = whole.choices[0].message.content
    assert "Berlin" in answer
    assert whole.usage.completion_tokens <= 16
    assert (whole.system_fingerprint, health(served.url)) == (
        "base",
        {"status": "ok", "version": health(served.url)["version"], "loaded": ["base"]},
    )

    pieces = []
    stream = asking.chat.completions.create(
        model="base", messages=GERMANY, max_tokens=16, temperature=0, stream=True
    )
    for chunk in stream:
        pieces.append(chunk.choices[0].delta.content or "")
        if chunk.choices[0].finish_reason is not None:
            os.kill(served.process.pid, signal.SIGKILL)
            break
    stream.close()
    assert "Berlin" in "".join(pieces)
    assert len(pieces) > 3
    assert served.process.wait(30) == -signal.SIGKILL
    assert ("assistant", "".join(pieces)) in served.turns()
    assert ("assistant", answer) in served.turns()


@pytest.mark.model
def test_the_llm_command_is_a_client_streaming_and_not(serve, tmp_path, environment):
    pytest.importorskip("llm")
    served = serve("--port", "0")
    folder = tmp_path / "llm"
    folder.mkdir()
    (folder / "extra-openai-models.yaml").write_text(
        f"- model_id: allie\n  model_name: allie\n  api_base: {served.url}/v1\n  api_key_name: allie\n"
    )

    def llm(*options: str, key: str = served.token) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                str(Path(sys.executable).with_name("llm")),
                *("-m", "allie", "--key", key, *options),
                *("-o", "max_tokens", "16", "-o", "temperature", "0", GERMANY[0]["content"]),
            ],
            env={**environment, "LLM_USER_PATH": str(folder), "LLM_LOAD_PLUGINS": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    streamed, whole = llm(), llm("--no-stream")
    assert (streamed.returncode, whole.returncode) == (0, 0), streamed.stderr + whole.stderr
    assert "Berlin" in streamed.stdout
    assert whole.stdout == streamed.stdout
    refused = llm(key="wrong")
    assert refused.returncode == 1
    assert "The token is missing or wrong" in refused.stderr

    assert served.end() == 0


@pytest.mark.model
def test_unloading_gives_the_memory_back_and_the_next_question_loads_again(serve):
    served = serve("--port", "0")
    asking = served.client()
    ask = {"model": "allie", "messages": GERMANY, "max_tokens": 2}
    asking.chat.completions.create(**ask)
    assert asking.post("/unload", body={}, cast_to=object) == {"unloaded": ["base"]}
    assert health(served.url)["status"] == "idle"
    assert asking.chat.completions.create(**ask).usage.completion_tokens == 2
    assert served.end(signal.SIGINT) == 0


@pytest.mark.model
def test_a_stream_in_the_making_is_cut_recorded_and_told_when_the_service_ends(serve):
    served = serve("--port", "0")
    stream = served.client().chat.completions.create(
        model="allie",
        messages=[{"role": "user", "content": "Tell me a very long story about a dragon."}],
        max_tokens=1000,
        stream=True,
    )
    seen = next(c.choices[0].delta.content for c in stream if c.choices[0].delta.content)
    served.process.terminate()
    try:
        for chunk in stream:
            seen += chunk.choices[0].delta.content or ""
    except openai.APIError as error:
        assert "closing" in error.message  # noqa: PT017 - a fast machine ends the story in time
    assert served.process.wait(30) == 0
    told = [content for role, content in served.turns() if role == "assistant"]
    assert len(told) == 1
    assert told[0].startswith(seen)


def test_a_port_that_is_taken_is_a_sentence_with_a_remedy(allie, allie_home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = allie("serve", "--port", port, "--json")
        assert done.code == 1
        assert done.json["error"]["message"].startswith(f"Port {port} is in use")
        assert "--port" in done.json["error"]["remedy"]

        assert allie("settings", "set", "api_port", port).code == 0
        assert allie("serve").code == 1


def test_it_ends_with_its_parent_and_finds_another_port_when_the_usual_one_is_taken(serve, allie):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert allie("settings", "set", "api_port", port).code == 0
        served = serve("--with-parent")
        assert not served.url.endswith(f":{port}")
        served.process.stdin.close()
        assert served.process.wait(30) == 0


def test_the_tray_keeps_it_running(allie_home, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chat = ChatProcess(folder=allie_home / "chat", log_file=allie_home / "logs" / "chat.log")
    try:
        address = chat.address(60)
        assert "version" in health(address.url)
        assert (allie_home / "api-token").read_text() == address.token
        killed = chat.pid
        os.kill(killed, signal.SIGKILL)
        again = wait_until(lambda: chat.current_address if chat.pid not in {None, killed} else None)
        assert again.token == address.token
        assert "version" in health(again.url)
    finally:
        chat.stop()
