"""The torch engine on a tiny model: batches, adapters and everything that may be wrong with one."""

from __future__ import annotations

import json
import shutil

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import BadInputError, VersionCorruptError
from allie_desktop.domain.planning import Message
from allie_desktop.inference.prompts import PromptTooLongError, user_prompt
from allie_desktop.inference.torch_engine import TorchEngine

QUESTIONS = ["Hi", "What is the colour of the sea?", "Name a bird", "a" * 60, "¿Qué? 你好 🙂"]


@pytest.fixture
def engine(loaded):
    return TorchEngine(loaded)


def ask(engine, questions, **options):
    return engine.generate([user_prompt(q) for q in questions], max_tokens=12, **options)


def test_a_batch_answers_in_order_and_as_each_prompt_would_alone(engine):
    together = ask(engine, QUESTIONS)

    assert together == [ask(engine, [question])[0] for question in QUESTIONS]
    assert len(set(together)) > 1


def test_greedy_answers_are_those_of_the_library(engine, loaded):
    import torch

    tokenizer, model = loaded.tokenizer, loaded.model
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTIONS[1]}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    stops = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    with torch.inference_mode():
        made = model.generate(
            ids, max_new_tokens=12, do_sample=False, eos_token_id=stops, attention_mask=torch.ones_like(ids)
        )
    expected = tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True).strip()

    assert ask(engine, [QUESTIONS[1]]) == [expected]


def test_an_answer_ends_where_the_template_ends_a_turn(engine, loaded):
    import torch

    # The head is made to say the end mark, whatever was asked.
    end = loaded.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end != loaded.tokenizer.eos_token_id
    with torch.no_grad():
        loaded.model.lm_head = torch.nn.Linear(32, len(loaded.tokenizer), bias=True)
        loaded.model.lm_head.weight.zero_()
        loaded.model.lm_head.bias.zero_()
        loaded.model.lm_head.bias[end] = 1.0

    assert ask(engine, QUESTIONS) == [""] * len(QUESTIONS)


def test_sampling_repeats_with_its_seed_and_differs_with_another(engine):
    options = {"greedy": False, "temperature": 1.5, "top_p": 0.95}
    first = ask(engine, QUESTIONS, seed=7, **options)

    assert ask(engine, QUESTIONS, seed=7, **options) == first
    assert ask(engine, QUESTIONS, seed=8, **options) != first


def test_nothing_asked_is_nothing_answered(engine):
    assert engine.generate([]) == []


def test_a_system_message_is_seen(engine):
    plain = ask(engine, ["Hi"])
    told = engine.generate(
        [[Message(role=Role.SYSTEM, content="Speak like a pirate."), *user_prompt("Hi")]], max_tokens=12
    )

    assert told != plain


def test_a_prompt_beyond_the_context_is_a_sentence_with_its_place(engine):
    with pytest.raises(PromptTooLongError) as caught:
        ask(engine, ["short", "x" * 300])

    assert caught.value.index == 1
    assert caught.value.message == "The prompt is too long: 319 tokens, and this model reads at most 256."


def test_an_answer_never_grows_beyond_the_context(engine):
    prompt = engine._encode(0, user_prompt("x" * 200), 1000)

    assert len(prompt.tokens) + prompt.limit == 256
    assert isinstance(engine.generate([user_prompt("x" * 200)], max_tokens=1000)[0], str)


def test_a_template_that_refuses_a_conversation_is_a_sentence(engine, loaded):
    loaded.tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"

    with pytest.raises(BadInputError, match="roles must alternate"):
        ask(engine, ["Hi"])


def test_an_adapter_changes_the_answers_and_the_base_stays_as_it_was(engine, adapter):
    before = ask(engine, QUESTIONS)
    engine.load_adapter("v1.0", adapter)
    adapted = ask(engine, QUESTIONS, adapter="v1.0")

    assert adapted != before
    assert ask(engine, QUESTIONS) == before
    assert ask(engine, QUESTIONS, adapter="v1.0") == adapted


def test_an_adapter_answers_as_its_merged_weights_do(engine, adapter, tiny_model):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    engine.load_adapter("v1.0", adapter)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), adapter)
    merged = model.merge_and_unload()
    tokenizer = engine._base.tokenizer
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    with torch.inference_mode():
        made = merged.generate(
            ids,
            max_new_tokens=12,
            do_sample=False,
            attention_mask=torch.ones_like(ids),
            eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")],
        )
    expected = tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True).strip()

    assert ask(engine, ["Hi"], adapter="v1.0") == [expected]


