"""Which engine runs a version, and what has to be right before one does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from allie_desktop.domain.chat import GenerationOptions, TextPiece
from allie_desktop.domain.errors import ModelError, UnknownVersionError, VersionCorruptError
from allie_desktop.inference.engines import LocalEngines
from allie_desktop.inference.llama_engine import LlamaEngine
from allie_desktop.inference.prompts import user_prompt
from allie_desktop.inference.torch_chat import TorchChat
from allie_desktop.models.catalogue import resolve_base


class Versions:
    """Folders, with a check that can fail."""

    def __init__(self, folders):
        self.folders = folders
        self.corrupt = set()
        self.verified = []

    def get(self, name):
        if name not in self.folders:
            raise UnknownVersionError(f"There is no version {name}.")
        return SimpleNamespace(path=str(self.folders[name]), metadata=SimpleNamespace(version=name))

    def verify(self, name):
        self.verified.append(name)
        if name in self.corrupt:
            raise VersionCorruptError(f"Version {name} was changed.")

    def all(self):
        return tuple(self.get(name) for name in self.folders)


@pytest.fixture
def versions(twins):
    return Versions({"v1.0": twins.adapter, "v1.1": twins.other})


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def llama(twins, versions, cache):
    return LocalEngines(
        versions,
        lambda: resolve_base(str(twins.gguf), cache),
        cache=cache,
        converted=cache / "gguf-adapters",
        threads=1,
    )


@pytest.fixture
def torch_engines(twins, versions, cache):
    return LocalEngines(
        versions,
        lambda: resolve_base(str(twins.folder), cache),
        cache=cache,
        converted=cache / "gguf-adapters",
        device="cpu",
    )


def answer(engine):
    options = GenerationOptions(max_tokens=8, temperature=0.0)
    found = engine.stream(user_prompt("Hello there"), options, lambda: False)
    return "".join(e.text for e in found if isinstance(e, TextPiece))[:4]  # then rounding may show


def test_a_gguf_file_is_run_by_llama_and_a_folder_by_torch_and_they_agree(llama, torch_engines):
    answers = {}
    for engines, kind in ((llama, LlamaEngine), (torch_engines, TorchChat)):
        for version in ("base", "v1.0", "v1.1"):
            engine = engines.load(version)
            assert isinstance(engine, kind)
            answers.setdefault(version, []).append(answer(engine).strip())
            engine.close()

    assert all(one == two for one, two in answers.values())
    assert len({tuple(pair) for pair in answers.values()}) == 3


def test_versions_answer_side_by_side(llama):
    engines = [llama.load(v) for v in ("base", "v1.0", "v1.1", "v1.0")]
    answers = [answer(e) for e in engines]
    engines[1].close()

    assert answer(engines[3]) == answers[3] == answers[1]
    assert len(set(answers)) == 3
    for engine in engines:
        engine.close()


def test_torch_versions_share_one_base_until_the_last_is_closed(torch_engines):
    one, two = torch_engines.load("v1.0"), torch_engines.load("v1.0")
    shared = torch_engines._shared[1]
    first = answer(one)
    one.close()

    assert answer(two) == first
    assert torch_engines._shared[1] is shared
    two.close()
    assert torch_engines._shared is None


@pytest.mark.parametrize("kind", ["llama", "torch_engines"])
def test_what_cannot_be_loaded_is_a_sentence(kind, request, versions, twins, tmp_path):
    engines = request.getfixturevalue(kind)
    with pytest.raises(UnknownVersionError):
        engines.load("v9.9")
    versions.corrupt.add("v1.0")
    with pytest.raises(VersionCorruptError, match="was changed"):
        engines.load("v1.0")

    folder = shutil.copytree(twins.adapter, tmp_path / "broken")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    versions.folders["v1.2"] = folder
    with pytest.raises(VersionCorruptError, match="cannot be read"):
        engines.load("v1.2")
    engines.load("v1.1").close()


def test_a_base_that_is_gone_is_a_sentence(versions, cache, twins):
    def gone():
        raise ModelError("There is no base model at nowhere.")

    with pytest.raises(ModelError):
        LocalEngines(versions, gone, cache=cache, converted=cache).load("base")


def test_another_base_is_read_anew(versions, cache, twins, tmp_path):
    base = resolve_base(str(twins.gguf), cache)
    engines = LocalEngines(versions, lambda: base, cache=cache, converted=cache / "gguf-adapters", threads=1)
    engines.load("base").close()
    copy = shutil.copy(twins.gguf, tmp_path / "copy.gguf")
    base = replace(base, path=str(copy), sha256="0" * 64)
    engine = engines.load("v1.0")
    engine.close()

    assert engines._header[0] == "0" * 64
    assert {f.name for f in (cache / "gguf-adapters").iterdir()} == {"0" * 16}


def test_copies_of_versions_that_are_gone_are_removed_at_the_next_load(llama, versions, cache):
    llama.load("v1.0").close()
    del versions.folders["v1.0"]
    llama.load("v1.1").close()

    (folder,) = (cache / "gguf-adapters").iterdir()
    assert {f.name.partition("-")[0] for f in folder.iterdir()} == {"v1.1"}
