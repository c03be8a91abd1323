"""An adapter that is written must be one that PEFT and the next episode read the same."""

from __future__ import annotations

import json

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from allie_desktop.domain.errors import ModelError, VersionCorruptError
from allie_desktop.domain.planning import LoraGeometry
from allie_desktop.learning.adapter import CONFIG_FILE, WEIGHTS_FILE, Adapter
from tests.unit.learning.tiny import GEOMETRY, TinyChat, tiny_llama

TOKENS = torch.tensor([[3, 14, 15, 92, 65, 35]])


def logits(model):
    with torch.no_grad():
        return model(input_ids=TOKENS).logits


def other_adapter(seed=99, geometry=GEOMETRY, **model):
    return Adapter(tiny_llama(**model), geometry, seed=seed)


def test_a_new_adapter_changes_nothing(tiny_chat):
    assert torch.equal(logits(tiny_chat.adapter.model), logits(tiny_llama()))


def test_a_zero_state_is_the_base_whatever_was_learnt(tiny_chat):
    tiny_chat.shake(seed=1)
    assert not torch.allclose(logits(tiny_chat.adapter.model), logits(tiny_llama()), atol=0.01)

    tiny_chat.adapter.set_state(tiny_chat.adapter.zero_state())

    assert torch.equal(logits(tiny_chat.adapter.model), logits(tiny_llama()))


def test_a_zero_state_can_still_learn(tiny_chat):
    # With A at zero too, neither would ever get a gradient.
    state = tiny_chat.adapter.zero_state()

    assert all(bool(t.any()) == name.endswith("lora_A") for name, t in state.items())


