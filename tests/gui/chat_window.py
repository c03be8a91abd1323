"""A program of its own that shows the chat page over a store and a server, for tests on a real screen."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from allie_desktop.ui import theme
from allie_desktop.ui.chat.drafts import FileDrafts
from allie_desktop.ui.chat.page import ChatPage
from allie_desktop.ui.chat.ports import Endpoint
from tests.gui.chat_stage import Switch, library_opener

_STATE_MILLISECONDS = 50


def describe(page: ChatPage) -> dict[str, object]:
    """Return what a person would see, with the middle of each control on the screen."""
    session = page.presenter.session
    places: dict[str, tuple[int, int]] = {}
    for place in range(len(session.dialogue.entries)):
        view = page.transcript.view(place)
        if view is not None and view.bar is not None and view.bar.isVisible():
            for name in ("like", "dislike", "edit", "copy", "again"):
                button = getattr(view.bar, name)
                if button.isVisible():
                    places[f"{name}-{place}"] = button.mapToGlobal(button.rect().center()).toTuple()
    focus = QApplication.focusWidget()
    return {
        "texts": [entry.shown_text for entry in session.dialogue.entries],
        "ratings": [entry.rating for entry in session.dialogue.entries],
        "busy": session.dialogue.is_busy,
        "conversation": session.id,
        "typed": page.composer.text,
        "focus": focus.accessibleName() if focus is not None else "",
        "listed": page.model.rowCount(),
        "places": places,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("state", type=Path)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    app = QApplication([])
    theme.apply(app, theme.DARK if options.dark else theme.LIGHT)
    switch = Switch(Endpoint(url=options.url, token=options.token))
    page = ChatPage(
        server=switch,
        open_library=library_opener(options.home),
        drafts=FileDrafts(options.home / "drafts.json"),
    )
    page.setWindowTitle("Allie chat under test")
    page.show()
    page.activateWindow()
    opened = time.monotonic() - began

    def write() -> None:
        scratch = options.state.with_suffix(".part")
        scratch.write_text(json.dumps({**describe(page), "opened_seconds": opened}))
        os.replace(scratch, options.state)

    timer = QTimer(page)
    timer.timeout.connect(write)
    timer.start(_STATE_MILLISECONDS)
    signal.signal(signal.SIGTERM, lambda *_: app.quit())
    app.aboutToQuit.connect(page.shut)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
