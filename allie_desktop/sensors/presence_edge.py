"""The moment at which somebody comes back to the computer.

Two ways lead there. pynput hears of input at once, where it can be trusted: under X11, on Windows, and the
mouse alone on macOS. Beside it the system's own idle counter is asked, often where pynput is not used and
now and then where it is; a counter that starts anew while pynput heard nothing shows that pynput is blind,
and from then on only the counter counts.

Nothing of what is typed is kept, or even looked at: the callbacks drop their arguments.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from allie_desktop.sensors.idle_sources import IdleSource, Platform, idle_sources
from allie_desktop.sensors.x_server import XServer, close_display

_log = logging.getLogger(__name__)

#: How often the counter is asked beside a listener that hears for itself. An X server may keep an event
#: back from a listener until it has something to tell another program, too.
_CROSS_CHECK_SECONDS = 0.05
#: A counter that falls by more than this was set back by input.
_JITTER_SECONDS = 0.002
#: A source that failed is left alone for so long.
_RETRY_SECONDS = 1.0
#: What the counter has seen, a listener has heard after this long, or it is blind.
_HEARING_SECONDS = 0.3
_STOP_SECONDS = 2.0


class InputWatch:
    """Calls ``on_input`` at the first input after :meth:`arm`, once; arm it again for the next.

    ``on_input`` runs in a thread of the watch, and should be quick. All methods may be called from any
    thread, and none of them blocks, except :meth:`close`. An unarmed watch sleeps, and listens to nothing.
    """

    def __init__(
        self,
        on_input: Callable[[], None],
        *,
        platform: Platform | None = None,
        sources: tuple[IdleSource, ...] | None = None,
        listeners: Callable[[Callable[..., None]], list[threading.Thread]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``listeners`` starts what hears input at once and returns its threads, none where there is none."""
        platform = platform or Platform()
        self._on_input = on_input
        self._clock = clock
        self._sources = idle_sources(platform, on_return=self._returned) if sources is None else sources
        self._listen = listeners or (lambda touch: start_listeners(platform, touch))
        self._condition = threading.Condition()
        self._armed_at: float | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._heard = threading.Event()
        self._blind = False
        self._way = ""

    @property
    def armed(self) -> bool:
        """Whether the next input will be told."""
        return self._armed_at is not None

    @property
    def way(self) -> str:
        """How input is seen, in words; empty while nothing can see it, or while the watch is not armed."""
        return self._way

    @property
    def blind(self) -> bool:
        """Whether a listener was found deaf and is used no more."""
        return self._blind

    def arm(self) -> None:
        """Tell the next input from now on. Does nothing when armed already."""
        with self._condition:
            if self._closed or self._armed_at is not None:
                return
            self._armed_at = self._clock()
            self._heard.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="input-watch", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def disarm(self) -> None:
        """Tell nothing until armed again."""
        with self._condition:
            self._armed_at = None
            self._condition.notify_all()

    def close(self) -> None:
        """Stop for good; waits until the threads have ended, for two seconds at most."""
        with self._condition:
            self._closed = True
            self._armed_at = None
            self._condition.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_SECONDS)

    # --- what sees input ---

    def _touch(self, *_: object) -> None:
        """A listener heard something; what, is nobody's business."""
        self._heard.set()
        if self._armed_at is not None:
            self._fire()

    def _returned(self) -> None:
        """A source says that input came back."""
        if self._armed_at is not None:
            self._fire()

    def _fire(self) -> bool:
        with self._condition:
            if self._armed_at is None:
                return False
            self._armed_at = None
            self._condition.notify_all()
        try:
            self._on_input()
        except Exception:  # noqa: BLE001 - it must not end the thread that watches
            _log.exception("telling that somebody came back failed")
        return True

    # --- the thread ---

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._armed_at is None and not self._closed:
                    self._condition.wait()
                if self._closed:
                    break
            hearing = None if self._blind else _Hearing(self._listen, self._touch, self._clock)
            try:
                self._watch(hearing)
            finally:
                self._way = ""
                if hearing is not None:
                    hearing.stop()
        for source in self._sources:
            with contextlib.suppress(Exception):
                source.close()

    def _watch(self, hearing: _Hearing | None) -> None:
        """Ask the counters until the watch is no longer armed."""
        retry_at = dict.fromkeys((source.name for source in self._sources), 0.0)
        before: float | None = None
        while True:
            armed_at, now = self._armed_at, self._clock()
            if armed_at is None:
                return
            hearing_now = hearing is not None and hearing.since is not None
            idle: float | None = None
            period, grain = _RETRY_SECONDS, 0.0
            for source in self._sources:
                if now < retry_at[source.name]:
                    continue
                try:
                    idle = source.read(frozenset()).get("idle_seconds")
                except Exception as error:  # noqa: BLE001 - the next source may see
                    _log.debug("%s does not see input: %s", source.name, error)
                    retry_at[source.name] = now + _RETRY_SECONDS
                    with contextlib.suppress(Exception):
                        source.close()
                    continue
                if idle is not None:
                    period, grain = source.watch_seconds, source.grain_seconds
                    self._way = f"pynput and {source.name}" if hearing_now else source.name
                    break
            else:
                self._way = "pynput" if hearing_now else ""
            since_armed = idle is not None and idle < self._clock() - armed_at - grain
            fell = idle is not None and before is not None and idle < before - _JITTER_SECONDS
            before = idle
            if idle is not None and (since_armed or fell):
                fired = self._fire()
                could_hear = hearing is not None and hearing.could_hear(now - idle)
                if fired and could_hear and not self._heard.wait(_HEARING_SECONDS):
                    self._blind = True
                    _log.warning("pynput does not hear input here; the idle counter is asked instead")
                return
            with self._condition:
                if self._armed_at == armed_at:
                    self._condition.wait(max(period, _CROSS_CHECK_SECONDS) if hearing_now else period)