def test_every_target_of_every_block_is_adapted_and_nothing_else(tiny_chat):
    attention, perceptron = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
    blocks = ("model.layers.0", "model.layers.1")
    layers = {f"{block}.self_attn.{name}" for block in blocks for name in attention}
    layers |= {f"{block}.mlp.{name}" for block in blocks for name in perceptron}

    assert set(tiny_chat.adapter.pairs) == layers
    trained = [n for n, p in tiny_chat.adapter.model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * len(layers)
    assert all("lora_" in name for name in trained)


def test_the_shapes_are_those_of_the_contract(tiny_chat):
    masters = tiny_chat.adapter.masters
    layer = "model.layers.0.mlp.up_proj"

    assert masters[f"{layer}.lora_A"].shape == (4, 48)
    assert masters[f"{layer}.lora_B"].shape == (96, 4)
    assert tiny_chat.adapter.scaling == 2.0


def test_the_change_of_a_weight_is_scaling_times_b_times_a(tiny_chat):
    state = tiny_chat.shake(seed=2)
    layer = "model.layers.1.self_attn.v_proj"
    before = tiny_llama().get_submodule(layer).weight
    merged = tiny_chat.adapter.model.merge_and_unload().get_submodule(layer).weight

    change = 2.0 * state[f"{layer}.lora_B"] @ state[f"{layer}.lora_A"]
    torch.testing.assert_close(merged, before + change)


def test_equal_seeds_are_equal_adapters_and_others_are_others():
    first, second = TinyChat().adapter.state(), TinyChat().adapter.state()
    other = other_adapter(seed=8).state()

    assert all(torch.equal(first[n], second[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)


def test_peft_loads_the_folder_and_gives_the_same_logits(tiny_chat, tmp_path):
    tiny_chat.shake(seed=3)
    expected = logits(tiny_chat.adapter.model)

    tiny_chat.adapter.save(tmp_path / "v1.0")
    loaded = peft.PeftModel.from_pretrained(tiny_llama(), tmp_path / "v1.0")

    torch.testing.assert_close(logits(loaded), expected, rtol=1e-4, atol=1e-5)


def test_a_folder_holds_float32_safetensors_and_a_config_and_nothing_else(tiny_chat, tmp_path):
    tiny_chat.adapter.save(tmp_path)

    files = {file.name for file in tmp_path.iterdir()}
    assert files - {"README.md"} == {WEIGHTS_FILE, CONFIG_FILE}
    assert {t.dtype for t in load_file(tmp_path / WEIGHTS_FILE).values()} == {torch.float32}
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    assert (config["r"], config["lora_alpha"], config["inference_mode"]) == (4, 8, True)
    assert set(config["target_modules"]) == set(GEOMETRY.targets)


def test_saving_does_not_end_training(tiny_chat, tmp_path):
    tiny_chat.adapter.save(tmp_path)

    assert tiny_chat.adapter.model.peft_config["default"].inference_mode is False
    assert any(p.requires_grad for p in tiny_chat.adapter.model.parameters())


def test_what_was_saved_is_loaded_bit_for_bit(tiny_chat, tmp_path):
    state = tiny_chat.shake(seed=4)
    tiny_chat.adapter.save(tmp_path)
    other = other_adapter()

    other.load(tmp_path)

    assert all(torch.equal(other.masters[n], state[n]) for n in state)
    assert torch.equal(logits(other.model), logits(tiny_chat.adapter.model))


def test_low_precision_weights_have_exact_masters(tmp_path):
    adapter = Adapter(tiny_llama().bfloat16(), GEOMETRY, seed=1)
    name = next(n for n in adapter.masters if n.endswith("lora_B"))
    adapter.masters[name].fill_(1.0)
    adapter.masters[name].add_(2.0**-12)  # would be rounded away in bfloat16
    adapter.push()
    adapter.save(tmp_path)

    live = dict(adapter.model.named_parameters())
    assert {p.dtype for n, p in live.items() if "lora_" in n} == {torch.bfloat16}
    assert {t.dtype for t in adapter.masters.values()} == {torch.float32}
    saved = load_file(tmp_path / WEIGHTS_FILE)[f"base_model.model.{name}.weight"]
    assert float(saved[0, 0]) == 1.0 + 2.0**-12


def test_a_state_is_a_copy(tiny_chat):
    state = tiny_chat.adapter.state()
    for tensor in state.values():
        tensor.fill_(7.0)

    assert not any(bool((t == 7.0).all()) for t in tiny_chat.adapter.masters.values())
    tiny_chat.adapter.set_state(state)
    for tensor in state.values():
        tensor.fill_(8.0)
    assert all(bool((t == 7.0).all()) for t in tiny_chat.adapter.masters.values())


def test_gradients_are_added_up_and_none_stay_in_the_model(tiny_chat):
    adapter = tiny_chat.adapter
    tiny_chat.shake(seed=5)
    sums = {n: torch.zeros_like(t) for n, t in adapter.masters.items()}

    def add():
        adapter.add_gradients(adapter.model(input_ids=TOKENS).logits.square().mean(), sums)

    add()
    once = {n: t.clone() for n, t in sums.items()}
    assert all(p.grad is None for p in adapter.model.parameters())
    add()

    for name, tensor in sums.items():
        torch.testing.assert_close(tensor, 2 * once[name])
        assert bool(tensor.any())


@pytest.mark.parametrize(
    "geometry",
    [
        LoraGeometry(rank=8, alpha=8),
        LoraGeometry(rank=4, alpha=8, targets=("q_proj", "v_proj")),
    ],
    ids=["another rank", "other layers"],
)
def test_another_geometry_is_refused_in_a_sentence(tiny_chat, tmp_path, geometry):
    other_adapter(geometry=geometry).save(tmp_path / "v1.3")
    before = tiny_chat.adapter.state()

    with pytest.raises(VersionCorruptError) as caught:
        tiny_chat.adapter.load(tmp_path / "v1.3")

    assert caught.value.message == "The adapter in v1.3 was made for another base model or another rank."
    assert caught.value.remedy
    assert all(torch.equal(tiny_chat.adapter.masters[n], before[n]) for n in before)


def test_an_adapter_of_a_larger_model_is_refused(tiny_chat, tmp_path):
    other_adapter(layers=3).save(tmp_path)

    with pytest.raises(VersionCorruptError):
        tiny_chat.adapter.load(tmp_path)


def test_an_adapter_with_one_layer_missing_is_refused(tiny_chat, tmp_path):
    tiny_chat.adapter.save(tmp_path)
    weights = load_file(tmp_path / WEIGHTS_FILE)
    weights.popitem()
    save_file(weights, tmp_path / WEIGHTS_FILE)

    with pytest.raises(VersionCorruptError):
        tiny_chat.adapter.load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"garbage" * 100, None], ids=["empty", "garbage", "missing"])
def test_an_unreadable_adapter_is_refused_in_a_sentence(tiny_chat, tmp_path, data):
    if data is not None:
        (tmp_path / WEIGHTS_FILE).write_bytes(data)

    with pytest.raises(VersionCorruptError, match="cannot be read"):
        tiny_chat.adapter.load(tmp_path)


def test_a_truncated_adapter_is_refused(tiny_chat, tmp_path):
    tiny_chat.adapter.save(tmp_path)
    data = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(data[: len(data) // 2])

    with pytest.raises(VersionCorruptError, match="cannot be read"):
        tiny_chat.adapter.load(tmp_path)


def test_a_model_without_the_layers_is_refused_in_a_sentence():
    with pytest.raises(ModelError, match="none of the layers that Allie adapts"):
        Adapter(tiny_llama(), LoraGeometry(targets=("c_attn", "c_fc")), seed=0)
