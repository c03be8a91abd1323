"""Idleness, the moment somebody comes back, and full screen: on a real X server with a real window manager."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from allie_desktop.sensors.idle_sources import Platform
from allie_desktop.sensors.idle_x11 import X11Idle
from allie_desktop.sensors.presence_edge import InputWatch, start_listeners
from allie_desktop.sensors.presence_screen import X11FullScreen
from allie_desktop.sensors.registry import Sensors
from allie_desktop.sensors.sensor import UnavailableError
from tests.gui.desktop_session import DesktopSession, wait_for

TOOLS = ("Xvfb", "openbox", "xdotool", "xprop")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.display,
    pytest.mark.process,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

needs_pynput = pytest.mark.skipif(
    importlib.util.find_spec("pynput") is None, reason="pynput is an extra that is not installed"
)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[DesktopSession]:
    """An X server and a window manager, which this process's environment names too."""
    folder = Path(tempfile.mkdtemp(prefix="allie-sense-"))
    with DesktopSession(folder, dbus=False, tray=False, notifications=False) as session:
        monkeypatch.setenv("DISPLAY", session.environment["DISPLAY"])
        monkeypatch.setenv("XDG_SESSION_TYPE", "x11")
        for name in ("WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
        yield session
    shutil.rmtree(folder, ignore_errors=True)


def settled_threads(before: set[threading.Thread]) -> bool:
    return not {t for t in threading.enumerate() if t.is_alive()} - before


# ---- idle --------------------------------------------------------------------------------------------------


def test_idle_time_grows_until_a_key_is_pressed(desk):
    idle = X11Idle()
    began = time.monotonic()
    desk.key("a")
    wait_for(lambda: idle.idle_seconds() > 0.3, "idleness")
    assert idle.idle_seconds() <= time.monotonic() - began

    desk.key("a")
    assert idle.idle_seconds() < 0.3
    idle.close()


def test_the_mouse_counts_too(desk):
    idle = X11Idle()
    wait_for(lambda: idle.idle_seconds() > 0.3, "idleness")
    desk.xdotool("mousemove", 300, 300)
    assert idle.idle_seconds() < 0.3
    idle.close()


def test_a_lost_x_server_is_unknown_and_a_new_one_is_found(desk, tmp_path):
    sensors = Sensors(folder=tmp_path)
    for lane in sensors._lanes:
        lane.sensor.retry_seconds = 0.0
    assert sensors.read(patience_seconds=5.0).idle_seconds is not None

    desk.stop("X")
    assert sensors.read(patience_seconds=5.0).idle_seconds is None
    state = next(state for state in sensors.describe() if state.name == "idle")
    assert not state.works
    assert "X server" in state.words

    number = desk.environment["DISPLAY"]
    desk._start("X", "Xvfb", number, "-screen", "0", "640x480x24", "-nolisten", "tcp")
    wait_for(lambda: sensors.read(patience_seconds=5.0).idle_seconds is not None, "the new X server")
    sensors.close()


def test_under_wayland_nobody_asks_the_x_server(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    monkeypatch.setenv("WAYLAND_DISPLAY", "none")
    with Sensors(folder=tmp_path) as sensors:
        assert sensors.read(patience_seconds=5.0).idle_seconds is None
        state = next(state for state in sensors.describe() if state.name == "idle")
        assert "the Wayland compositor cannot be reached" in state.words
    assert start_listeners(Platform(), lambda *_: None) == []


def test_an_x_server_that_hangs_delays_nobody(desk, tmp_path):
    with Sensors(folder=tmp_path) as sensors:
        assert sensors.read(patience_seconds=5.0).idle_seconds is not None
        server = desk._processes["X"]
        server.send_signal(19)  # SIGSTOP
        try:
            began = time.monotonic()
            assert sensors.read().idle_seconds is None
            assert time.monotonic() - began < 2.0
            state = next(state for state in sensors.describe() if state.name == "idle")
            assert (state.works, state.words) == (False, "it does not answer in time")
        finally:
            server.send_signal(18)  # SIGCONT
        wait_for(lambda: sensors.read().idle_seconds is not None, "an answer")


# ---- somebody comes back -------------------------------------------------------------------------------------


@pytest.fixture(params=[pytest.param("pynput", marks=needs_pynput), "the counter alone"])
def watch(request, desk) -> Iterator[tuple[InputWatch, threading.Event]]:
    """A watch, both with pynput and without."""
    came = threading.Event()
    listeners = None if request.param == "pynput" else (lambda _: [])
    made = InputWatch(came.set, listeners=listeners)
    yield made, came
    made.close()


def armed(made: InputWatch, desk: DesktopSession) -> None:
    made.arm()
    wait_for(lambda: made.way, "a source")


def test_the_first_input_after_arming_is_told_once(desk, watch):
    made, came = watch
    armed(made, desk)
    assert not came.wait(0.3)
    desk.key("x")
    assert came.wait(5)
    assert not made.armed

    came.clear()
    desk.key("x")
    assert not came.wait(0.3)

    armed(made, desk)
    desk.xdotool("mousemove_relative", 5, 5)
    assert came.wait(5)


def test_a_disarmed_watch_tells_nothing(desk, watch):
    made, came = watch
    armed(made, desk)
    made.disarm()
    desk.key("x")
    assert not came.wait(0.3)
    assert not made.armed


@needs_pynput
def test_watching_leaves_no_threads_and_no_connections_behind(desk):
    desk.key("a")
    before, descriptors = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    came = threading.Event()
    made = InputWatch(came.set)
    for _ in range(6):
        armed(made, desk)
        wait_for(lambda: "pynput" in made.way, "pynput")
        made.disarm()
    made.close()
    wait_for(lambda: settled_threads(before), "the threads to end")
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors


@needs_pynput
def test_pynput_hears_a_key_under_x(desk):
    heard = threading.Event()
    listeners = start_listeners(Platform(), lambda *_: heard.set())
    for listener in listeners:
        listener.wait()
    desk.key("a")
    assert heard.wait(5)
    for listener in listeners:
        listener.stop()


def test_a_deaf_listener_is_found_out_and_no_longer_used(desk):
    class Deaf(threading.Thread):
        def __init__(self) -> None:
            super().__init__(daemon=True)
            self.stopped = threading.Event()

        def run(self) -> None:
            self.stopped.wait()

        def stop(self) -> None:
            self.stopped.set()

    started: list[Deaf] = []

    def listen(_: object) -> list[threading.Thread]:
        started.append(Deaf())
        started[-1].start()
        return [*started[-1:]]

    came = threading.Event()
    made = InputWatch(came.set, listeners=listen)
    armed(made, desk)
    wait_for(lambda: "pynput" in made.way, "the listener")
    assert not came.wait(0.5)
    desk.key("x")
    assert came.wait(5)
    wait_for(lambda: made.blind, "the finding")

    came.clear()
    armed(made, desk)
    desk.key("x")
    assert came.wait(5)
    assert len(started) == 1
    made.close()


def test_an_x_server_that_goes_while_the_watch_is_armed_breaks_nothing(desk, watch, caplog):
    made, _ = watch
    armed(made, desk)
    desk.stop("X")
    wait_for(lambda: made.way in {"", "pynput"}, "the loss")
    made.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


SECRET = "correcthorsebattery"


def reachable(roots: list[object]) -> Iterator[object]:
    """Yield everything that can be reached from objects, except modules, types and functions.

    Loggers are left out, too: they lead to the test runner, and from there to the source of this module.
    """
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, (type, type(os), type(reachable), logging.Logger)):
            continue
        seen.add(id(thing))
        yield thing
        waiting += gc.get_referents(thing)


def spelled_out(roots: list[object]) -> bool:
    """Whether the secret can be reached, as a text or letter by letter."""
    wanted = SECRET[:6]
    for thing in reachable(roots):
        if isinstance(thing, (str, bytes)) and wanted in str(thing):
            return True
        if isinstance(thing, (list, tuple, dict, set)) and wanted in "".join(map(str, list(thing)[:100])):
            return True
    return False


def test_the_search_for_what_was_typed_finds_it():
    class Spy:
        pass

    spy, text = Spy(), Spy()
    spy.heard = {"keys": list(SECRET)}
    text.log = [f"heard {SECRET}"]
    assert (spelled_out([spy]), spelled_out([text]), spelled_out([Spy()])) == (True, True, False)


@needs_pynput
def test_nothing_of_what_is_typed_is_kept_anywhere(desk, caplog):
    """Nothing but the fact of input may come out of what listens to every key."""
    caplog.set_level(logging.DEBUG)
    came = threading.Event()
    heard: list[int] = []
    made = InputWatch(came.set)
    kept: list[object] = []

    original = made._listen

    def listen(touch):
        def counted(*given):
            heard.append(len(given))
            touch(*given)

        kept.extend(original(counted))
        return [*kept]

    made._listen = listen
    armed(made, desk)
    wait_for(lambda: "pynput" in made.way, "pynput")
    desk.xdotool("type", "--delay", "5", SECRET)
    assert came.wait(5)
    wait_for(lambda: len(heard) >= len(SECRET) or not made.armed)

    assert not spelled_out([made, kept])
    assert SECRET[:6] not in caplog.text
    made.close()


# ---- full screen -------------------------------------------------------------------------------------------


@pytest.fixture
def window(desk) -> Iterator[int]:
    """A real window in front."""
    from Xlib import X
    from Xlib.display import Display

    display = Display()
    screen = display.screen()
    made = screen.root.create_window(
        50,
        50,
        300,
        200,
        0,
        screen.root_depth,
        X.InputOutput,
        X.CopyFromParent,
        event_mask=X.StructureNotifyMask,
    )
    made.set_wm_name("A game")
    made.set_wm_class("game", "Game")
    made.change_property(
        display.intern_atom("_NET_WM_PID"), display.intern_atom("CARDINAL"), 32, [os.getpid()]
    )
    made.map()
    display.sync()
    wait_for(lambda: desk.windows("name", "A game", visible=False), "the window")
    desk.xdotool("windowactivate", "--sync", made.id)
    yield made.id
    display.close()


def change_full_screen(desk: DesktopSession, window: int, *, on: bool) -> None:
    from Xlib import X
    from Xlib.display import Display
    from Xlib.protocol.event import ClientMessage

    display = Display(desk.environment["DISPLAY"])
    state, full = display.intern_atom("_NET_WM_STATE"), display.intern_atom("_NET_WM_STATE_FULLSCREEN")
    event = ClientMessage(
        window=display.create_resource_object("window", window),
        client_type=state,
        data=(32, [int(on), full, 0, 1, 0]),
    )
    mask = X.SubstructureRedirectMask | X.SubstructureNotifyMask
    display.screen().root.send_event(event, event_mask=mask)
    display.sync()
    display.close()


def test_a_full_screen_window_in_front_is_seen(desk, window):
    source = X11FullScreen()
    assert source.read(frozenset()) == {"full_screen": False}

    change_full_screen(desk, window, on=True)
    wait_for(lambda: source.read(frozenset()) == {"full_screen": True}, "full screen")
    assert source.read(frozenset({os.getpid()})) == {"full_screen": False}

    change_full_screen(desk, window, on=False)
    wait_for(lambda: source.read(frozenset()) == {"full_screen": False}, "the end of it")
    source.close()


def test_no_window_in_front_is_no_full_screen(desk):
    source = X11FullScreen()
    wait_for(lambda: source.read(frozenset()) == {"full_screen": False}, "an answer")
    source.close()


def test_without_a_window_manager_full_screen_is_unknown(desk):
    desk.stop("openbox")
    for name in ("_NET_ACTIVE_WINDOW", "_NET_SUPPORTING_WM_CHECK"):
        desk.run("xprop", "-root", "-remove", name)
    source = X11FullScreen()
    with pytest.raises(UnavailableError) as caught:
        source.read(frozenset())
    assert str(caught.value) == "no window manager says which window is in front"
    source.close()
