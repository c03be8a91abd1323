"""Which files may be a base model: whole ones, with words for whose turn it is, and without any program."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.errors import (
    CorruptModelError,
    MissingChatTemplateError,
    ModelError,
    UnsafeModelError,
)
from allie_desktop.models import catalogue
from allie_desktop.models.catalogue import STARTER, base_name, find_starter_model, resolve_base
from tests.unit.models.gguf_files import write_header


def tensors(*numbers):
    """A safetensors file with one tensor."""
    size = 4 * len(numbers)
    header = {"w": {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [0, size]}}
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + struct.pack(f"<{len(numbers)}f", *numbers)


FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "model.safetensors": tensors(1.0, 2.0),
    "tokenizer.json": b'{"model": {}}',
    "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}).encode(),
}


HASHED = ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"]


def write_folder(folder, changes=None):
    """Write a folder that passes for a model; ``changes`` add files, or remove them with None."""
    for name, data in {**FILES, **(changes or {})}.items():
        if data is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def make(tmp_path):
    return lambda changes=None: write_folder(tmp_path / "Tiny-Chat", changes)


def refused(path, cache, kind, words):
    with pytest.raises(kind) as caught:
        resolve_base(str(path), cache)
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert caught.value.remedy


# -- what is a base model ----------------------------------------------------------------------------


def test_a_whole_folder_is_a_base_model(make, cache):
    folder = make()
    base = resolve_base(str(folder), cache)

    assert (base.name, base.path) == ("Tiny-Chat", str(folder))
    content = [FILES[name] for name in HASHED]
    assert base.sha256 == hashlib.sha256(b"".join(content)).hexdigest()


def test_a_folder_that_transformers_wrote_is_a_base_model(saved_model, cache):
    assert resolve_base(str(saved_model), cache).name == "Tiny-Chat"


def test_a_whole_gguf_file_is_a_base_model(tmp_path, cache):
    file = write_header(tmp_path / "Tiny-Chat-Q8_0.gguf")
    base = resolve_base(str(file), cache)

    assert (base.name, base.path) == ("Tiny-Chat-Q8_0", str(file))
    assert base.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_path_is_made_absolute(make, cache, monkeypatch):
    folder = make()
    monkeypatch.chdir(folder.parent)

    assert resolve_base("Tiny-Chat", cache).path == str(folder)


def test_the_home_folder_may_be_written_short(make, cache, monkeypatch):
    folder = make()
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))

    assert resolve_base("~/Tiny-Chat", cache).path == str(folder)


@pytest.mark.parametrize("template", ["chat_template.jinja", "chat_template.json"])
def test_a_template_may_have_a_file_of_its_own(make, cache, template):
    assert resolve_base(str(make({"tokenizer_config.json": b"{}", template: b"{}"})), cache)
    assert resolve_base(str(make({"tokenizer_config.json": None, template: b"{}"})), cache)


def test_a_sentencepiece_tokenizer_will_do(make, cache):
    assert resolve_base(str(make({"tokenizer.json": None, "tokenizer.model": b"\x0a\x0b"})), cache)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("", "SmolLM2-135M-Instruct"),
        (STARTER, "SmolLM2-135M-Instruct"),
        ("/models/Some-7B-Q4_K_M.gguf", "Some-7B-Q4_K_M"),
        ("/models/Some-7B-v1.0", "Some-7B-v1.0"),
        ("/models/Some-7B-v1.0/", "Some-7B-v1.0"),
        ("/nowhere/at/all", "all"),
    ],
)
def test_a_model_has_a_name_whether_or_not_it_is_there(asked, name):
    assert base_name(asked) == name


def test_the_starter_is_found_without_importing_the_package_that_carries_it(tmp_path, monkeypatch):
    package = tmp_path / "starter_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "_STARTER_PACKAGE", "starter_package")

    assert find_starter_model() == package / "model.gguf"


def test_a_missing_starter_is_a_sentence(monkeypatch):
    monkeypatch.setattr(catalogue, "_STARTER_PACKAGE", "no_such_package_at_all")

    with pytest.raises(ModelError) as caught:
        find_starter_model()
    assert caught.value.message == "The starter model is not installed."
    assert "packaging/bootstrap.py" in caught.value.remedy


@pytest.mark.process
def test_looking_at_a_model_loads_no_torch():
    code = (
        "import sys, allie_desktop.models.catalogue as c; print(*{'torch', 'transformers'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)

    assert run.stdout.strip() == b""


# -- what is not -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["no/such/model", "model.gguf/inside", "missing.gguf", "\x00", " "])
def test_an_unknown_path_is_a_sentence(tmp_path, cache, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    refused(path, cache, ModelError, f"There is no base model at {path}.")


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin",
        "model.pt",
        "model.pth",
        "last.ckpt",
        "vocab.pkl",
        "x.pickle",
        "x.joblib",
        "MODEL.BIN",
        "deep/inside/optimizer.pt",
        ".hidden/weights.bin",
    ],
)
def test_a_folder_with_a_pickle_is_refused(make, cache, name):
    folder = make({name: b"\x80\x04."})
    refused(folder, cache, UnsafeModelError, f"contains {Path(name).name}, a pickle file")


def test_a_model_that_brings_program_code_is_refused(make, cache):
    config = {"auto_map": {"AutoModelForCausalLM": "modeling_evil.EvilModel"}}
    folder = make({"config.json": json.dumps(config).encode()})

    refused(folder, cache, UnsafeModelError, "needs program code of its own")


def test_an_empty_folder_is_refused(tmp_path, cache):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", cache, ModelError, "empty has no config.json.")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"config.json": None}, ModelError, "has no config.json"),
        ({"config.json": b""}, CorruptModelError, "config.json is damaged"),
        ({"config.json": b"{"}, CorruptModelError, "config.json is damaged"),
        ({"config.json": b"[]"}, CorruptModelError, "config.json is damaged"),
        ({"config.json": b"\xff\xfe"}, CorruptModelError, "config.json is damaged"),
        ({"config.json": b"[" * 200_000}, CorruptModelError, "config.json is damaged"),
        ({"model.safetensors": None}, ModelError, "holds no safetensors files"),
        ({"tokenizer.json": None}, ModelError, "has no tokenizer"),
        ({"tokenizer_config.json": None}, MissingChatTemplateError, "has no chat template"),
        ({"tokenizer_config.json": b"{}"}, MissingChatTemplateError, "has no chat template"),
        ({"tokenizer_config.json": b'{"chat_template": ""}'}, MissingChatTemplateError, "no chat template"),
        ({"tokenizer_config.json": b"{"}, CorruptModelError, "tokenizer_config.json is damaged"),
    ],
)
def test_an_incomplete_folder_is_refused_in_a_sentence(make, cache, changes, kind, words):
    refused(make(changes), cache, kind, words)


def test_a_model_whose_shards_are_not_all_there_is_refused(make, cache):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors", "c": "model-3.safetensors"}}
    folder = make({"model.safetensors.index.json": json.dumps(index).encode()})
    refused(folder, cache, CorruptModelError, "lacks 2 of its weight files")

    for name in ("model-2.safetensors", "model-3.safetensors"):
        (folder / name).write_bytes(tensors(3.0))
    assert resolve_base(str(folder), cache)


WHOLE = tensors(1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WHOLE[:7],
        WHOLE[:8],
        WHOLE[:20],
        WHOLE[:-1],
        WHOLE + b"x",
        b"\xff" * 200,
        b"\x00" * 200,
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 9) + b'{"a": {}}',
        struct.pack("<Q", 28) + b'{"a": {"data_offsets": "no"}}'[:28],
        b"PK\x03\x04" + bytes(100),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    ],
)
def test_safetensors_that_are_not_whole_are_refused(make, cache, data):
    folder = make({"model.safetensors": data})
    refused(folder, cache, CorruptModelError, "model.safetensors is truncated or damaged.")


@given(end=st.integers(0, len(WHOLE) - 1))
def test_no_truncation_of_safetensors_goes_unnoticed(tmp_path_factory, end):
    folder = write_folder(tmp_path_factory.mktemp("cut"), {"model.safetensors": WHOLE[:end]})

    with pytest.raises(CorruptModelError):
        resolve_base(str(folder), folder / "cache")


@pytest.mark.parametrize(
    "data", [b"", b"GG", b"not a gguf file", b"\x80\x04\x95", b"PK\x03\x04", b"FUGG1234"]
)
def test_a_file_that_is_no_gguf_is_refused(tmp_path, cache, data):
    (tmp_path / "model.gguf").write_bytes(data)
    refused(tmp_path / "model.gguf", cache, CorruptModelError, "model.gguf is not a GGUF file.")


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_gguf_is_refused(tmp_path, cache, share):
    file = write_header(tmp_path / "model.gguf")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])

    refused(file, cache, CorruptModelError, "The model file model.gguf is truncated or damaged.")


@settings(max_examples=40)
@given(data=st.binary(max_size=200))
def test_no_bytes_behind_the_magic_are_taken_for_a_model(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("fuzz") / "model.gguf"
    file.write_bytes(b"GGUF" + data)

    with pytest.raises(ModelError):
        resolve_base(str(file), file.parent / "cache")


def test_a_gguf_without_a_chat_template_is_refused(tmp_path, cache):
    file = write_header(tmp_path / "model.gguf", template=None)
    refused(file, cache, MissingChatTemplateError, "The model model.gguf has no chat template")


@pytest.mark.parametrize("template", ["", "  ", 7])
def test_a_gguf_whose_chat_template_is_no_text_is_refused(tmp_path, cache, template):
    file = write_header(tmp_path / "model.gguf", template=template)
    refused(file, cache, MissingChatTemplateError, "The model model.gguf has no chat template")


@pytest.mark.parametrize("path", ["x" * 5000, "y/" * 3000, "~nobody-of-this-name/model"])
def test_a_path_that_no_disk_could_hold_is_a_short_sentence(tmp_path, cache, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        resolve_base(path, cache)

    assert caught.value.message.startswith("There is no base model at ")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("config.json", ModelError, "Tiny-Chat has no config.json."),
        ("model.safetensors", ModelError, "holds no safetensors files"),
        ("tokenizer.json", ModelError, "has no tokenizer"),
        ("tokenizer_config.json", MissingChatTemplateError, "has no chat template"),
    ],
)
def test_a_folder_in_the_place_of_a_file_counts_as_no_file(make, cache, name, kind, words):
    folder = make({name: None})
    (folder / name).mkdir()

    refused(folder, cache, kind, words)


def test_a_folder_whose_name_ends_like_a_weights_file_is_passed_over(make, cache):
    folder = make()
    before = resolve_base(str(folder), cache)
    (folder / "old.safetensors").mkdir()

    assert resolve_base(str(folder), cache) == before


@pytest.mark.parametrize(
    "index", [{"weight_map": {"a": ["x"]}}, {"weight_map": {"a": None}}, {"weight_map": 7}, {}]
)
def test_an_index_of_shards_that_makes_no_sense_is_refused(make, cache, index):
    folder = make({"model.safetensors.index.json": json.dumps(index).encode()})

    refused(folder, cache, CorruptModelError, "model.safetensors.index.json is damaged.")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
def test_a_model_that_may_not_be_read_is_a_sentence(make, cache):
    folder = make()
    (folder / "config.json").chmod(0)

    refused(folder, cache, ModelError, "The base model Tiny-Chat cannot be read: permission denied.")


def test_a_disk_that_fails_is_a_sentence(make, cache, monkeypatch):
    folder = make()

    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(catalogue, "_blocks", fail)
    refused(folder, cache, ModelError, "The base model Tiny-Chat cannot be read: input/output error.")


def test_another_chat_template_is_another_base_model(make, cache):
    folder = make()
    before = resolve_base(str(folder), cache)
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ other }}"}', "utf-8")

    assert resolve_base(str(folder), cache).sha256 != before.sha256


# -- models that were downloaded ----------------------------------------------------------------------


def test_a_downloaded_model_is_found_by_its_name(tmp_path, cache):
    folder = write_folder(tmp_path / "bases" / "TinyLlama-1.1B-Chat-v1.0")

    base = resolve_base("tinyllama-1.1b-chat", cache, downloads=tmp_path / "bases")

    assert (base.name, base.path) == ("TinyLlama-1.1B-Chat-v1.0", str(folder))
    assert base_name("tinyllama-1.1b-chat") == "TinyLlama-1.1B-Chat-v1.0"


@pytest.mark.parametrize("downloads", [None, "bases"])
def test_a_model_that_is_not_downloaded_yet_is_a_sentence(tmp_path, cache, downloads):
    with pytest.raises(ModelError) as caught:
        resolve_base("tinyllama-1.1b-chat", cache, downloads=downloads and tmp_path / downloads)

    assert caught.value.message == "The model TinyLlama-1.1B-Chat-v1.0 is not downloaded yet."
    assert "allie models get tinyllama-1.1b-chat" in caught.value.remedy


# -- the memory of hashes ----------------------------------------------------------------------------


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read through to hash them."""
    names = []
    blocks = catalogue._blocks

    def noted(path):
        names.append(path.name)
        return blocks(path)

    monkeypatch.setattr(catalogue, "_blocks", noted)
    return names


