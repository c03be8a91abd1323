"""Fused LoRA layers must be PEFT's own, but for rounding: values, gradients, and what they hold on to."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from allie_desktop.domain.planning import LoraGeometry
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.fused import fuse, unfuse
from allie_desktop.models.generation import Sampling, generate
from tests.unit.learning.tiny import GEOMETRY, TinyChat, tiny_llama

TOKENS = torch.tensor([[3, 14, 15, 92, 65, 35, 89], [79, 32, 38, 46, 26, 43, 38]])


def shaken(model=None, geometry=GEOMETRY):
    adapter = Adapter(tiny_llama() if model is None else model, geometry, seed=7)
    draw = torch.Generator().manual_seed(1)
    adapter.set_state({n: 0.1 * torch.randn(t.shape, generator=draw) for n, t in adapter.masters.items()})
    return adapter


def with_bias():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=120,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        attention_bias=True,
        bos_token_id=None,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model.requires_grad_(False).eval()


def measured(adapter):
    """Return logits and the adapter's gradients."""
    logits = adapter.model(input_ids=TOKENS).logits
    gradients = {n: torch.zeros_like(t) for n, t in adapter.masters.items()}
    adapter.add_gradients(logits.float().square().mean(), gradients)
    return logits.detach(), gradients


def assert_same(mine, theirs, *, rtol=1e-4, atol=1e-5):
    torch.testing.assert_close(mine[0], theirs[0], rtol=rtol, atol=atol)
    for name, tensor in theirs[1].items():
        torch.testing.assert_close(mine[1][name], tensor, rtol=rtol, atol=atol)
        assert bool(tensor.any())


def assert_equals_peft(adapter, **tolerance):
    fused = measured(adapter)
    unfuse(adapter.model)
    assert_same(fused, measured(adapter), **tolerance)


def fused_layers(adapter):
    return {
        name.rpartition(".")[2]
        for name, module in adapter.model.named_modules()
        if hasattr(module, "lora_A") and "forward" in vars(module)
    }


def test_values_and_gradients_are_those_of_peft():
    adapter = shaken()

    assert fused_layers(adapter) == set(GEOMETRY.targets)
    assert_equals_peft(adapter)


def test_fusing_tells_how_many_layers_it_took():
    adapter = shaken()
    unfuse(adapter.model)
    assert fused_layers(adapter) == set()

    assert fuse(adapter.model) == 2 * 7
    assert_equals_peft(adapter)


def test_layers_with_a_bias_keep_the_forward_of_peft():
    adapter = shaken(with_bias())

    assert fused_layers(adapter) == {"gate_proj", "up_proj", "down_proj"}
    assert_equals_peft(adapter)


def test_a_group_that_is_adapted_in_part_keeps_the_forward_of_peft():
    adapter = shaken(geometry=LoraGeometry(rank=4, alpha=8, targets=("q_proj", "v_proj", "down_proj")))

    assert fused_layers(adapter) == {"down_proj"}
    assert_equals_peft(adapter)


def test_low_precision_is_about_as_good_as_that_of_peft():
    exact, low = shaken(), shaken(tiny_llama().bfloat16())
    state = {n: t.bfloat16().float() for n, t in exact.masters.items()}
    exact.set_state(state)
    low.set_state(state)
    for (_, a), (_, b) in zip(exact.model.named_parameters(), low.model.named_parameters(), strict=True):
        a.data.copy_(b.data)
    truth, found = measured(exact)[1], measured(low)[1]

    size = sum(float(t.square().sum()) for t in truth.values()) ** 0.5
    error = sum(float((found[n] - truth[n]).square().sum()) for n in truth) ** 0.5
    assert error < 0.06 * size  # PEFT's own: 0.02 to 0.04


def test_the_gradient_reaches_what_lies_before():
    adapter = shaken()
    embedded = adapter.model.get_input_embeddings()(TOKENS).detach()
    found = []
    for unfused in (False, True):
        if unfused:
            unfuse(adapter.model)
        given = embedded.clone().requires_grad_()
        adapter.model(inputs_embeds=given).logits.square().mean().backward()
        found.append(given.grad)

    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_two_forward_passes_before_one_backward_pass_do_not_mix():
    adapter = shaken()
    other = TOKENS.flip(1)

    def both():
        first, second = adapter.model(input_ids=TOKENS).logits, adapter.model(input_ids=other).logits
        gradients = {n: torch.zeros_like(t) for n, t in adapter.masters.items()}
        adapter.add_gradients(first.square().mean() + 2 * second.square().mean(), gradients)
        return first.detach(), gradients

    fused = both()
    unfuse(adapter.model)
    assert_same(fused, both())


