"""Hears a session's signals and delays its sleep, as the application does: one line in, one line out."""

from __future__ import annotations

import sys
import threading

from PySide6.QtCore import QCoreApplication, QObject, Signal

from allie_desktop.ui.session_signals import SessionSignals, SleepInhibitor


class Commands(QObject):
    given = Signal(str)


def main() -> int:
    """Until stdin ends: ``take`` and ``release`` act on the inhibitor; a suspend is told unasked."""
    application = QCoreApplication([])
    session, inhibitor, commands = SessionSignals(), SleepInhibitor(), Commands()

    def tell(*words: object) -> None:
        print(*words, flush=True)

    def obey(command: str) -> None:
        if command == "take":
            tell("taken", inhibitor.take("A new version is being put into use"), inhibitor.held)
        elif command == "release":
            inhibitor.release()
            tell("released", inhibitor.held)
        else:
            application.quit()

    def read() -> None:
        for line in sys.stdin:
            commands.given.emit(line.strip())
        commands.given.emit("")

    session.sleeping.connect(lambda before: tell("sleeping", before))
    commands.given.connect(obey)
    tell("connected", session.connected)
    threading.Thread(target=read, daemon=True).start()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
