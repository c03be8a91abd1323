"""What the chat page costs: opening it, streaming a reply, opening a long conversation, hostile text.

The longest block of the GUI thread is the longest wait of a timer that is due every millisecond, less that
millisecond; of that, "cpu" is what the thread itself computed, which other programs on the machine cannot
lengthen. Runs without a screen unless QT_QPA_PLATFORM says otherwise.

    python tests/benchmarks/chat_window.py --json OUT
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
BEGAN = time.perf_counter()

from PySide6.QtCore import QObject, Qt, QTimer  # noqa: E402
from PySide6.QtGui import QPaintEvent  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from allie_desktop.ui import theme  # noqa: E402
from allie_desktop.ui.chat.page import ChatPage  # noqa: E402

IMPORTED = time.perf_counter()

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.gui.chat_stage import FakeApi, Switch, conversation, keep, library_opener  # noqa: E402

PARAGRAPH = (
    "The tide rises **twice** a day because the `moon` pulls at the sea, and the earth turns below it. "
    "That is [well known](https://example.org), and measured every hour at many places.\n\n"
)
CODE = (
    "```python\n"
    + "".join(f"value_{line} = compute({line})  # a comment\n" for line in range(30))
    + "```\n\n"
)
LIST = (
    "".join(f"{line}. Item {line} with *emphasis* and some words after it\n" for line in range(1, 12)) + "\n"
)


class Heartbeat(QObject):
    """Notes how long the GUI thread was away."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_seconds = self.longest_cpu_seconds = 0.0
        self._last = time.perf_counter()
        self._last_cpu = time.thread_time()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._on_beat)

    def _on_beat(self) -> None:
        now = time.perf_counter()
        self.longest_seconds = max(self.longest_seconds, now - self._last - 0.001)
        self._last = now
        cpu = time.thread_time()
        self.longest_cpu_seconds = max(self.longest_cpu_seconds, cpu - self._last_cpu)
        self._last_cpu = cpu

    def figures(self, what: str) -> dict[str, float]:
        return {
            f"{what}_longest_block_ms": self.longest_seconds * 1000,
            f"{what}_longest_block_cpu_ms": self.longest_cpu_seconds * 1000,
        }

    @contextmanager
    def watching(self) -> Iterator[Heartbeat]:
        self._last = time.perf_counter()
        self._last_cpu = time.thread_time()
        self.longest_seconds = self.longest_cpu_seconds = 0.0
        self._timer.start()
        yield self
        self._timer.stop()


class Page(ChatPage):
    """Notes when it was first painted."""

    painted: float | None = None

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if self.painted is None:
            self.painted = time.perf_counter()


def wait(app: QApplication, condition: Callable[[], bool], seconds: float = 120.0) -> None:
    ends = time.perf_counter() + seconds
    while not condition():
        app.processEvents()
        time.sleep(0.0005)
        if time.perf_counter() > ends:
            raise SystemExit("waited in vain")


def rest(app: QApplication, seconds: float = 0.4) -> None:
    ends = time.perf_counter() + seconds
    wait(app, lambda: time.perf_counter() > ends)


def pieces_of(tokens: int) -> list[str]:
    text = (PARAGRAPH * 2 + CODE + LIST) * (tokens // 300 + 1)
    return [text[start : start + 4] for start in range(0, 4 * tokens, 4)]


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3000)
    parser.add_argument("--conversations", type=int, default=5000)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp()) / "home"
    long = [
        text
        for number in range(options.turns // 2)
        for text in (f"Question {number}?", PARAGRAPH * (1 + number % 4) + (CODE if number % 9 == 0 else ""))
    ]
    huge = "[a](b) *c* `d` " * 66_000
    keep(
        home,
        [
            *(
                conversation(number, f"Question {number}", "Answer")
                for number in range(options.conversations)
            ),
            conversation(options.conversations + 1, *long),
            conversation(options.conversations + 2, "Everything?", huge),
            conversation(options.conversations + 3, "Nested?", "- " * 3_000 + "x\n\n" + ">" * 3_000 + " y"),
        ],
    )
    names = [f"conversation-{options.conversations + number:05}" for number in (1, 2, 3)]
    api = FakeApi(home)
    switch = Switch(api.endpoint)
    figures: dict[str, float] = {"import_seconds": IMPORTED - BEGAN}
    app = QApplication([])
    theme.apply(app, theme.LIGHT)
    heart = Heartbeat()

    began = time.perf_counter()
    page = Page(server=switch, open_library=library_opener(home))
    figures["construct_seconds"] = time.perf_counter() - began
    with heart.watching():
        page.show()
        wait(app, lambda: page.painted is not None)
        figures["first_paint_seconds"] = (page.painted or 0.0) - began
        wait(app, lambda: page.model.rowCount() > 0)
        figures["list_seconds"] = time.perf_counter() - began
        rest(app)
    figures.update(heart.figures("opening"))

    page.composer.field.setPlainText("Go")
    api.script = pieces_of(options.tokens)
    cpu = time.process_time()
    began = time.perf_counter()
    with heart.watching():
        page._on_send()
        wait(app, lambda: not page.presenter.session.dialogue.is_busy)
        rest(app)
    figures["stream_seconds"] = time.perf_counter() - began - 0.4
    figures["stream_cpu_seconds"] = time.process_time() - cpu
    figures.update(heart.figures("stream"))

    for name, what in zip(names, ("long_conversation", "huge_message", "nested_message"), strict=True):
        row = page.model.at(page.model.row_of(name) or 0)
        began = time.perf_counter()
        with heart.watching():
            page.panel.chosen.emit(row)
            wait(app, lambda name=name: page.presenter.session.id == name and page.transcript.alive > 0)
            figures[f"{what}_seconds"] = time.perf_counter() - began
            rest(app)
        figures.update(heart.figures(f"{what}"))
        if what == "long_conversation":
            bar = page.transcript.verticalScrollBar()
            with heart.watching():
                for step in range(60):
                    bar.setValue(bar.maximum() * step // 60)
                    app.processEvents()
                rest(app)
            figures.update(heart.figures("scrolling"))
            figures["widgets_alive"] = page.transcript.alive
    figures["resident_mb"] = resident_mb()
    figures["numpy_loaded"] = float("numpy" in sys.modules)
    page.shut()
    api.close()
    for name, value in figures.items():
        print(f"{name:40} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