def test_an_unchanged_model_is_hashed_once(make, cache, read):
    folder = make()
    first = resolve_base(str(folder), cache)
    assert read == HASHED

    assert resolve_base(str(folder), cache) == first
    assert read == HASHED


def test_an_unchanged_gguf_is_looked_into_once(tmp_path, cache, read, monkeypatch):
    file = write_header(tmp_path / "model.gguf")
    first = resolve_base(str(file), cache)

    def never(path):
        raise AssertionError(path)

    monkeypatch.setattr(catalogue, "_check_gguf", never)
    assert resolve_base(str(file), cache) == first
    assert read == ["model.gguf"]


def test_a_file_that_changed_is_hashed_again(make, cache, read):
    folder = make()
    first = resolve_base(str(folder), cache)
    (folder / "model.safetensors").write_bytes(tensors(1.0, 2.0, 3.0))

    second = resolve_base(str(folder), cache)

    assert second.sha256 != first.sha256
    assert read == HASHED * 2
    # And back again: what was known of it still holds only for the same time stamp.
    (folder / "model.safetensors").write_bytes(FILES["model.safetensors"])
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert resolve_base(str(folder), cache).sha256 == first.sha256
    assert read == HASHED * 3


def test_a_file_of_the_same_size_but_another_time_is_hashed_again(make, cache):
    folder = make()
    first = resolve_base(str(folder), cache)
    (folder / "model.safetensors").write_bytes(tensors(2.0, 1.0))
    os.utime(folder / "model.safetensors", ns=(10**18, 10**18))

    assert resolve_base(str(folder), cache).sha256 != first.sha256


