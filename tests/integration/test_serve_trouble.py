"""``allie serve`` as a real process when something is wrong: with its versions, its store, or its neighbours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import openai
import pytest
from safetensors.numpy import save_file

from allie_desktop.domain.versions import BASE, VersionMetadata
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.store.version_folders import VersionFolders
from tests.integration.test_serve import GERMANY, wait_until

pytestmark = [pytest.mark.process, pytest.mark.model, pytest.mark.usefixtures("known_base")]

WHEN = datetime(2026, 1, 2, tzinfo=timezone.utc)
WIDTH = 576  # of the starter model
STORY = [{"role": "user", "content": "Tell me a very long story about a dragon."}]
ASK = {"messages": GERMANY, "max_tokens": 8, "temperature": 0}


@pytest.fixture
def version(allie_home, tmp_path):
    """Make a version of the starter model that says nearly what the base model says, and activate it."""

    def make(name: str = "v1.0", *, width: int = WIDTH, number: float = 0.001) -> Path:
        adapter = tmp_path / f"adapter-{name}"
        adapter.mkdir()
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
        (adapter / "adapter_config.json").write_text(json.dumps(config), "utf-8")
        place = "base_model.model.model.layers.0.self_attn.q_proj"
        save_file(
            {
                f"{place}.lora_A.weight": np.full((2, width), number, np.float32),
                f"{place}.lora_B.weight": np.full((width, 2), number, np.float32),
            },
            adapter / "adapter_model.safetensors",
        )
        base = resolve_base("starter", allie_home / "cache")
        folders = VersionFolders(allie_home / "models", base_name=base.name, base_sha256=base.sha256)
        metadata = VersionMetadata(
            version=name,
            parent=None,
            base_name=base.name,
            base_sha256=base.sha256,
            created_at=WHEN,
            episode_id="e1",
            plan_digest="d",
            conversations=3,
        )
        sealed = folders.seal(name, adapter, metadata, ())
        folders.activate(name, fallback=BASE, reason="", at=WHEN)
        return Path(sealed.path)

    return make


def damage(version: Path) -> None:
    """Turn one bit of a version's weights."""
    weights = version / "adapter_model.safetensors"
    weights.chmod(0o600)
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)


def alerts(home: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(f"file:{home / 'allie.sqlite3'}?mode=ro", uri=True)) as database:
        return [
            message for (message,) in database.execute("SELECT message FROM alerts WHERE resolved_us IS NULL")
        ]


def test_a_damaged_version_gives_way_to_the_base_model_and_the_person_is_told(serve, version, allie):
    damage(version())
    served = serve("--port", "0")
    asking = served.client()

    answered = asking.chat.completions.create(model="allie", **ASK)
    with pytest.raises(openai.APIStatusError) as pinned:
        asking.chat.completions.create(model="v1.0", **ASK)

    assert (answered.system_fingerprint, answered.choices[0].finish_reason) == ("base", "stop")
    assert pinned.value.status_code >= 400
    assert pinned.value.body["message"]
    (alert,) = alerts(served.home)
    assert alert.startswith("v1.0 was undone")
    assert alert.endswith("The base model answers again.")
    assert "v1.0" in served.log()
    assert [row["active"] for row in allie("versions", "--json").json] == [False]
    assert served.end() == 0


def test_a_version_that_is_damaged_while_it_answers_gives_way_when_it_is_loaded_again(serve, version):
    folder = version()
    served = serve("--port", "0")
    asking = served.client()
    assert asking.chat.completions.create(model="allie", **ASK).system_fingerprint == "v1.0"

    damage(folder)
    still = asking.chat.completions.create(model="allie", **ASK).system_fingerprint
    asking.post("/unload", body={}, cast_to=object)
    after = asking.chat.completions.create(model="allie", **ASK).system_fingerprint

    assert (still, after) == ("v1.0", "base")
    assert len(alerts(served.home)) == 1


@pytest.mark.parametrize(
    "wrong", [{"width": 2048}, {"number": float("nan")}], ids=["another base model", "no numbers"]
)
def test_an_adapter_that_cannot_be_used_gives_way(serve, version, wrong):
    version(**wrong)
    served = serve("--port", "0")

    answered = served.client().chat.completions.create(model="allie", **ASK)

    assert answered.system_fingerprint == "base"
    assert "Berlin" in answered.choices[0].message.content
    assert len(alerts(served.home)) == 1


def test_a_kill_in_the_middle_of_a_stream_leaves_a_sound_store_and_the_same_token(serve):
    served = serve("--port", "0")
    first = served.client().chat.completions.create(model="allie", **ASK)
    stream = served.client().chat.completions.create(
        model="allie", messages=STORY, max_tokens=500, stream=True
    )
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    os.kill(served.process.pid, signal.SIGKILL)
    with contextlib.suppress(openai.APIError, OSError):
        for _ in stream:
            pass
    stream.close()
    served.process.wait(30)

    again = serve("--port", "0")

    assert again.token == served.token
    assert again.client().chat.completions.create(model="allie", **ASK).system_fingerprint == "base"
    assert ("assistant", first.choices[0].message.content) in again.turns()
    with contextlib.closing(sqlite3.connect(again.home / "allie.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_two_services_of_one_home_share_its_conversations(serve):
    one, other = serve("--port", "0"), serve("--port", "0")
    began = one.client().chat.completions.create(model="allie", **ASK)
    history = [*GERMANY, {"role": "assistant", "content": began.choices[0].message.content}]
    messages = [*history, {"role": "user", "content": "And of France?"}]

    went_on = other.client().chat.completions.create(model="allie", messages=messages, max_tokens=8)

    assert went_on.allie["conversation"] == began.allie["conversation"]
    assert [role for role, _ in one.turns()] == ["user", "assistant"] * 2
    assert (one.end(), other.end()) == (0, 0)


@pytest.mark.slow
def test_what_is_said_while_the_store_is_locked_is_recorded_later(serve):
    served = serve("--port", "0")
    asking = served.client()
    asking.chat.completions.create(model="allie", **ASK)
    with contextlib.closing(sqlite3.connect(served.home / "allie.sqlite3", isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        answered = asking.chat.completions.create(model="allie", messages=STORY, max_tokens=8)
        assert time.monotonic() - begun > 4  # it was tried for as long as the store's patience
        somebody.execute("ROLLBACK")

    assert answered.allie["conversation"] is None
    wait_until(lambda: ("assistant", answered.choices[0].message.content) in served.turns())
    kept = asking.post("/feedback", body={"response_id": answered.id, "rating": 1}, cast_to=object)
    assert kept["kept"] is True


def test_nothing_is_kept_for_those_who_want_nothing_kept(serve, allie):
    served = serve("--port", "0")
    asking = served.client()

    off = asking.chat.completions.create(model="allie", **ASK, extra_headers={"X-Allie-Record": "off"})
    assert allie("settings", "set", "record_api", "off").code == 0
    unset = asking.chat.completions.create(model="allie", **ASK)
    chat = asking.chat.completions.create(model="allie", **ASK, extra_headers={"X-Allie-Source": "chat"})

    assert served.turns() == [
        ("user", GERMANY[0]["content"]),
        ("assistant", chat.choices[0].message.content),
    ]
    for response_id in (off.id, unset.id):
        with pytest.raises(openai.NotFoundError, match="There is no reply"):
            asking.post("/feedback", body={"response_id": response_id, "rating": 1}, cast_to=object)
