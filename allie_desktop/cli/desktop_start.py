"""Starting the tray application. It stays in memory for days, so nothing of the command line is loaded here."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from allie_desktop.domain.errors import AllieError, BadInputError
from allie_desktop.resident_memory import share_heaps

PAGES = ("chat", "history", "versions", "privacy", "settings")


def start(*, show: str | None = None, end: bool = False, no_tray_wait: bool = False) -> int:
    """Run the tray application to its end and return its exit code; raise :class:`AllieError` when it cannot
    start. ``show``: a page to open; ``end``: end the one that runs instead."""
    if show is not None and show not in PAGES:
        raise BadInputError(f"There is no page {show!r}.", f"The pages are: {', '.join(PAGES)}.")
    from allie_desktop import bootstrap
    from allie_desktop.cli.desktop_backend import DesktopBackend
    from allie_desktop.paths import AppPaths
    from allie_desktop.ui.screen_check import require_screen

    paths = AppPaths.from_environment().prepare()
    bootstrap.log_to_file(paths)
    backend = DesktopBackend(paths)
    if end:
        if not _application().say_to_running(backend, "quit"):
            raise AllieError("No Allie is running.")
        return 0
    require_screen(os.environ)
    application = _application()
    patience = 0.0 if no_tray_wait else application.TRAY_PATIENCE_SECONDS
    code: int = application.run(backend, page=show, tray_patience_seconds=patience)
    if backend.wants_wiping:
        from allie_desktop.cli.desktop_windows import wipe

        logging.shutdown()
        if left := wipe(paths):
            _application().say(
                "Not everything could be deleted",
                "These are still there:\n\n{}\n\nDelete them by hand.".format("\n".join(map(str, left))),
            )
        command = backend.command
        os.execv(command[0], command)  # noqa: S606 - our own command, as on the first day
    return code


def quick_start(arguments: Sequence[str]) -> int | None:
    """Do what ``allie ARGUMENTS…`` would, without the command line's libraries; None when it takes them."""
    if list(arguments) != ["gui"]:
        return None
    try:
        return start()
    except AllieError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the sentence, in the one place that cannot use rich
        return error.exit_code


def _application() -> ModuleType:
    try:
        lean = importlib.import_module("allie_desktop.ui.lean_imports")
        share_heaps()
        lean.spare_sources()
        return importlib.import_module("allie_desktop.ui.application")
    except ImportError as error:
        raise AllieError(
            f"Windows cannot be shown here: {error}.",
            "Install Allie again with packaging/bootstrap.py, which adds the missing system libraries.",
        ) from error
