"""Versions written for other programs answer there as they do here."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import gguf
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from allie_desktop.domain.errors import (
    BadInputError,
    CorruptModelError,
    DiskFullError,
    ModelError,
    VersionCorruptError,
)
from allie_desktop.domain.versions import Version, VersionMetadata, VersionState
from allie_desktop.learning.adapter import Adapter
from allie_desktop.models import exporting, new_folder
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.exporting import ExportForm, VersionExporter, form_of
from allie_desktop.models.lora import read_lora
from allie_desktop.models.merged_gguf import write_merged_gguf
from allie_desktop.models.merging import write_merged
from tests.unit.learning.tiny import GEOMETRY, ZEPHYR, chatml_tokenizer, tiny_llama, zephyr_tokenizer
from tests.unit.models.gguf_files import write_llama

TOKENS = torch.tensor([[5, 17, 80, 3, 3, 41, 200, 9]])
PEFT, MERGED, GGUF, OLLAMA, LMSTUDIO = ExportForm


def shaken(adapter: Adapter, size=0.05):
    draw = torch.Generator().manual_seed(3)
    adapter.set_state({n: size * torch.randn(t.shape, generator=draw) for n, t in adapter.masters.items()})
    return adapter


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """An adapter folder as an episode leaves it, and the logits of base and adapted model."""
    folder = tmp_path_factory.mktemp("learned") / "v1.0"
    model = tiny_llama(len(chatml_tokenizer()))
    with torch.no_grad():
        before = model(input_ids=TOKENS).logits.clone()
    adapter = shaken(Adapter(model, GEOMETRY, seed=1))
    adapter.save(folder)
    (folder / "report.json").write_text('{"what": "the person said"}', "utf-8")
    with torch.no_grad():
        after = adapter.model(input_ids=TOKENS).logits.clone()
    assert float((after - before).abs().max()) > 0.1
    return folder, before, after


@pytest.fixture(scope="module")
def gguf_base(tmp_path_factory) -> Path:
    tokenizer = chatml_tokenizer()
    return write_llama(
        tmp_path_factory.mktemp("gguf") / "Tiny-Chat-F32.gguf", tiny_llama(len(tokenizer)), tokenizer
    )


@pytest.fixture
def version(learned):
    metadata = VersionMetadata(
        version="v1.0",
        parent=None,
        base_name="Tiny-Chat",
        base_sha256="a" * 64,
        created_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
        episode_id="e1",
        plan_digest="d",
        conversations=7,
    )
    return Version(metadata=metadata, path=str(learned[0]), state=VersionState.ACTIVE)


def convert(adapter: Path, base: Path, target: Path) -> None:
    target.write_bytes(b"GGUF lora of " + adapter.name.encode() + b" for " + base.name.encode())


@pytest.fixture
def exporter_for(tmp_path):
    def make(base: Path) -> VersionExporter:
        cache = tmp_path / "cache"
        return VersionExporter(resolve_base(str(base), cache), cache=cache, convert=convert)

    return make


def logits_of(folder, dtype=None):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    with torch.no_grad():
        return model(input_ids=TOKENS).logits.float()


def names(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


# -- merged safetensors ------------------------------------------------------------------------------


def test_a_merged_folder_answers_as_base_and_adapter_do(
    saved_model, learned, version, exporter_for, tmp_path
):
    done = exporter_for(saved_model).export(version, tmp_path / "out", MERGED)

    torch.testing.assert_close(logits_of(tmp_path / "out"), learned[2], rtol=1e-4, atol=1e-4)
    assert done.files == (
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    )
    assert done.size_bytes == sum((tmp_path / "out" / f).stat().st_size for f in done.files)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    talk = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(talk, tokenize=False) == chatml_tokenizer().apply_chat_template(
        talk, tokenize=False
    )


def test_merging_keeps_the_type_of_each_weight(saved_model, learned, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(saved_model, half)
    weights = {n: t.bfloat16() for n, t in load_file(half / "model.safetensors").items()}
    save_file(weights, half / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "out").mkdir()

    write_merged(half, read_lora(learned[0]), tmp_path / "out")

    merged = load_file(tmp_path / "out" / "model.safetensors")
    assert {t.dtype for t in merged.values()} == {torch.bfloat16}
    expected = weights["model.layers.0.mlp.up_proj.weight"].float() + torch.from_numpy(
        read_lora(learned[0]).delta("model.layers.0.mlp.up_proj")
    )
    assert torch.equal(merged["model.layers.0.mlp.up_proj.weight"], expected.bfloat16())
    assert torch.equal(merged["model.embed_tokens.weight"], weights["model.embed_tokens.weight"])
    difference = (logits_of(tmp_path / "out", torch.bfloat16) - learned[2]).abs().max()
    assert float(difference) < 0.05 * float(learned[2].abs().max())


def test_a_gguf_base_becomes_a_merged_folder_in_bfloat16(gguf_base, learned, version, exporter_for, tmp_path):
    exporter_for(gguf_base).export(version, tmp_path / "out", MERGED)

    assert json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))["dtype"] == "bfloat16"
    found = logits_of(tmp_path / "out", torch.float32)
    assert float((found - learned[2]).abs().max()) < 0.02 * float(learned[2].abs().max())
    assert float((found - learned[1]).abs().max()) > 0.1


def test_a_large_model_is_written_in_several_files(saved_model, learned, tmp_path):
    (tmp_path / "out").mkdir()
    write_merged(saved_model, read_lora(learned[0]), tmp_path / "out", largest_shard_bytes=60_000)

    shards = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(shards) > 2
    assert shards[0].name == f"model-00001-of-{len(shards):05d}.safetensors"
    assert not list((tmp_path / "out").glob("*.part"))
    assert resolve_base(str(tmp_path / "out"), tmp_path / "cache").name == "out"
    torch.testing.assert_close(logits_of(tmp_path / "out"), learned[2], rtol=1e-4, atol=1e-4)


def test_a_version_of_another_model_is_not_merged(saved_model, tmp_path, version, exporter_for):
    other = tmp_path / "other"
    shaken(Adapter(tiny_llama(50, layers=3), GEOMETRY, seed=1)).save(other)

    for out in ("a", "b"):
        (tmp_path / out).mkdir()
    with pytest.raises(ModelError) as caught:
        write_merged(saved_model, read_lora(other), tmp_path / "a")
    assert caught.value.message == "The version does not fit this base model: it was made for other layers."


def test_quantised_weights_are_not_merged(saved_model, learned, tmp_path):
    quantised = tmp_path / "quantised"
    shutil.copytree(saved_model, quantised)
    config = json.loads((quantised / "config.json").read_text("utf-8"))
    (quantised / "config.json").write_text(
        json.dumps({**config, "quantization_config": {"bits": 4}}), "utf-8"
    )
    (tmp_path / "out").mkdir()

    with pytest.raises(ModelError, match="are quantised"):
        write_merged(quantised, read_lora(learned[0]), tmp_path / "out")


# -- GGUF --------------------------------------------------------------------------------------------


def from_gguf(file: Path):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    with torch.no_grad():
        return model(input_ids=TOKENS).logits


def test_a_merged_gguf_file_answers_as_base_and_adapter_do(
    gguf_base, learned, version, exporter_for, tmp_path
):
    done = exporter_for(gguf_base).export(version, tmp_path / "out", LMSTUDIO)

    file = tmp_path / "out" / "Tiny-Chat-F32-v1.0-F16.gguf"
    assert done.files == ("README.md", file.name)
    assert f"lms import {file.name}" in done.use
    torch.testing.assert_close(from_gguf(file), learned[2], rtol=1e-4, atol=1e-4)
    before, after = gguf.GGUFReader(gguf_base), gguf.GGUFReader(file)
    changed = {"general.name", "general.file_type", "GGUF.kv_count"}
    assert after.fields.keys() - changed == before.fields.keys() - changed
    for name in before.fields.keys() - changed:
        assert after.fields[name].contents() == before.fields[name].contents()
    assert after.fields["general.name"].contents() == "Tiny-Chat-F32-v1.0"


def test_quantised_tensors_are_merged_in_sixteen_bits_and_others_copied(gguf_base, learned, tmp_path):
    quantised = tmp_path / "quantised.gguf"
    reader, writer = gguf.GGUFReader(gguf_base), gguf.GGUFWriter(quantised, "llama")
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind = field.types[0]
            inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    q8 = gguf.GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        whole = tensor.data.ndim == 2 and tensor.data.shape[-1] % 32 == 0
        data = gguf.quants.quantize(tensor.data, q8) if whole else tensor.data
        writer.add_tensor(tensor.name, data, raw_dtype=q8 if whole else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    lora = read_lora(learned[0])

    write_merged_gguf(quantised, lora, tmp_path / "merged.gguf", name="x")

    before = {t.name: t for t in gguf.GGUFReader(quantised).tensors}
    after = {t.name: t for t in gguf.GGUFReader(tmp_path / "merged.gguf").tensors}
    assert before.keys() == after.keys()
    down = "blk.1.ffn_down.weight"
    assert (before[down].tensor_type.name, after[down].tensor_type.name) == ("Q8_0", "F16")
    weight = gguf.quants.dequantize(before[down].data, q8) + lora.delta("model.layers.1.mlp.down_proj")
    assert (after[down].data == weight.astype("float16")).all()
    norm = "blk.1.attn_norm.weight"
    assert (after[norm].data == before[norm].data).all()


def test_a_gguf_file_of_an_unknown_family_is_refused(learned, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "mamba")
    writer.add_block_count(2)
    writer.add_tensor("token_embd.weight", torch.zeros(4, 4).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    with pytest.raises(ModelError, match="does not know how models of the family “mamba”"):
        write_merged_gguf(tmp_path / "odd.gguf", read_lora(learned[0]), tmp_path / "out.gguf", name="x")


def test_a_version_of_another_model_is_not_merged_into_a_gguf_file(gguf_base, tmp_path):
    shaken(Adapter(tiny_llama(50, layers=3), GEOMETRY, seed=1)).save(tmp_path / "other")

    with pytest.raises(ModelError, match="does not fit this base model"):
        write_merged_gguf(gguf_base, read_lora(tmp_path / "other"), tmp_path / "out.gguf", name="x")


def test_a_damaged_gguf_base_is_a_sentence(gguf_base, learned, tmp_path):
    (tmp_path / "cut.gguf").write_bytes(gguf_base.read_bytes()[:3000])

    with pytest.raises(CorruptModelError, match="truncated or damaged"):
        write_merged_gguf(tmp_path / "cut.gguf", read_lora(learned[0]), tmp_path / "out.gguf", name="x")


def test_an_adapter_for_llama_cpp_is_converted_for_the_base_file(gguf_base, version, exporter_for, tmp_path):
    done = exporter_for(gguf_base).export(version, tmp_path / "out", GGUF)

    assert done.files == ("README.md", "Tiny-Chat-F32-v1.0-lora.gguf")
    assert (tmp_path / "out" / done.files[1]).read_bytes() == b"GGUF lora of v1.0 for Tiny-Chat-F32.gguf"


@pytest.mark.parametrize("form", [GGUF, LMSTUDIO])
def test_forms_that_need_a_gguf_base_say_so(saved_model, version, exporter_for, tmp_path, form):
    with pytest.raises(BadInputError) as caught:
        exporter_for(saved_model).export(version, tmp_path / "out", form)

    assert caught.value.message.endswith("and Tiny-Chat is a folder of safetensors.")
    assert "convert_hf_to_gguf.py" in caught.value.remedy
    assert not (tmp_path / "out").exists()


# -- PEFT --------------------------------------------------------------------------------------------


def test_a_peft_folder_is_the_adapter_and_nothing_of_the_person(
    saved_model, learned, version, exporter_for, tmp_path
):
    import peft

    done = exporter_for(saved_model).export(version, tmp_path / "out", PEFT)

    assert done.files == ("README.md", "adapter_config.json", "adapter_model.safetensors")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == "Tiny-Chat"
    model = peft.PeftModel.from_pretrained(tiny_llama(len(chatml_tokenizer())), tmp_path / "out")
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=TOKENS).logits, learned[2], rtol=1e-4, atol=1e-4)


def test_a_damaged_adapter_is_not_exported(saved_model, learned, version, exporter_for, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(learned[0], damaged)
    weights = damaged / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20])
    broken = Version(metadata=version.metadata, path=str(damaged), state=version.state)

    for form in (PEFT, MERGED):
        with pytest.raises(VersionCorruptError, match="cannot be read"):
            exporter_for(saved_model).export(broken, tmp_path / "out", form)
    assert names(tmp_path) == ["cache", "damaged"]


@pytest.mark.parametrize(
    "change",
    [{"use_dora": True}, {"bias": "all"}, {"alpha_pattern": {"q_proj": 2}}, {"r": 0}, {"peft_type": "IA3"}],
)
def test_an_adapter_that_is_more_than_lora_is_refused(learned, tmp_path, change):
    folder = tmp_path / "odd"
    shutil.copytree(learned[0], folder)
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps({**config, **change}), "utf-8")

    with pytest.raises(VersionCorruptError):
        read_lora(folder)


# -- Ollama ------------------------------------------------------------------------------------------

CHATML_FILE = '''# Tiny-Chat-F32-v1.0: what Allie learned, on top of Tiny-Chat-F32.
FROM ./Tiny-Chat-F32.gguf
ADAPTER ./Tiny-Chat-F32-v1.0-lora.gguf
TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
SYSTEM """You are a helpful AI assistant"""
PARAMETER stop "<|im_start|>"
PARAMETER stop "<|im_end|>"
'''


def test_an_ollama_folder_holds_base_adapter_and_modelfile(gguf_base, version, exporter_for, tmp_path):
    done = exporter_for(gguf_base).export(version, tmp_path / "out", OLLAMA)

    assert done.files == ("Modelfile", "README.md", "Tiny-Chat-F32-v1.0-lora.gguf", "Tiny-Chat-F32.gguf")
    assert (tmp_path / "out" / "Modelfile").read_text("utf-8") == CHATML_FILE
    assert (tmp_path / "out" / "Tiny-Chat-F32.gguf").read_bytes() == gguf_base.read_bytes()
    assert "ollama create tiny-chat-f32-v1.0" in done.use


def test_a_safetensors_base_goes_to_ollama_merged(saved_model, learned, version, exporter_for, tmp_path):
    base = tmp_path / "Tiny-Chat"
    shutil.copytree(saved_model, base)
    (base / "chat_template.jinja").write_text(ZEPHYR, "utf-8")
    settings = json.loads((base / "tokenizer_config.json").read_text("utf-8"))
    (base / "tokenizer_config.json").write_text(
        json.dumps({**settings, "bos_token": "<s>", "eos_token": {"content": "</s>"}}), "utf-8"
    )
    assert zephyr_tokenizer().eos_token == "</s>"

    exporter_for(base).export(version, tmp_path / "out", OLLAMA)

    lines = (tmp_path / "out" / "Modelfile").read_text("utf-8").splitlines()
    assert lines[1:6] == [
        "FROM .",
        'TEMPLATE """{{- range .Messages }}<|{{ .Role }}|>',
        "{{ .Content }}</s>",
        "{{ end }}<|assistant|>",
        '"""',
    ]
    assert lines[6:] == [f'PARAMETER stop "{s}"' for s in ("<|system|>", "<|user|>", "<|assistant|>", "</s>")]
    torch.testing.assert_close(logits_of(tmp_path / "out"), learned[2], rtol=1e-4, atol=1e-4)