def test_two_adapters_and_the_base_answer_side_by_side(engine, adapter, tmp_path):
    import safetensors.torch

    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    weights = safetensors.torch.load_file(other / "adapter_model.safetensors")
    # A and B both negated would be the same change: only B is.
    safetensors.torch.save_file(
        {k: -v if "lora_B" in k else v for k, v in weights.items()}, other / "adapter_model.safetensors"
    )
    engine.load_adapter("v1.0", adapter)
    first = ask(engine, QUESTIONS, adapter="v1.0")
    engine.load_adapter("v1.1", other)

    assert ask(engine, QUESTIONS, adapter="v1.1") != first
    assert ask(engine, QUESTIONS, adapter="v1.0") == first
    assert engine.adapters == ("v1.0", "v1.1")


def test_unloading_leaves_the_base_as_it_was(engine, adapter):
    before = ask(engine, QUESTIONS)
    engine.load_adapter("v1.0", adapter)
    engine.unload_adapter("v1.0")
    engine.unload_adapter("v1.0")

    assert engine.adapters == ()
    assert ask(engine, QUESTIONS) == before
    with pytest.raises(KeyError):
        ask(engine, ["Hi"], adapter="v1.0")


def test_loading_under_a_known_name_replaces(engine, adapter):
    engine.load_adapter("v1.0", adapter)
    first = ask(engine, QUESTIONS, adapter="v1.0")
    engine.load_adapter("v1.0", adapter)

    assert ask(engine, QUESTIONS, adapter="v1.0") == first


def broken_copies(adapter, folder):
    """Yield (what is wrong, the folder, a part of the sentence)."""
    import safetensors.torch
    import torch

    weights = safetensors.torch.load_file(adapter / "adapter_model.safetensors")

    def copy(name):
        shutil.copytree(adapter, folder / name)
        return folder / name

    yield folder / "nowhere", "adapter_config.json cannot be read"
    path = copy("no-weights")
    (path / "adapter_model.safetensors").unlink()
    yield path, "adapter_model.safetensors cannot be read"
    path = copy("no-config")
    (path / "adapter_config.json").unlink()
    yield path, "adapter_config.json cannot be read"
    path = copy("binary-config")
    (path / "adapter_config.json").write_bytes(b"\xff\xfe\x00")
    yield path, "adapter_config.json cannot be read"
    path = copy("other-kind")
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "IA3"}))
    yield path, "does not describe a LoRA adapter"
    path = copy("truncated")
    data = (path / "adapter_model.safetensors").read_bytes()
    (path / "adapter_model.safetensors").write_bytes(data[: len(data) // 2])
    yield path, "adapter_model.safetensors cannot be read"
    path = copy("empty")
    (path / "adapter_model.safetensors").write_bytes(b"")
    yield path, "adapter_model.safetensors cannot be read"
    path = copy("half")
    half = dict(list(weights.items())[: len(weights) // 2])
    safetensors.torch.save_file(half, path / "adapter_model.safetensors")
    yield path, "it was made for another base model"
    path = copy("not-a-number")
    name = next(n for n in weights if "lora_B" in n)
    sick = weights | {name: torch.full_like(weights[name], float("nan"))}
    safetensors.torch.save_file(sick, path / "adapter_model.safetensors")
    yield path, "weights that are not numbers"
    path = copy("other-model")
    config = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(config | {"r": 8}))
    yield path, "it was made for another base model"
    path = copy("other-layers")
    (path / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["nothing_here"]}))
    yield path, "it was made for another base model"
    path = copy("odd-layers")
    (path / "adapter_config.json").write_text(json.dumps(config | {"target_modules": 3}))
    yield path, "does not say which layers it changes"


def test_a_broken_adapter_is_refused_in_a_sentence_and_changes_nothing(engine, adapter, tmp_path):
    before = ask(engine, ["Hi"])
    for path, words in broken_copies(adapter, tmp_path):
        with pytest.raises(VersionCorruptError) as caught:
            engine.load_adapter("v1.0", path)
        assert words in caught.value.message
        assert engine.adapters == ()
        assert ask(engine, ["Hi"]) == before
    engine.load_adapter("v1.0", adapter)
    good = ask(engine, ["Hi"], adapter="v1.0")
    for path, _ in broken_copies(adapter, tmp_path / "again"):
        with pytest.raises(VersionCorruptError):
            engine.load_adapter("v1.1", path)
        assert engine.adapters == ("v1.0",)
        assert ask(engine, ["Hi"], adapter="v1.0") == good
