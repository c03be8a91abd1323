"""Whether a conversation still says what it said when it was kept."""

from __future__ import annotations

from allie_desktop.domain.conversation import content_hash
from allie_desktop.domain.ports import Assessed

#: Stands in the store for what UTF-8 cannot hold, so that such a text never has its first hash.
_REPLACEMENT = "\ufffd"


def is_whole(assessed: Assessed) -> bool:
    """Compare a conversation's turns with the hash it was kept under. Feedback and title do not count."""
    turns = assessed.conversation.turns
    if any(_REPLACEMENT in turn.content for turn in turns):
        return True
    return content_hash(turns) == assessed.content_hash
