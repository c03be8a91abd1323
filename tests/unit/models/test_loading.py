"""Loading a base model: the weights on the disk are the weights in memory, in either format."""

from __future__ import annotations

import importlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from allie_desktop.domain.errors import CorruptModelError, MissingChatTemplateError, ModelError
from allie_desktop.domain.planning import BaseModel
from allie_desktop.models import loading
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.loading import best_device, best_dtype, load_base
from tests.unit.learning.tiny import CHATML, chatml_tokenizer, tiny_llama
from tests.unit.models.gguf_files import write_llama

TOKENS = torch.tensor([[5, 17, 80, 3, 3, 41]])
TALK = [{"role": "user", "content": "What is my sister called?"}, {"role": "assistant", "content": "Ada 🙂"}]


def load(path, cache, dtype=torch.float32):
    return load_base(resolve_base(str(path), cache), cache=cache, device="cpu", dtype=dtype)


def logits(model):
    with torch.no_grad():
        return model(input_ids=TOKENS).logits


@pytest.fixture
def original():
    return tiny_llama(len(chatml_tokenizer()))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


# -- a folder ----------------------------------------------------------------------------------------


def test_a_folder_gives_back_the_model_that_was_saved(saved_model, cache, original):
    loaded = load(saved_model, cache)

    assert torch.equal(logits(loaded.model), logits(original))
    assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)
    assert loaded.base.name == "Tiny-Chat"


def test_a_loaded_model_is_frozen_and_answers_the_same_twice(saved_model, cache):
    loaded = load(saved_model, cache)

    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert not loaded.model.training
    assert torch.equal(logits(loaded.model), logits(loaded.model))


def test_the_tokenizer_comes_with_its_template_and_its_marks(saved_model, cache):
    loaded, tokenizer = load(saved_model, cache).tokenizer, chatml_tokenizer()

    assert loaded.is_fast
    assert loaded.chat_template == CHATML
    assert loaded.all_special_ids == tokenizer.all_special_ids
    text = tokenizer.apply_chat_template(TALK, tokenize=False)
    assert loaded.apply_chat_template(TALK, tokenize=False) == text
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_the_type_that_was_asked_for_is_loaded(saved_model, cache):
    loaded = load(saved_model, cache, dtype=torch.bfloat16)

    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert loaded.dtype == torch.bfloat16


def copied(saved_model, tmp_path):
    return shutil.copytree(saved_model, tmp_path / "Tiny-Chat")


def test_a_tokenizer_without_padding_pads_with_its_end(saved_model, cache, tmp_path):
    folder = copied(saved_model, tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    del config["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")

    tokenizer = load(folder, cache).tokenizer

    assert tokenizer.pad_token_id == tokenizer.eos_token_id is not None


def test_a_folder_that_lost_its_template_since_is_refused(saved_model, cache, tmp_path):
    folder = copied(saved_model, tmp_path)
    base = resolve_base(str(folder), cache)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")

    with pytest.raises(MissingChatTemplateError) as caught:
        load_base(base, cache=cache, device="cpu", dtype=torch.float32)
    assert caught.value.message.startswith("The model Tiny-Chat has no chat template")


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def unknown_architecture(folder):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model"}), "utf-8")


def other_size(folder):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 64}), "utf-8")


@pytest.mark.parametrize("damage", [no_weights, unknown_architecture, other_size])
def test_a_folder_that_was_damaged_since_is_a_sentence(saved_model, cache, tmp_path, damage):
    folder = copied(saved_model, tmp_path)
    base = resolve_base(str(folder), cache)
    damage(folder)

    with pytest.raises(CorruptModelError) as caught:
        load_base(base, cache=cache, device="cpu", dtype=torch.float32)
    assert caught.value.message.startswith("The base model Tiny-Chat could not be loaded: ")
    assert "\n" not in caught.value.message
    assert caught.value.remedy == "Download the model again, or choose another one."


# -- a GGUF file -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    tokenizer = chatml_tokenizer()
    return write_llama(
        tmp_path_factory.mktemp("gguf") / "Tiny-Chat.gguf", tiny_llama(len(tokenizer)), tokenizer
    )


