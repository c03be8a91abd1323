"""Signals of the operating system that end the program: the running episode yields first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from allie_desktop.services.orchestrator import Orchestrator


@contextmanager
def yield_on_signals(orchestrator: Orchestrator) -> Iterator[None]:
    """Make Ctrl+C, SIGTERM and a closed terminal yield the running episode; a second one, or one while
    nothing runs, ends the program as always. Only for the main thread; does nothing in another."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
    asked = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if not asked and orchestrator.request_yield(f"The program was asked to end ({_name(number)})."):
            asked = True
            return
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _name(number: int) -> str:
    return signal.Signals(number).name
