"""PEFT to GGUF: names, order of rows, alpha; the cache; and everything that may be wrong with an adapter."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file

from allie_desktop.domain.errors import DiskFullError, ModelError, VersionCorruptError
from allie_desktop.inference import gguf_adapter
from allie_desktop.inference.gguf_adapter import cached_adapter, convert_adapter, forget_cached
from tests.unit.inference.conftest import random_lora

LAYER = "base_model.model.model.layers.1"


@pytest.fixture
def adapter(twins, tmp_path):
    return shutil.copytree(twins.adapter, tmp_path / "adapter")


def weights_of(folder):
    return load_file(folder / "adapter_model.safetensors")


def half(values):
    return values.astype(np.float16)


def rewrite(folder, weights):
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def change_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def tensors_of(file):
    return {t.name: np.array(t.data) for t in GGUFReader(file).tensors}


def test_every_matrix_arrives_under_its_name_in_the_file(twins, tmp_path):
    convert_adapter(twins.adapter, twins.gguf, tmp_path / "a.gguf")

    source, made = weights_of(twins.adapter), tensors_of(tmp_path / "a.gguf")
    assert len(made) == len(source) == 2 * 7 * 2
    for theirs, ours in {
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }.items():
        for side in ("A", "B"):
            expected = source[f"{LAYER}.{theirs}.lora_{side}.weight"]
            np.testing.assert_array_equal(made[f"blk.1.{ours}.weight.lora_{side.lower()}"], half(expected))


def test_rows_of_query_and_key_are_interleaved_and_nothing_else_of_them(twins, tmp_path):
    convert_adapter(twins.adapter, twins.gguf, tmp_path / "a.gguf")

    source, made = weights_of(twins.adapter), tensors_of(tmp_path / "a.gguf")
    for letter, heads in (("q", 4), ("k", 2)):
        rows = source[f"{LAYER}.self_attn.{letter}_proj.lora_B.weight"]
        expected = []
        for head in range(heads):  # twelve rows a head
            for i in range(6):
                expected += [rows[head * 12 + i], rows[head * 12 + 6 + i]]
        np.testing.assert_array_equal(made[f"blk.1.attn_{letter}.weight.lora_b"], half(np.stack(expected)))
        np.testing.assert_array_equal(
            made[f"blk.1.attn_{letter}.weight.lora_a"],
            half(source[f"{LAYER}.self_attn.{letter}_proj.lora_A.weight"]),
        )


def test_the_file_says_what_it_is(twins, tmp_path):
    convert_adapter(twins.adapter, twins.gguf, tmp_path / "a.gguf")

    fields = GGUFReader(tmp_path / "a.gguf").fields
    assert fields["general.type"].contents() == "adapter"
    assert fields["adapter.type"].contents() == "lora"
    assert fields["general.architecture"].contents() == "llama"
    assert fields["adapter.lora.alpha"].contents() == 8.0
    assert [f.name for f in tmp_path.iterdir()] == ["a.gguf"]


def test_rank_stabilised_scaling_is_put_into_alpha(adapter, twins, tmp_path):
    change_config(adapter, use_rslora=True)
    convert_adapter(adapter, twins.gguf, tmp_path / "a.gguf")

    # 8 / sqrt(4) is what PEFT scales by, alpha / 4 what llama.cpp does.
    assert GGUFReader(tmp_path / "a.gguf").fields["adapter.lora.alpha"].contents() == 16.0


def test_half_precision_weights_are_read_without_torch(adapter, twins, tmp_path):
    import torch
    from safetensors.torch import save_file as save_torch

    whole = {n: torch.from_numpy(w) for n, w in weights_of(adapter).items()}
    for dtype in (torch.bfloat16, torch.float16):
        rounded = {n: w.to(dtype) for n, w in whole.items()}
        save_torch(rounded, adapter / "adapter_model.safetensors")
        convert_adapter(adapter, twins.gguf, tmp_path / "a.gguf")
        made = tensors_of(tmp_path / "a.gguf")
        np.testing.assert_array_equal(
            made["blk.1.attn_v.weight.lora_a"],
            half(rounded[f"{LAYER}.self_attn.v_proj.lora_A.weight"].float().numpy()),
        )


def test_weights_too_large_for_half_precision_keep_theirs(adapter, twins, tmp_path):
    weights = weights_of(adapter)
    weights[f"{LAYER}.mlp.up_proj.lora_B.weight"][3, 1] = 1e6
    rewrite(adapter, weights)
    convert_adapter(adapter, twins.gguf, tmp_path / "a.gguf")

    made = tensors_of(tmp_path / "a.gguf")
    assert made["blk.1.ffn_up.weight.lora_b"].dtype == np.float32
    assert made["blk.1.ffn_up.weight.lora_b"][3, 1] == 1e6
    assert made["blk.1.ffn_up.weight.lora_a"].dtype == np.float16


def not_a_number(adapter):
    weights = weights_of(adapter)
    weights[f"{LAYER}.mlp.up_proj.lora_B.weight"][3, 1] = np.nan
    rewrite(adapter, weights)


def other_width(adapter):
    weights = weights_of(adapter)
    name = f"{LAYER}.mlp.up_proj.lora_A.weight"
    weights[name] = weights[name][:, :-1].copy()
    rewrite(adapter, weights)


def more_layers(adapter):
    weights = weights_of(adapter)
    weights["base_model.model.model.layers.9.mlp.up_proj.lora_A.weight"] = np.zeros((4, 48), np.float32)
    rewrite(adapter, weights)


def unknown_layer(adapter):
    weights = weights_of(adapter)
    weights["base_model.model.model.vision.lora_A.weight"] = np.zeros((4, 48), np.float32)
    rewrite(adapter, weights)


def half_missing(adapter):
    weights = weights_of(adapter)
    del weights[f"{LAYER}.mlp.up_proj.lora_B.weight"]
    rewrite(adapter, weights)


def nothing_in_it(adapter):
    rewrite(adapter, {})


def whole_numbers(adapter):
    rewrite(adapter, {n: w.astype(np.int32) for n, w in weights_of(adapter).items()})


def truncated(adapter):
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])


def no_weights(adapter):
    (adapter / "adapter_model.safetensors").unlink()


def no_config(adapter):
    (adapter / "adapter_config.json").unlink()


def not_json(adapter):
    (adapter / "adapter_config.json").write_text("{", "utf-8")


def not_lora(adapter):
    change_config(adapter, peft_type="IA3")


def no_rank(adapter):
    change_config(adapter, r=None)


def unknown_feature(adapter):
    change_config(adapter, use_dora=True)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (not_a_number, "it holds weights that are not numbers"),
        (other_width, "it was made for another base model"),
        (more_layers, "it was made for another base model"),
        (unknown_layer, "it was made for another base model"),
        (half_missing, "half of its matrices are missing"),
        (nothing_in_it, "half of its matrices are missing"),
        (whole_numbers, "it holds numbers of the kind I32"),
        (truncated, "adapter_model.safetensors cannot be read"),
        (no_weights, "adapter_model.safetensors cannot be read"),
        (no_config, "adapter_config.json cannot be read"),
        (not_json, "adapter_config.json cannot be read"),
        (not_lora, "adapter_config.json does not describe a LoRA adapter"),
        (no_rank, "adapter_config.json gives no rank and no alpha"),
        (unknown_feature, "the chat engine does not know what use_dora means"),
    ],
)
def test_a_broken_adapter_is_a_sentence_and_leaves_nothing_behind(adapter, twins, tmp_path, damage, why):
    damage(adapter)
    with pytest.raises(VersionCorruptError) as caught:
        convert_adapter(adapter, twins.gguf, tmp_path / "out" / "a.gguf")

    assert caught.value.message == f"The adapter in {adapter} cannot be used: {why}."
    assert not (tmp_path / "out").exists()


def test_a_family_of_models_that_nobody_checked_is_refused(twins, tmp_path):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    with pytest.raises(ModelError, match="a model of the kind 'mamba'"):
        convert_adapter(twins.adapter, tmp_path / "other.gguf", tmp_path / "a.gguf")


def test_a_disk_that_cannot_be_written_is_a_sentence(twins, tmp_path):
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(DiskFullError, match="could not be written for the chat engine"):
        convert_adapter(twins.adapter, twins.gguf, tmp_path / "file" / "a.gguf")


# --- the cache ---


@pytest.fixture
def conversions(monkeypatch):
    done = []
    real = gguf_adapter.convert_adapter
    monkeypatch.setattr(gguf_adapter, "convert_adapter", lambda *a: (done.append(a), real(*a))[1])
    return done


def test_an_adapter_is_converted_once(twins, tmp_path, conversions):
    first = cached_adapter("v1.0", twins.adapter, twins.gguf, tmp_path)
    assert cached_adapter("v1.0", twins.adapter, twins.gguf, tmp_path) == first
    assert len(conversions) == 1

    assert cached_adapter("v1.0", twins.other, twins.gguf, tmp_path) != first
    assert len(conversions) == 2


@pytest.mark.parametrize("what", ["truncated", "changed", "gone", "unsealed"])
def test_a_damaged_copy_is_made_again(twins, tmp_path, conversions, what):
    made = cached_adapter("v1.0", twins.adapter, twins.gguf, tmp_path)
    whole = made.read_bytes()
    if what == "truncated":
        made.write_bytes(whole[:-100])
    elif what == "changed":
        made.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif what == "gone":
        made.unlink()
    else:
        made.with_suffix(".sha256").unlink()

    assert cached_adapter("v1.0", twins.adapter, twins.gguf, tmp_path) == made
    assert made.read_bytes() == whole
    assert len(conversions) == 2


def test_only_the_owner_can_read_what_was_learnt(twins, tmp_path):
    made = cached_adapter("v1.0", twins.adapter, twins.gguf, tmp_path / "cache")

    assert made.stat().st_mode & 0o077 == 0


def test_copies_of_versions_that_are_gone_go_too(twins, tmp_path):
    kept = cached_adapter("v1.1", twins.adapter, twins.gguf, tmp_path)
    gone = cached_adapter("v1.0", twins.other, twins.gguf, tmp_path)
    (tmp_path / "notes.txt").write_text("mine", "utf-8")

    forget_cached(tmp_path, frozenset({"v1.1"}))
    forget_cached(tmp_path / "nowhere", frozenset())

    assert not gone.exists()
    assert {f.name for f in tmp_path.iterdir()} == {kept.name, kept.with_suffix(".sha256").name, "notes.txt"}


def test_a_missing_adapter_is_a_sentence(twins, tmp_path):
    with pytest.raises(VersionCorruptError, match="a file of it cannot be read"):
        cached_adapter("v1.0", tmp_path / "none", twins.gguf, tmp_path)


def test_an_adapter_of_another_rank_and_fewer_targets_is_converted(twins, tmp_path):
    made = random_lora(twins.folder, tmp_path / "few", 3, r=2, target_modules=["q_proj", "v_proj"])
    convert_adapter(made, twins.gguf, tmp_path / "a.gguf")

    assert len(tensors_of(tmp_path / "a.gguf")) == 2 * 2 * 2