class _Hearing:
    """Listeners, which start, run and stop beside a thread of their own: importing pynput and connecting
    takes a tenth of a second, more on a busy computer, and nobody is to wait for that."""

    def __init__(
        self,
        listen: Callable[[Callable[..., None]], list[threading.Thread]],
        touch: Callable[..., None],
        clock: Callable[[], float],
    ) -> None:
        self.since: float | None = None  # when the listeners began to hear
        self._listen = listen
        self._touch = touch
        self._clock = clock
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="input-hearing", daemon=True).start()

    def could_hear(self, moment: float) -> bool:
        """Whether input at a moment must have been heard. A listener needs some time to settle."""
        return self.since is not None and moment > self.since + _HEARING_SECONDS

    def stop(self) -> None:
        """Let the listeners end; waits for nothing."""
        self._ended.set()

    def _run(self) -> None:
        try:
            listeners = self._listen(self._touch)
        except Exception as error:  # noqa: BLE001 - whatever keeps pynput from working, the counter remains
            _log.info("input is not heard at once: %s", error)
            return
        for listener in listeners:
            if hasattr(listener, "wait"):
                listener.wait()
        if listeners and all(listener.is_alive() for listener in listeners):
            self.since = self._clock()
        self._ended.wait()
        for listener in listeners:
            _stop(listener)


def start_listeners(platform: Platform, touch: Callable[..., None]) -> list[threading.Thread]:
    """Start pynput's listeners where they can be trusted, and return them; none elsewhere.

    Wayland shows pynput only what is typed into X programs. On macOS its keyboard listener can end the
    process, and the mouse needs the permission to control the computer.
    """
    if platform.system == "darwin":
        wants_keyboard = False
        if not mac_trusts_us():
            return []
    elif platform.system == "win32" or platform.session == "x11":
        wants_keyboard = True
    else:
        return []
    try:
        from pynput import mouse
    except ImportError:  # not installed, or no display
        return []

    def quiet(kind: type[Any]) -> Any:
        def run(self: Any) -> None:
            try:
                kind.run(self)
            except Exception as error:  # noqa: BLE001 - the X server ended; the counter sees that too
                _log.debug("a listener ended: %s", error)
            finally:
                self._mark_ready()  # who stops it must not wait for what will not come
                for name in ("_display_stop", "_display_record"):
                    if hasattr(self, name):
                        close_display(getattr(self, name))

        def stop(self: Any) -> None:
            if hasattr(self, "_display_record") and hasattr(self, "_context"):
                _end_recording(self._context)
            else:
                kind.stop(self)

        # pynput finds the options of a platform by the module of the class above its own base.
        return type(kind.__name__, (kind,), {"run": run, "stop": stop, "__module__": kind.__module__})

    listeners: list[threading.Thread] = [
        quiet(mouse.Listener)(on_move=touch, on_click=touch, on_scroll=touch)
    ]
    if wants_keyboard:
        from pynput import keyboard

        listeners.append(quiet(keyboard.Listener)(on_press=touch, on_release=touch))
    for listener in listeners:
        listener.name = "input-listener"
        listener.start()
    return listeners


def mac_trusts_us(load: Callable[[str], Any] = ctypes.CDLL) -> bool:
    """Whether macOS lets this program see input; asks the person nothing. Tested on faked calls only."""
    try:
        services = load("/System/Library/Frameworks/ApplicationServices.framework/ApplicationServices")
        services.AXIsProcessTrusted.restype = ctypes.c_bool
        return bool(services.AXIsProcessTrusted())
    except (OSError, AttributeError):
        return False


def _end_recording(context: int) -> None:
    """End a listener's recording from a connection of our own: pynput asks on the one that records, and the
    X server reads that only after the next input."""
    server = XServer()
    try:
        display = server.display()
        display.record_disable_context(context)
        display.sync()
    finally:
        server.close()


def _stop(listener: threading.Thread) -> None:
    with contextlib.suppress(Exception):  # its X server may be gone
        if listener.is_alive():
            listener.stop()  # type: ignore[attr-defined] # pynput's threads have it
    with contextlib.suppress(Exception):
        threading.Thread.join(listener, _STOP_SECONDS)