@pytest.fixture(scope="module")
def unpacked(gguf, tmp_path_factory):
    """A cache in which the file was unpacked, and what was loaded then."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, load(gguf, cache)


def test_a_gguf_file_gives_back_the_model_that_was_converted(unpacked, original):
    _, loaded = unpacked

    torch.testing.assert_close(logits(loaded.model), logits(original), rtol=1e-5, atol=1e-5)


def test_a_gguf_tokenizer_splits_and_marks_as_the_one_that_was_converted(unpacked):
    loaded, tokenizer = unpacked[1].tokenizer, chatml_tokenizer()

    assert loaded.chat_template == CHATML
    assert (loaded.eos_token, loaded.pad_token) == (tokenizer.eos_token, tokenizer.pad_token)
    text = tokenizer.apply_chat_template(TALK, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert loaded(text, add_special_tokens=False)["input_ids"] == ids


def test_a_gguf_file_is_unpacked_once(unpacked, gguf, monkeypatch):
    import transformers

    cache, first = unpacked
    monkeypatch.setattr(transformers, "GgufConfig", None)  # whoever unpacks again falls over it

    again = load(gguf, cache)

    assert torch.equal(logits(again.model), logits(first.model))


def test_what_was_unpacked_is_safetensors_named_by_hash_and_type(unpacked, gguf):
    cache, loaded = unpacked
    folder = cache / "bases" / f"{loaded.base.sha256[:16]}-float32"

    assert [f.name for f in (cache / "bases").iterdir()] == [folder.name]
    assert (folder / "complete").is_file()
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.float32}
    assert not [f for f in folder.iterdir() if f.suffix in {".bin", ".pt"}]


def test_an_unpacking_that_was_killed_is_done_again(unpacked, gguf, tmp_path):
    done, first = unpacked
    name = f"{first.base.sha256[:16]}-float32"
    shutil.copytree(done / "bases" / name, tmp_path / "bases" / name)
    (tmp_path / "bases" / name / "complete").unlink()
    (tmp_path / "bases" / name / "model.safetensors").write_bytes(b"half")

    again = load(gguf, tmp_path)

    assert torch.equal(logits(again.model), logits(first.model))
    assert (tmp_path / "bases" / name / "complete").is_file()


def test_a_gguf_file_that_was_damaged_since_is_a_sentence_and_leaves_nothing(gguf, tmp_path, cache):
    file = shutil.copy(gguf, tmp_path / "Tiny-Chat.gguf")
    base = resolve_base(str(file), cache)
    (tmp_path / "Tiny-Chat.gguf").write_bytes(b"GGUF" + bytes(300))

    with pytest.raises(CorruptModelError) as caught:
        load_base(base, cache=cache, device="cpu", dtype=torch.float32)
    assert caught.value.message.startswith("The model file Tiny-Chat.gguf could not be read: ")
    assert list((cache / "bases").iterdir()) == []


def test_unpacking_reads_the_file_once_and_leaves_the_library_as_it_was(gguf, cache, monkeypatch):
    library = importlib.import_module("gguf")
    reader, names, read = library.GGUFReader, library.get_tensor_name_map, []

    def counted(path):
        read.append(path)
        return reader(path)

    base = resolve_base(str(gguf), cache)
    monkeypatch.setattr(library, "GGUFReader", counted)
    load_base(base, cache=cache, device="cpu", dtype=torch.float32)
    assert len(read) == 1
    assert (library.GGUFReader, library.get_tensor_name_map) == (counted, names)

    monkeypatch.setattr(loading.os, "replace", None)  # it fails at its very end
    with pytest.raises(ModelError):
        load_base(base, cache=cache / "another", device="cpu", dtype=torch.float32)
    assert (library.GGUFReader, library.get_tensor_name_map) == (counted, names)


def test_a_disk_that_is_full_is_a_sentence_and_leaves_nothing(gguf, cache, monkeypatch):
    base = resolve_base(str(gguf), cache)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loading.os, "replace", fail)
    with pytest.raises(ModelError) as caught:
        load_base(base, cache=cache, device="cpu", dtype=torch.float32)
    assert "could not be unpacked" in caught.value.message
    assert caught.value.remedy == "Free some disk space and try again."
    assert list((cache / "bases").iterdir()) == []


def test_a_path_that_is_gone_is_a_sentence(cache, tmp_path):
    base = BaseModel(name="Tiny-Chat", path=str(tmp_path / "gone"), sha256="a" * 64)

    with pytest.raises(CorruptModelError, match="could not be loaded"):
        load_base(base, cache=cache, device="cpu", dtype=torch.float32)


# -- where it runs -----------------------------------------------------------------------------------


def test_a_device_that_was_asked_for_is_taken():
    assert best_device("cpu") == torch.device("cpu")


def test_a_cpu_without_the_dot_products_of_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(loading, "_cpu_multiplies_bf16", lambda: False)

    assert best_dtype(torch.device("cpu")) == torch.float32


def test_other_devices_than_cuda_and_cpus_compute_in_float32():
    assert best_dtype(torch.device("mps")) == torch.float32