# -- the folder --------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_left_alone(saved_model, version, exporter_for, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", "utf-8")

    with pytest.raises(BadInputError, match="is there already"):
        exporter_for(saved_model).export(version, tmp_path / "out", PEFT)
    assert names(tmp_path / "out") == ["mine.txt"]


def test_an_empty_folder_is_filled_and_missing_ones_are_made(saved_model, version, exporter_for, tmp_path):
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "a" / "b"):
        exporter_for(saved_model).export(version, target, PEFT)
        assert len(names(target)) == 3


def test_a_file_in_the_place_of_the_folder_is_left_alone(saved_model, version, exporter_for, tmp_path):
    (tmp_path / "out").write_text("mine", "utf-8")

    for target in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(BadInputError):
            exporter_for(saved_model).export(version, target, PEFT)
    assert (tmp_path / "out").read_text("utf-8") == "mine"


def test_too_little_space_is_said_before_anything_is_written(
    saved_model, version, exporter_for, tmp_path, monkeypatch
):
    monkeypatch.setattr(new_folder.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))

    with pytest.raises(DiskFullError) as caught:
        exporter_for(saved_model).export(version, tmp_path / "out", MERGED)
    assert "are needed, and 0.0 GB are free" in caught.value.message
    assert names(tmp_path) == ["cache"]


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("form", [PEFT, MERGED, LMSTUDIO, OLLAMA])
def test_a_disk_that_fills_up_leaves_nothing(gguf_base, version, exporter_for, tmp_path, form):
    import resource

    exporter = exporter_for(gguf_base)
    exporter.export(version, tmp_path / "first", MERGED)  # what is unpacked is in the cache from now on
    shutil.rmtree(tmp_path / "first")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(DiskFullError) as caught:
            exporter.export(version, tmp_path / "out", form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.message.startswith("There is no room for out on this disk.")
    assert names(tmp_path) == ["cache"]


def test_what_a_killed_export_left_is_removed_by_the_next_one(saved_model, version, exporter_for, tmp_path):
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "half").write_bytes(bytes(10))

    done = exporter_for(saved_model).export(version, tmp_path / "out", PEFT)

    assert "half" not in done.files
    assert names(tmp_path) == ["cache", "out"]


def test_a_copy_that_is_not_what_was_copied_is_noticed(
    saved_model, version, exporter_for, tmp_path, monkeypatch
):
    copy = shutil.copyfile

    def badly(source, target):
        copy(source, target)
        with open(target, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x7f")

    monkeypatch.setattr(exporting.shutil, "copyfile", badly)
    with pytest.raises(VersionCorruptError, match="is not what was copied"):
        exporter_for(saved_model).export(version, tmp_path / "out", PEFT)
    assert not (tmp_path / "out").exists()


def test_an_error_that_is_not_about_space_is_told_as_it_is(
    saved_model, version, exporter_for, tmp_path, monkeypatch
):
    def fail(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(exporting.shutil, "copyfile", fail)
    with pytest.raises(BadInputError, match="cannot be written: read-only file system"):
        exporter_for(saved_model).export(version, tmp_path / "out", PEFT)


def test_forms_are_named_as_people_type_them():
    assert [form_of(name) for name in ("peft", "MERGED", "gguf", "Ollama", "lmstudio")] == list(ExportForm)
    with pytest.raises(BadInputError) as caught:
        form_of("zip")
    assert caught.value.remedy == "There are: peft, merged, gguf, ollama, lmstudio."
