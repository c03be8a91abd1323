"""What the chat window is told: streams of server-sent events from a service that may be broken, and Markdown."""

from __future__ import annotations

import json
from random import Random

from allie_desktop.ui.chat.completions import Piece, health_status, interpret
from allie_desktop.ui.chat.problems import _said, from_stream
from allie_desktop.ui.chat.sse import OverlongEventError, SseParser
from tests.fuzz.mad_english import mad_english
from tests.fuzz.mutations import damaged, nearly
from tests.fuzz.target import Outcome, Target, expect

_CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "allie",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}],
}
_ERROR = {"error": {"message": "The model broke off.", "type": "server_error", "param": None, "code": "x"}}


class Streams(Target):
    """A reply in pieces, cut anywhere: what it says does not depend on where it was cut."""

    name = "chat-streams"
    group = "chat"
    share = 5

    def make(self, random: Random) -> bytes:
        events = []
        for _ in range(random.randint(1, 6)):
            data = nearly(random.choice((_CHUNK, _CHUNK, _ERROR)), random)
            if random.random() < 0.2:
                data = mad_english(random, longest=500).encode("utf-8", "surrogatepass")
            field = random.choice((b"data: ", b"data:", b"event: ", b":", b"", b"retry: "))
            events.append(
                field
                + data.replace(b"\n", b"\ndata: ")
                + random.choice((b"\n\n", b"\r\n\r\n", b"\r\r", b"\n"))
            )
        events.append(b"data: [DONE]\n\n")
        data = b"".join(events)
        return damaged(data, random) if random.random() < 0.4 else data

    def attempt(self, data: bytes) -> Outcome:
        found = []
        for size in (len(data), max(1 + len(data) % 7, len(data) // 500)):
            parser = SseParser()
            try:
                events = [
                    e for at in range(0, len(data), size or 1) for e in parser.feed(data[at : at + size])
                ]
            except OverlongEventError:
                return Outcome.REFUSED
            found.append(events)
        expect(found[0] == found[1], "the events depend on where the stream was cut")
        said = [what for event in found[0] for what in interpret(event)]
        for what in said:
            if isinstance(what, Piece):
                expect(what.text, "an empty piece")
        health_status(data)
        _said(data)
        from_stream(data.decode("utf-8", "replace"))
        json.dumps([event.data for event in found[0]])
        return Outcome.TAKEN if any(isinstance(what, Piece) for what in said) else Outcome.REFUSED


TARGETS = (Streams,)