def test_a_gguf_that_was_damaged_after_it_was_known_is_refused(tmp_path, cache):
    file = write_header(tmp_path / "model.gguf")
    resolve_base(str(file), cache)
    file.write_bytes(file.read_bytes()[:-40])

    refused(file, cache, CorruptModelError, "truncated or damaged")


def test_a_known_folder_is_still_checked_for_pickles(make, cache):
    folder = make()
    resolve_base(str(folder), cache)
    (folder / "evil.pkl").write_bytes(b"\x80")

    refused(folder, cache, UnsafeModelError, "evil.pkl")


def test_the_same_content_elsewhere_has_the_same_hash(make, cache, tmp_path):
    folder = make()
    shutil.copytree(folder, tmp_path / "elsewhere" / "Tiny-Chat")

    bases = [resolve_base(str(f), cache) for f in (folder, tmp_path / "elsewhere" / "Tiny-Chat")]
    assert bases[0].sha256 == bases[1].sha256


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 7}', "\x00\x01"])
def test_a_damaged_memory_is_only_forgotten(make, cache, text):
    cache.mkdir()
    (cache / "base-hashes.json").write_text(text, "utf-8")
    folder = make()

    first = resolve_base(str(folder), cache)
    assert resolve_base(str(folder), cache) == first
    assert first.sha256 in (cache / "base-hashes.json").read_text("utf-8")


def test_a_memory_that_cannot_be_written_costs_only_time(make, tmp_path, read):
    folder = make()
    (tmp_path / "cache").write_text("a file where the folder should be")

    first = resolve_base(str(folder), tmp_path / "cache")

    assert resolve_base(str(folder), tmp_path / "cache") == first
    assert read == HASHED * 2


def test_the_memory_leaves_no_litter(make, cache):
    resolve_base(str(make()), cache)

    assert [file.name for file in cache.iterdir()] == ["base-hashes.json"]