def test_new_weights_of_the_adapter_count_at_once():
    adapter = shaken()
    before = measured(adapter)[0]
    adapter.set_state({n: -t if n.endswith("lora_B") else t for n, t in adapter.state().items()})

    assert not torch.allclose(measured(adapter)[0], before, atol=1e-3)
    assert_equals_peft(adapter)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_recomputed_activations_give_the_same_gradients():
    adapter = shaken()
    plain = measured(adapter)
    adapter.model.gradient_checkpointing_enable({"use_reentrant": False})
    adapter.model.enable_input_require_grads()
    adapter.model.train()

    assert_same(measured(adapter), plain)


class InterruptedHereError(Exception):
    """What a failure between two siblings looks like."""


def test_a_pass_that_broke_off_between_siblings_leaves_nothing_behind():
    adapter = shaken()
    expected = measured(adapter)

    def fail(*_):
        raise InterruptedHereError

    attention = adapter.model.get_decoder().layers[1].self_attn
    handle = attention.k_proj.register_forward_pre_hook(fail)
    with pytest.raises(InterruptedHereError):
        adapter.model(input_ids=TOKENS.flip(0))
    handle.remove()

    assert_same(measured(adapter), expected, rtol=0, atol=0)


def test_measuring_without_gradients_in_between_changes_nothing():
    adapter = shaken()
    expected = measured(adapter)
    with torch.inference_mode():
        adapter.model(input_ids=TOKENS)
    with torch.no_grad():
        adapter.model(input_ids=TOKENS)

    assert_same(measured(adapter), expected, rtol=0, atol=0)


def test_no_activations_are_held_after_a_pass():
    adapter = shaken()
    seen = []
    attention = adapter.model.get_decoder().layers[0].self_attn
    attention.q_proj.register_forward_hook(lambda _module, args, _output: seen.append(args[0]))
    measured(adapter)

    group = attention.q_proj.forward.__closure__
    held = [cell.cell_contents for cell in group]
    assert seen
    assert all(getattr(h, "_input", None) is None and not getattr(h, "_outputs", None) for h in held)


def test_the_base_weights_are_kept_once_and_unchanged():
    adapter, original = shaken(), tiny_llama()
    decoder = adapter.model.get_decoder()
    attention = decoder.layers[0].self_attn
    storages = {
        getattr(attention, name).base_layer.weight.untyped_storage().data_ptr()
        for name in ("q_proj", "k_proj", "v_proj")
    }

    assert len(storages) == 1
    for block, plain in zip(decoder.layers, original.model.layers, strict=True):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            mine = getattr(block.self_attn, name).base_layer.weight
            assert torch.equal(mine, getattr(plain.self_attn, name).weight)
        for name in ("gate_proj", "up_proj", "down_proj"):
            assert torch.equal(getattr(block.mlp, name).base_layer.weight, getattr(plain.mlp, name).weight)
    measured(adapter)
    assert all(p.grad is None for p in adapter.model.parameters())


def test_generation_with_a_cache_says_what_peft_says():
    adapter = shaken()
    prompts = [[3, 4, 5], [6, 7, 8, 9, 10, 11]]
    options = {"stop_tokens": (2,), "pad_token": 0}

    fused = generate(adapter.model, prompts, Sampling(max_tokens=10), **options)
    unfuse(adapter.model)

    assert fused == generate(adapter.model, prompts, Sampling(max_tokens=10), **options)
    assert fused != generate(tiny_llama(), prompts, Sampling(max_tokens=10), **options)


def test_an_adapter_that_is_switched_off_leaves_the_base_model():
    chat = TinyChat()
    chat.shake(seed=1)
    tokens = torch.tensor([[3, 4, 5, 9]])
    with torch.no_grad():
        adapted = chat.adapter.model(input_ids=tokens).logits
        with chat.adapter.model.disable_adapter():
            off = chat.adapter.model(input_ids=tokens).logits
        again = chat.adapter.model(input_ids=tokens).logits

    torch.testing.assert_close(off, tiny_llama()(input_ids=tokens).logits)
    assert torch.equal(again, adapted)
    assert not torch.allclose(off, adapted, atol=1e-3)


def test_an_adapter_that_was_merged_counts_once():
    chat = TinyChat()
    chat.shake(seed=1)
    tokens = torch.tensor([[3, 4, 5, 9]])
    with torch.no_grad():
        adapted = chat.adapter.model(input_ids=tokens).logits
        chat.adapter.model.merge_adapter()
        merged = chat.adapter.model(input_ids=tokens).logits

    torch.testing.assert_close(merged, adapted, rtol=1e-4, atol=1e-4)
