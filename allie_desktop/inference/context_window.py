"""What of a long conversation the model gets to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.inference.prompts import PromptTooLongError

#: Room that a reply keeps free while there are older messages to drop: at most this share of the context.
_REPLY_SHARE = 4


def reply_room(context: int, max_tokens: int | None) -> int:
    """Return how many tokens of the context to keep for the reply."""
    share = max(1, context // _REPLY_SHARE)
    return share if max_tokens is None else max(1, min(max_tokens, share))


def fit(
    messages: Sequence[Message],
    count: Callable[[Sequence[Message]], int],
    *,
    context: int,
    max_tokens: int | None,
) -> tuple[tuple[Message, ...], int]:
    """Return the conversation as it fits, and how many messages were left out.

    ``count`` tells the tokens of a prompt. The oldest messages go first, but never the system prompt at
    the front, nor the last question and what follows it; what remains begins with a question. Raise
    :class:`PromptTooLongError` when those alone leave no room for a single token of the reply.
    """
    whole = tuple(messages)
    goal = context - reply_room(context, max_tokens)
    if count(whole) <= goal:
        return whole, 0
    head = next((i for i, m in enumerate(whole) if m.role is not Role.SYSTEM), len(whole))
    asked = max((i for i, m in enumerate(whole) if m.role is Role.USER), default=head)
    # Where what is kept may begin: at any question after the first.
    starts = [i for i in range(head + 1, asked + 1) if whole[i].role is Role.USER] or [head]
    low, high = 0, len(starts) - 1
    while low < high:  # the earliest start that fits; what is shorter fits as well
        middle = (low + high) // 2
        if count(whole[:head] + whole[starts[middle] :]) <= goal:
            high = middle
        else:
            low = middle + 1
    kept = whole[:head] + whole[starts[low] :]
    if low == len(starts) - 1 and (tokens := count(kept)) >= context:
        raise PromptTooLongError(0, tokens, context)
    return kept, len(whole) - len(kept)
