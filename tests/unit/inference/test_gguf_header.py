"""Reading what a GGUF file says of itself: the same as the library reads, and a sentence when it is broken."""

from __future__ import annotations

import contextlib

import pytest

from allie_desktop.domain.errors import CorruptModelError
from allie_desktop.models.gguf_header import read_header
from tests.unit.learning.tiny import CHATML


def test_the_header_says_what_the_library_reads(twins):
    import gguf

    header = read_header(twins.gguf)
    reader = gguf.GGUFReader(twins.gguf)

    expected = {name: f.contents() for name, f in reader.fields.items() if not name.startswith("GGUF.")}
    expected.pop("tokenizer.ggml.merges", None)
    assert header.fields == expected
    # The library tells dimensions innermost first.
    assert header.shapes == {t.name: tuple(reversed(t.shape.tolist())) for t in reader.tensors}


def test_what_chat_needs_is_there(twins):
    header = read_header(twins.gguf)

    assert header.architecture == "llama"
    assert header.number("attention.head_count_kv") == 2
    assert header.number("context_length") == 1024
    assert header.number("nothing", 7) == 7
    assert header.chat_template == CHATML
    assert (header.token("bos"), header.token("eos"), header.token("sep")) == (
        "<|im_start|>",
        "<|im_end|>",
        "",
    )
    assert header.control_tokens == ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@pytest.mark.parametrize("size", [0, 3, 4, 8, 20, 30, 100, 1000, 4000])
def test_a_truncated_file_is_a_sentence(twins, tmp_path, size):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(twins.gguf.read_bytes()[:size])

    with pytest.raises(CorruptModelError, match=r"The model file broken\.gguf is truncated or damaged\."):
        read_header(broken)


def test_any_damaged_byte_of_the_header_is_read_or_refused(twins, tmp_path):
    whole = twins.gguf.read_bytes()
    broken = tmp_path / "broken.gguf"
    for place in range(0, 1200, 7):
        broken.write_bytes(whole[:place] + b"\xff" + whole[place + 1 : 20_000])
        with contextlib.suppress(CorruptModelError):
            read_header(broken)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(CorruptModelError):
        read_header(tmp_path / "none.gguf")
