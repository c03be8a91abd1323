"""The chat page with the real chat process, the real starter model and the real store."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from PySide6.QtCore import Qt

from allie_desktop.bootstrap import Program
from allie_desktop.ipc.chat_process import ChatProcess, chat_command
from allie_desktop.paths import AppPaths
from allie_desktop.ui.chat.library import StoreLibrary
from allie_desktop.ui.chat.page import ChatPage
from allie_desktop.ui.chat.ports import ServerPhase
from allie_desktop.ui.chat.server import BackgroundServer

pytestmark = [pytest.mark.model, pytest.mark.process, pytest.mark.slow]

_LOADING = 120_000


def test_a_question_is_answered_by_the_model_rated_and_survives_a_killed_process(qtbot, allie_home):
    paths = AppPaths.in_folder(allie_home).prepare()
    made: list[ChatProcess] = []

    def make(on_change):
        made.append(
            ChatProcess(
                folder=paths.cache,
                log_file=paths.logs / "chat.log",
                command=chat_command(port=0),
                on_change=on_change,
            )
        )
        return made[0]

    @contextlib.contextmanager
    def library():
        with Program(paths) as program:
            yield StoreLibrary(program.conversations, program.collector(), forget=program.forget)

    server = BackgroundServer(make)
    page = ChatPage(server=server, open_library=library)
    qtbot.addWidget(page, before_close_func=lambda page: page.shut())
    try:
        page.show()

        def ask(question: str) -> None:
            qtbot.keyClicks(page.composer.field, question)
            qtbot.keyClick(page.composer.field, Qt.Key.Key_Return)
            qtbot.waitUntil(lambda: not page.presenter.session.dialogue.is_busy, timeout=_LOADING)

        ask("Say hello in one short sentence.")
        entries = page.presenter.session.dialogue.entries
        assert (len(entries), entries[1].note, entries[1].version) == (2, "", "base")
        name = page.presenter.session.id
        qtbot.waitUntil(
            lambda: page.transcript.view(1) is not None and page.transcript.view(1).bar is not None
        )
        qtbot.mouseClick(page.transcript.view(1).bar.like, Qt.MouseButton.LeftButton)

        def stored():
            with Program(paths) as program:
                return program.conversations.get(name).conversation

        qtbot.waitUntil(lambda: stored().turns[1].rating == 1, timeout=10_000)
        assert stored().turns[1].content.strip() == entries[1].text.strip()

        endpoint = server.state.endpoint
        os.kill(made[0].pid, signal.SIGKILL)
        qtbot.waitUntil(lambda: server.state.endpoint not in (endpoint, None), timeout=_LOADING)
        assert server.state.phase is ServerPhase.READY
        ask("And once more, please.")
        assert len(stored().turns) == 4
    finally:
        page.shut()
        for process in made:
            process.stop()
