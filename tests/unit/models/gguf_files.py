"""GGUF files of a tiny Llama, written as llama.cpp's converter writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np


def write_header(path: Path, *, template: str | int | None = "{{ messages }}") -> Path:
    """Write a file with one tensor: enough to be checked, too little to be loaded."""
    writer = gguf.GGUFWriter(path, "llama")
    if isinstance(template, int):
        writer.add_uint32("tokenizer.chat_template", template)
    elif template is not None:
        writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", np.arange(64, dtype=np.float32))
    return _written(writer, path)


def write_llama(path: Path, model: Any, tokenizer: Any) -> Path:
    """Write a whole model in float32, with its byte-level tokenizer and its chat template."""
    config, weights = model.config, model.state_dict()
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, tokenizer)

    def add(name: str, source: str, turned_heads: int = 0) -> None:
        data = weights[source].numpy()
        writer.add_tensor(name, _turned(data, turned_heads) if turned_heads else data)

    add("token_embd.weight", "model.embed_tokens.weight")
    add("output_norm.weight", "model.norm.weight")
    add("output.weight", "lm_head.weight")
    for block in range(config.num_hidden_layers):
        ours, theirs = f"blk.{block}", f"model.layers.{block}"
        add(f"{ours}.attn_norm.weight", f"{theirs}.input_layernorm.weight")
        add(f"{ours}.attn_q.weight", f"{theirs}.self_attn.q_proj.weight", heads)
        add(f"{ours}.attn_k.weight", f"{theirs}.self_attn.k_proj.weight", kv_heads)
        add(f"{ours}.attn_v.weight", f"{theirs}.self_attn.v_proj.weight")
        add(f"{ours}.attn_output.weight", f"{theirs}.self_attn.o_proj.weight")
        add(f"{ours}.ffn_norm.weight", f"{theirs}.post_attention_layernorm.weight")
        for part in ("gate", "up", "down"):
            add(f"{ours}.ffn_{part}.weight", f"{theirs}.mlp.{part}_proj.weight")
    return _written(writer, path)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    import json

    inner = json.loads(tokenizer.backend_tokenizer.to_str())
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_ids)
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(names))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in inner["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_chat_template(tokenizer.chat_template)


def _turned(weight: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of q and k as llama.cpp's rotary embedding wants them."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _written(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
