"""What the chat window is told: streams of server-sent events from a service that may be broken, and Markdown."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
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


_MARKDOWN = (
    "# ", "###### ", "- ", "* ", "1. ", "999999999. ", "> ", "> > ", "    ", "\t", "```", "```python\n", "~~~", "`", "``", "**", "*",
    "_", "__", "~~", "|", "| a | b |\n|---|:-:|\n| 1 | 2 |\n", "|-|", "---\n", "===\n", "***", "[a](b)", "[a](javascript:x)",
    "![a](file:///etc/passwd)", "![", "](", "[x]: http://a\n", "[^1]", "- [ ] ", "- [x] ", "<b>", "<img src=x>", "<script>",
    "&amp;", "&#0;", "&#x110000;", "\\", "\n", "\n\n", "\r", "\u2028", "\u202e", "\x00", "\ud800", "$$", "http://a.b/c",
    "www.a.b", "a@b.c", "<http://a>", "<!--", "-->", "word ", "Ω", "🦊", "\u0301", "  \n",
)  # fmt: skip


_WHOLE_LINES = 4000  # characters; in a longer text, lines may be cut elsewhere


class Markdown(Target):
    """A reply's Markdown, cut into blocks and shown: Qt neither ends the program nor takes long."""

    name = "chat-markdown"
    group = "chat"
    share = 3
    memory_bytes = None  # Qt reserves address space

    def prepare(self, stack: ExitStack) -> None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        from PySide6.QtGui import QGuiApplication

        self._application = QGuiApplication.instance() or QGuiApplication([])

    def make(self, random: Random) -> bytes:
        match random.randrange(4):
            case 0:
                text = "".join(random.choices(_MARKDOWN, k=random.randint(1, 60)))
            case 1:
                text = random.choice(_MARKDOWN) * random.choice((3, 30, 300, 3000)) + random.choice(_MARKDOWN)
            case 2:
                pieces = random.choices(_MARKDOWN, k=3)
                text = "".join(random.choices(pieces, k=random.choice((10, 100, 1000))))
            case _:
                text = mad_english(random, longest=20_000)
        return text.encode("utf-8", "surrogatepass")

    def attempt(self, data: bytes) -> Outcome:
        from allie_desktop.ui.chat.blocks import Code, MarkdownSplitter, Prose, joined, split
        from allie_desktop.ui.chat.documents import SafeDocument, fill_markdown, fill_plain
        from allie_desktop.ui.theme import LIGHT

        text = data.decode("utf-8", "surrogatepass")
        blocks = split(text)
        splitter = MarkdownSplitter()
        step = max(1, len(text) // 50)
        for at in range(0, len(text), step):
            splitter.feed(text[at : at + step])
            assert splitter.tail is None or splitter.tail.text is not None
        splitter.finish()
        came = joined(splitter.take())
        if len(text) < _WHOLE_LINES and "\r" not in text:
            expect(came == blocks, "the blocks depend on how the text came")
        code = 0
        for block in joined(blocks):
            document = SafeDocument()
            if isinstance(block, Prose):
                fill_markdown(document, block.text, LIGHT, 10.0)
            else:
                fill_plain(document, block.text)
            code += isinstance(block, Code)
            document.setTextWidth(400)
            document.size()
        return Outcome.REFUSED if code else Outcome.TAKEN


TARGETS = (Streams, Markdown)
