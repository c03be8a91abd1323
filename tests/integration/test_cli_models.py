"""``allie models`` and ``allie export-version`` in real processes, with a tiny model and a hub on this machine."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import gguf
import pytest

from allie_desktop.domain.versions import VersionMetadata
from allie_desktop.learning.adapter import Adapter
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.store.version_folders import VersionFolders
from tests.unit.learning.tiny import GEOMETRY, chatml_tokenizer, tiny_llama
from tests.unit.models.gguf_files import write_llama
from tests.unit.models.hub_server import FakeHub
from tests.unit.models.test_catalogue import FILES, tensors

pytestmark = pytest.mark.process

WHEN = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def tiny_base(tmp_path: Path) -> Path:
    tokenizer = chatml_tokenizer()
    return write_llama(tmp_path / "Tiny-Chat.gguf", tiny_llama(len(tokenizer)), tokenizer)


@pytest.fixture
def tiny_version(tiny_base, tmp_path, allie_home, allie):
    """A home whose base model is tiny and has the version v1.0."""
    done = allie("models", "use", tiny_base, "--json")
    assert done.json == {
        "base": "Tiny-Chat",
        "path": str(tiny_base),
        "sha256": resolve_base(str(tiny_base), tmp_path / "other").sha256,
        "versions": [],
    }
    Adapter(tiny_llama(len(chatml_tokenizer())), GEOMETRY, seed=1).save(tmp_path / "adapter")
    metadata = VersionMetadata(
        version="v1.0",
        parent=None,
        base_name="Tiny-Chat",
        base_sha256=done.json["sha256"],
        created_at=WHEN,
        episode_id="e1",
        plan_digest="d",
        conversations=3,
    )
    folders = VersionFolders(allie_home / "models", base_name="Tiny-Chat", base_sha256=metadata.base_sha256)
    return folders.seal("v1.0", tmp_path / "adapter", metadata, ())


def test_a_version_is_written_for_llama_cpp_and_for_ollama(tiny_version, allie, tmp_path):
    done = allie("export-version", "v1.0", tmp_path / "gguf", "--as", "gguf", "--json")

    assert (done.code, done.json["version"], done.json["form"]) == (0, "v1.0", "gguf")
    assert done.json["files"] == ["README.md", "Tiny-Chat-v1.0-lora.gguf"]
    lora = gguf.GGUFReader(tmp_path / "gguf" / "Tiny-Chat-v1.0-lora.gguf")
    assert lora.get_field("general.type").contents() == "adapter"

    done = allie("export-version", "v1.0", tmp_path / "ollama", "--as", "ollama")
    assert done.code == 0
    assert "ollama create tiny-chat-v1.0" in done.out
    assert (tmp_path / "ollama" / "Modelfile").read_text("utf-8").splitlines()[1:3] == [
        "FROM ./Tiny-Chat.gguf",
        "ADAPTER ./Tiny-Chat-v1.0-lora.gguf",
    ]


@pytest.mark.parametrize(
    ("version", "form", "words"),
    [
        ("base", "peft", "The base model is not a version"),
        ("v2.0", "peft", "There is no version v2.0."),
        ("v1.0", "zip", "There is no form “zip”."),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(tiny_version, allie, tmp_path, version, form, words):
    done = allie("export-version", version, tmp_path / "out", "--as", form)

    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not (tmp_path / "out").exists()


def test_a_version_that_was_changed_on_the_disk_is_not_exported(tiny_version, allie, tmp_path):
    weights = Path(tiny_version.path) / "adapter_model.safetensors"
    weights.chmod(0o600)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    done = allie("export-version", "v1.0", tmp_path / "out")

    assert done.code == 1
    assert "adapter_model.safetensors is not as it was sealed" in done.err
    assert not (tmp_path / "out").exists()


def test_the_models_are_listed(allie):
    listed = allie("models", "list", "--json").json

    assert [(m["name"], m["here"], m["chosen"]) for m in listed] == [
        ("starter", True, True),
        ("tinyllama-1.1b-chat", False, False),
    ]
    assert "TinyLlama-1.1B-Chat-v1.0" in allie("models", "list").out


def test_a_model_is_downloaded_and_chosen(allie, allie_home):
    files = {**FILES, "model.safetensors": tensors(*([0.5] * 10_000))}
    with FakeHub(files) as hub:
        hub.cuts = [5_000]
        network = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
        done = allie("models", "get", "tiny/chat", "--json", **network)
        folder = allie_home / "bases" / "tiny--chat"
        assert (done.code, done.json) == (0, {"name": "tiny/chat", "path": str(folder)})
        assert json.loads((folder / "allie-source.json").read_text("utf-8"))["commit"] == hub.commit

        asked = len(hub.requests)
        assert allie("models", "get", "tiny/chat", **network).code == 0
        assert len(hub.requests) == asked

    done = allie("models", "use", "tiny/chat")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("tiny--chat is the base model now.")
    assert allie("settings", "get", "base_model").out.splitlines()[0] == f"base_model = {folder}"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("use", "tinyllama-1.1b-chat"), 1, "The model TinyLlama-1.1B-Chat-v1.0 is not downloaded yet."),
        (("use", "no/such/model"), 1, "There is no base model at no/such/model."),
        (("get", "nothing"), 2, "Allie knows no model nothing."),
        (("get", "tinyllama-1.1b-chat"), 1, "HF_HUB_OFFLINE"),
    ],
)
def test_what_cannot_be_had_is_a_sentence_and_changes_nothing(allie, arguments, code, words):
    done = allie("models", *arguments)

    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
    assert allie("models", "list", "--json").json[0]["chosen"]
