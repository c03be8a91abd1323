"""How long nobody touched keyboard or mouse, from a Wayland compositor's ``ext_idle_notifier_v1``.

The compositor says when a second has passed without input, and when input came back. One thread listens to
that; between two such messages it sleeps. What keeps the screen awake (a film) counts as somebody there.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError

#: Without input for this long, the compositor calls a person idle. Short, so that "back" is told soon.
_QUIET_MS = 1000
_START_SECONDS = 2.0


class WaylandIdle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` under Wayland. ``on_return`` is called from its
    thread when input comes back after at least a second without."""

    name = "the Wayland compositor's idle notifier"
    watch_seconds = 0.25
    grain_seconds = 1.5  # a second passes before idleness is told, and telling takes a moment

    def __init__(
        self,
        display_name: str | None = None,
        *,
        on_return: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display_name = display_name
        self._on_return = on_return
        self._clock = clock
        self._listener: _Listener | None = None

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        return {"idle_seconds": self.idle_seconds()}

    def idle_seconds(self) -> float:
        """Return the time since the last input, to a second; raise when the compositor does not tell."""
        if self._listener is None:
            self._listener = _Listener(self._display_name, self._on_return, self._clock)
            self._listener.start()
        return self._listener.idle_seconds()

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()


class _Listener:
    """One connection and its thread. Everything of libwayland happens in that thread alone."""

    def __init__(
        self, display_name: str | None, on_return: Callable[[], None] | None, clock: Callable[[], float]
    ) -> None:
        self._display_name = display_name
        self._on_return = on_return
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="wayland-idle", daemon=True)
        self._ready = threading.Event()
        self._idle_since: float | None = None
        self._problem: UnavailableError | None = None
        self._wake_read, self._wake_write = os.pipe()

    def start(self) -> None:
        """Connect; raise :class:`UnavailableError` when the compositor cannot tell."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise UnavailableError("the Wayland compositor does not answer")
        self._raise_problem()

    def idle_seconds(self) -> float:
        self._raise_problem()
        since = self._idle_since
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=_START_SECONDS)
        if not self._thread.is_alive():  # a thread that hangs in libwayland keeps its descriptors
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise UnavailableError(self._problem.words, self._problem.remedy, lasting=self._problem.lasting)

    def _run(self) -> None:
        try:
            self._listen()
        except UnavailableError as error:
            self._problem = error
        except Exception as error:  # noqa: BLE001 - a broken connection is an unknown reading
            self._problem = UnavailableError(f"the Wayland connection broke ({error})")
        else:
            self._problem = UnavailableError("the Wayland connection was closed")
        self._ready.set()

    def _listen(self) -> None:
        try:
            from pywayland.client import Display
            from pywayland.protocol.ext_idle_notify_v1 import ExtIdleNotifierV1
            from pywayland.protocol.wayland import WlSeat
        except ImportError as error:
            raise UnavailableError("pywayland is not installed", lasting=True) from error
        display = Display(self._display_name)
        try:
            display.connect()
        except ValueError as error:
            raise UnavailableError("the Wayland compositor cannot be reached") from error
        made: list[Any] = []
        try:
            names: dict[str, int] = {}
            registry = display.get_registry()
            registry.dispatcher["global"] = lambda _, number, interface, __: names.setdefault(
                interface, number
            )
            display.roundtrip()
            if not {"ext_idle_notifier_v1", "wl_seat"} <= names.keys():
                raise UnavailableError("the Wayland compositor has no idle notifier", lasting=True)
            seat = registry.bind(names["wl_seat"], WlSeat, 1)
            notifier = registry.bind(names["ext_idle_notifier_v1"], ExtIdleNotifierV1, 1)
            notification = notifier.get_idle_notification(_QUIET_MS, seat)
            made = [notifier, notification]
            notification.dispatcher["idled"] = self._idled
            notification.dispatcher["resumed"] = self._resumed
            display.roundtrip()
            self._ready.set()
            self._pump(display)
        finally:
            # libwayland crashes at exit over proxies that outlive their connection.
            for proxy in reversed(made):
                with contextlib.suppress(Exception):
                    proxy.destroy()
            with contextlib.suppress(Exception):
                display.flush()
            display.disconnect()

    def _pump(self, display: Any) -> None:
        ready = select.poll()
        ready.register(display.get_fd(), select.POLLIN)
        ready.register(self._wake_read, select.POLLIN)
        while True:
            display.dispatch(block=False)
            display.flush()
            for descriptor, _ in ready.poll():
                if descriptor == self._wake_read:
                    return
                display.read()

    def _idled(self, _: object) -> None:
        self._idle_since = self._clock() - _QUIET_MS / 1000

    def _resumed(self, _: object) -> None:
        self._idle_since = None
        if self._on_return is not None:
            self._on_return()
