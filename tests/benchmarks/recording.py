"""How long it takes to keep an exchange, durably, and to say which version answers.

``python tests/benchmarks/recording.py [--conversations N] [--json OUT]``. Median and 95th percentile in
milliseconds over short chats of two exchanges in a store of N conversations, and of the router's ``choose``
while two versions share the chat.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from allie_desktop.bootstrap import SystemClock
from allie_desktop.domain.chat import Exchange
from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.planning import Message
from allie_desktop.domain.settings import Preferences
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.recording import RecordingService
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.exchanges import SqliteExchanges

REPLY = "That is a good question, and the answer is that the sea is blue because it takes the red light away."


def timed(seconds: list[float], work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - began)


def told(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(1000 * statistics.median(ordered), 2),
        "p95_ms": round(1000 * ordered[int(0.95 * len(ordered))], 2),
    }


def measure(folder: Path, conversations: int, chats: int) -> dict[str, object]:
    clock = SystemClock()
    with Database.open(folder / "allie.sqlite3") as database:
        store, exchanges = SqliteConversations(database), SqliteExchanges(database)
        collector = Collector(
            store, toxicity=LexiconToxicity(), near_duplicates=MinHashNearDuplicates(), clock=clock
        )
        collector.import_all(
            Conversation(
                id=f"c{number}",
                created_at=datetime.now(timezone.utc),
                source="import",
                turns=(
                    Turn(role=Role.USER, content=f"What about number {number}?"),
                    Turn(role=Role.ASSISTANT, content=f"{number}. {REPLY}"),
                ),
            )
            for number in range(conversations)
        )
        recorder = RecordingService(
            exchanges, store, collector=collector, preferences=Preferences, clock=clock
        )
        first, second, again, asked = [], [], [], []
        for number in range(chats):
            history = [Message(role=Role.USER, content=f"Why is sea number {number} so blue today?")]

            def record(count: str, name: str = f"n{number}", said: list[Message] = history) -> None:
                recorder.record(
                    Exchange(
                        response_id=f"chatcmpl-{name}-{count}",
                        conversation_id=name,
                        source="chat",
                        messages=tuple(said),
                        reply=f"{count}. {REPLY}",
                        version="v1.0",
                        finish_reason="stop",
                        started_at=clock.now(),
                        first_token_seconds=0.1,
                        seconds=1.0,
                    )
                )

            timed(first, lambda: record("one"))
            history += [
                Message(role=Role.ASSISTANT, content=f"one. {REPLY}"),
                Message(role=Role.USER, content="And why is the sky?"),
            ]
            timed(asked, lambda said=tuple(history): recorder.begun_on(None, said))
            timed(second, lambda: record("two"))
            timed(again, lambda: record("three"))
        return {
            "conversations": conversations,
            "first_exchange": told(first),
            "second_exchange": told(second),
            "generated_again": told(again),
            "begun_on_without_name": told(asked),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--chats", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.conversations, arguments.chats)
    print(json.dumps(found, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
