"""Markdown in blocks, while it is being written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.ui.chat.blocks import Code, MarkdownSplitter, Prose, split


def streamed(text: str, size: int = 1) -> list[Prose | Code]:
    splitter = MarkdownSplitter()
    blocks: list[Prose | Code] = []
    for start in range(0, len(text), size):
        splitter.feed(text[start : start + size])
        blocks += splitter.take()
    splitter.finish()
    return [*blocks, *splitter.take()]


def test_a_fence_makes_a_block_of_code():
    assert split("Look:\n\n```python\nx = 1\n\ny = 2\n```\n\nDone.") == (
        Prose(text="Look:"),
        Code(text="x = 1\n\ny = 2", language="python"),
        Prose(text="Done."),
    )


def test_a_fence_that_is_never_closed_is_code_to_the_end():
    assert split("```\nx") == (Code(text="x"),)


def test_a_shorter_fence_within_is_code():
    assert split("````md\n```\nx\n```\n````") == (Code(text="```\nx\n```", language="md"),)


def test_tildes_fence_too_and_backticks_do_not_close_them():
    assert split("~~~\n```\n~~~") == (Code(text="```"),)


def test_inline_code_at_the_beginning_of_a_line_is_no_fence():
    assert split("```x``` is inline") == (Prose(text="```x``` is inline"),)


def test_code_in_a_list_loses_its_indent_and_the_list_goes_on():
    text = "1. One:\n\n    ```sh\n    ls\n      -l\n    ```\n\n    More of one.\n2. Two"
    assert split(text) == (
        Prose(text="1. One:"),
        Code(text="ls\n  -l", language="sh"),
        Prose(text="More of one.\n2. Two"),
    )


def test_a_deep_indent_without_a_list_is_not_a_fence():
    assert split("    ```\n    x") == (Prose(text="    ```\n    x"),)


def test_paragraphs_end_when_the_next_begins():
    assert streamed("One.\n\nTwo.\n\n\nThree.") == [
        Prose(text="One."),
        Prose(text="Two."),
        Prose(text="Three."),
    ]


def test_a_list_with_empty_lines_stays_one_block():
    text = "- a\n\n- b\n\n  more of b\n\n- c"
    assert streamed(text) == [Prose(text=text)]


def test_an_empty_code_block_is_shown():
    assert split("```\n```") == (Code(text=""),)


def test_windows_line_ends_are_line_ends():
    assert split("a\r\n\r\n```\r\nx\r\n```\r\n") == (Prose(text="a"), Code(text="x"))


def test_half_a_fence_is_not_shown():
    splitter = MarkdownSplitter()
    splitter.feed("Text\n``")
    assert splitter.tail == Prose(text="Text")
    splitter.feed("`py")
    assert splitter.tail == Prose(text="Text")
    splitter.feed("thon\nx = 1\n``")
    assert splitter.tail == Code(text="x = 1\n", language="python")


def test_a_long_list_is_cut_so_that_the_last_block_stays_small():
    blocks = streamed("\n".join(f"- item {number} of a very long list" for number in range(2000)), 100)
    assert max(len(block.text) for block in blocks) < 5_000
    assert sum(block.text.count("- item") for block in blocks) == 2000


def test_a_line_that_never_ends_is_cut_between_words():
    blocks = streamed("word " * 10_000, 1000)
    assert max(len(block.text) for block in blocks) <= 8_000
    assert "".join(block.text for block in blocks).split() == ["word"] * 10_000


def test_a_whole_text_is_cut_in_the_same_way():
    assert max(len(block.text) for block in split("x" * 100_000)) <= 8_000


TEXTS = st.lists(
    st.sampled_from(
        ["a", "- b", "1. c", "```", "```py", "~~~", "    d", "", "> e", "# f", "|g|", "   ```", "g `h`"]
    ),
    max_size=25,
).map("\n".join)


@given(TEXTS, st.integers(1, 9))
def test_the_size_of_the_pieces_makes_no_difference(text, size):
    assert streamed(text, size) == streamed(text, len(text) + 1)


@given(st.text(max_size=300))
def test_no_word_is_lost(text):
    words = "".join(block.text for block in streamed(text, 7))
    assert (
        [c for c in words if c.isalnum() and c != "0"] == [c for c in text if c.isalnum() and c != "0"]
        or "`" in text
        or "~" in text
    )
