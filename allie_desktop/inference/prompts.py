"""Single questions as the model sees them. No torch in here."""

from __future__ import annotations

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.planning import Message


class PromptTooLongError(BadInputError):
    """A prompt does not fit into the model's context. ``index`` counts the prompts from 0."""

    def __init__(self, index: int, tokens: int, context: int) -> None:
        super().__init__(
            f"The prompt is too long: {tokens:,} tokens, and this model reads at most {context:,}.",
            "Shorten it, or ask in several steps.",
        )
        self.index = index


def user_prompt(text: str) -> list[Message]:
    """Return the conversation that asks ``text`` and nothing else."""
    return [Message(role=Role.USER, content=text)]
