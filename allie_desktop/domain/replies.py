"""What a reply shows by itself: nothing said, or the same said over and over."""

from __future__ import annotations

#: A block of up to so many characters …
_LONGEST_BLOCK = 240
#: … that stands at the end at least so often, …
_COPIES = 4
#: … filling at least so many characters, is a loop: people do not end a text like that.
_LOOP_CHARACTERS = 60


def is_broken(reply: str) -> bool:
    """Whether a reply is empty or ends in a loop."""
    text = reply.rstrip()
    return not text or is_looping(text)


def is_looping(text: str) -> bool:
    """Whether a text ends with copies of one block: what a language model falls into when it degenerates
    (Holtzman et al., *The Curious Case of Neural Text Degeneration*, ICLR 2020, where loops go on to the
    end). Drawn lines and blank space are none."""
    for size in range(1, min(_LONGEST_BLOCK, len(text) // _COPIES) + 1):
        copies = max(_COPIES, -(-_LOOP_CHARACTERS // size))
        block = text[-size:]
        if text.endswith(block * copies) and any(map(str.isalnum, block)):
            return True
    return False
