"""The versions that are in memory: loaded beside each other, shared by requests, unloaded when nobody asks.

A version that somebody uses is never closed, a request never waits for a version that another one is to
replace, and a version that cannot be used is reported once. One background thread loads and closes; only
a version that is wanted at once and is not there is loaded by who asked for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from allie_desktop.domain.chat import GenerationOptions, TextPiece
from allie_desktop.domain.errors import AllieError, BadInputError, ModelError, VersionCorruptError
from allie_desktop.domain.ports import ChatEngine, ChatEngines, Clock
from allie_desktop.domain.versions import BASE
from allie_desktop.inference.probe import is_garbage
from allie_desktop.inference.prompts import user_prompt

_log = logging.getLogger(__name__)

#: How long a version that is not wanted stays after its last use: a client that pinned it will ask again, and
#: whoever takes a new version back gets the old one at once. One at most, the one that was used last, because
#: each holds a context of its own.
LINGER_SECONDS = 60.0
_LINGERERS = 1
#: For so long the background waits for a moment without replies before it loads: that stops every stream for
#: some tenths of a second, since the library holds the interpreter's lock while it reads a model.
PATIENCE_SECONDS = 3.0
#: How soon a version that could not be loaded is tried again: for a request, and by itself.
RETRY_SECONDS = 5.0
RETRY_ALONE_SECONDS = 60.0

_PROBE = "Hello! How are you?"
_PROBE_OPTIONS = GenerationOptions(max_tokens=8, temperature=0.0, time_limit_seconds=60.0)


@dataclass(slots=True, eq=False)
class _Loaded:
    """An engine and who uses it."""

    engine: ChatEngine
    used_at: float
    users: int = 0
    retiring: bool = False  # close it when the last user has gone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    error: AllieError
    at: float


class LiveVersions:
    """Versions side by side. Any thread.

    ``on_failed(version, reason)`` is called once for each failure of a version that :meth:`keep` asked for
    or a request used: from the background thread or the request's. ``unload_after_seconds`` is asked at
    each :meth:`tick`; 0 or less means never.
    """

    def __init__(
        self,
        engines: ChatEngines,
        *,
        clock: Clock,
        on_failed: Callable[[str, str], None],
        unload_after_seconds: Callable[[], float],
    ) -> None:
        self._engines = engines
        self._clock = clock
        self._on_failed = on_failed
        self._unload_after = unload_after_seconds
        self._changed = threading.Condition()
        self._live: dict[str, _Loaded] = {}
        self._loading: set[str] = set()
        self._failures: dict[str, _Failure] = {}
        self._reported: set[str] = set()
        self._probed: set[str] = set()  # versions never change, so that once is enough
        self._wanted: tuple[str, ...] = ()
        self._asleep = False  # unloaded for want of requests; the next one wakes the rest
        self._used_at = clock.monotonic()
        self._closed = False
        self._sweep = False
        self._thread: threading.Thread | None = None

    # --- requests ---

    @contextlib.contextmanager
    def use(self, version: str) -> Iterator[ChatEngine]:
        """Lend the engine of a version for a ``with`` block, loading it when it is not there.

        Blocks while it loads; raises what :meth:`ChatEngines.load` raises. A version that could not be
        loaded raises the same again, without another try, for a few seconds.
        """
        loaded = self._acquire(version)
        try:
            yield loaded.engine
        finally:
            self._release(version, loaded)

    def is_loaded(self, version: str) -> bool:
        """Whether a request for this version would begin at once."""
        with self._changed:
            return version in self._live

    def loaded(self) -> tuple[str, ...]:
        """Return the versions in memory, sorted."""
        with self._changed:
            return tuple(sorted(self._live))

    # --- what shall be in memory ---

    def keep(self, versions: Sequence[str]) -> None:
        """Say which versions to have in memory. Returns at once: the missing ones are loaded and probed in
        the background; then those not wanted are closed, as soon as nobody uses them. The one of these that
        was used last stays for :data:`LINGER_SECONDS`."""
        wanted = tuple(dict.fromkeys(versions))
        with self._changed:
            if self._closed:
                return
            if set(wanted) - set(self._wanted):
                self._asleep = False
                self._used_at = self._clock.monotonic()
            for name in set(self._failures) - set(wanted):
                self._reported.discard(name)
            for name in set(self._live) & set(wanted):
                self._live[name].retiring = False
            self._wanted = wanted
            self._sweep = True
            self._wake()

    def unload_all(self) -> None:
        """Free all memory now: what nobody uses before this returns, the rest when its last reply ends.
        The next request loads again."""
        with self._changed:
            self._asleep = True
            idle = self._take_out(list(self._live))
        _close(idle)

    def tick(self) -> None:
        """Unload what was not used for long enough. To be called about every second."""
        after, now = self._unload_after(), self._clock.monotonic()
        with self._changed:
            if self._closed:
                return
            if any(x.users for x in self._live.values()) or self._loading:
                self._used_at = now
            idle_for = now - self._used_at
            if self._live and after > 0 and idle_for >= after:
                self._asleep = True
                idle = self._take_out(list(self._live))
            else:
                stale = [n for n, x in self._live.items() if self._is_stale(n, x, now)]
                idle = self._take_out(stale)
                if not self._asleep and self._missing():
                    self._wake()
        _close(idle)

    def close(self) -> None:
        """Close every engine, those in use too, and end the background thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._changed:
            idle = [x.engine for x in self._live.values()]
            self._live.clear()
        _close(idle)

    # --- lending ---

    def _acquire(self, version: str) -> _Loaded:
        with self._changed:
            while True:
                if self._closed:
                    raise _shutting_down()
                loaded = self._live.get(version)
                if loaded is not None:
                    loaded.users += 1
                    loaded.retiring = False
                    self._touch(loaded)
                    return loaded
                if version not in self._loading:
                    break
                self._changed.wait()
            self._refuse_known_failure(version)
            self._loading.add(version)
        loaded = self._load(version, users=1)
        with self._changed:
            if self._asleep:
                self._asleep = False
                self._wake()
        return loaded

    def _release(self, version: str, loaded: _Loaded) -> None:
        with self._changed:
            loaded.users -= 1
            self._touch(loaded)
            if not loaded.users:
                self._changed.notify_all()
            gone = loaded.retiring and not loaded.users and self._live.get(version) is loaded
            if gone:
                del self._live[version]
        if gone:
            _close([loaded.engine])

    def _touch(self, loaded: _Loaded) -> None:
        loaded.used_at = self._used_at = self._clock.monotonic()

    def _refuse_known_failure(self, version: str) -> None:
        failure = self._failures.get(version)
        if failure is not None and self._clock.monotonic() - failure.at < RETRY_SECONDS:
            raise failure.error

    # --- loading ---

    def _load(self, version: str, *, users: int) -> _Loaded:
        """Load a version that is marked as loading, and put it among the live ones."""
        engine: ChatEngine | None = None
        try:
            engine = self._engines.load(version)
            if version not in self._probed:
                self._probe(version, engine)
        except BaseException as error:
            if engine is not None:
                _close([engine])
            self._note_failure(version, error)
            raise
        loaded = _Loaded(engine, self._clock.monotonic(), users)
        with self._changed:
            self._loading.discard(version)
            self._failures.pop(version, None)
            self._reported.discard(version)
            self._probed.add(version)
            # Memory may have been asked for in the meantime; who asks for the version still gets it.
            welcome = not self._closed and (users > 0 or not self._asleep)
            if welcome:
                self._live[version] = loaded
            self._changed.notify_all()
        if not welcome:
            _close([engine])
            raise _shutting_down()
        return loaded

    def _probe(self, version: str, engine: ChatEngine) -> None:
        """Ask for a few words; raise :class:`VersionCorruptError` unless they are words."""
        events = engine.stream(user_prompt(_PROBE), _PROBE_OPTIONS, lambda: self._closed)
        answer = "".join(e.text for e in events if isinstance(e, TextPiece))
        if is_garbage(answer) and not self._closed and version != BASE:
            raise VersionCorruptError(
                f"Version {version} does not answer in words.", "It is not used; another version answers."
            )

    def _note_failure(self, version: str, error: BaseException) -> None:
        reason = error if isinstance(error, AllieError) else _unexpected(version, error)
        with self._changed:
            self._loading.discard(version)
            self._changed.notify_all()
            if isinstance(error, BadInputError) and version not in self._wanted:
                return  # somebody asked for a version that there is not
            self._failures[version] = _Failure(error=reason, at=self._clock.monotonic())
            report = version not in self._reported and not self._closed
            self._reported.add(version)
        if report:
            _log.warning("version %s cannot be used: %s", version, reason.message)
            try:
                self._on_failed(version, str(reason))
            except Exception:  # noqa: BLE001 - whatever its owner raises, versions must go on
                _log.exception("nobody took note of the failure of version %s", version)

    # --- the background thread ---

    def _wake(self) -> None:
        """Have the background thread look again; called with the lock held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_up, name="allie-versions", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _keep_up(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None or self._can_sweep())
                if self._next() is not None:
                    self._changed.wait_for(self._is_quiet, PATIENCE_SECONDS)
                if self._closed:
                    return
                version, idle = self._next(), []
                if version is not None:
                    self._loading.add(version)
                elif self._can_sweep():
                    self._sweep = False
                    idle = self._take_out(self._surplus())
            _close(idle)
            if version is not None:
                with contextlib.suppress(Exception):  # noted and reported where it was raised
                    self._load(version, users=0)

    def _missing(self) -> list[str]:
        """The wanted versions that are neither there nor coming, and did not fail just now."""
        now = self._clock.monotonic()
        return [
            name
            for name in self._wanted
            if name not in self._live
            and name not in self._loading
            and (name not in self._failures or now - self._failures[name].at >= RETRY_ALONE_SECONDS)
        ]

    def _next(self) -> str | None:
        return None if self._asleep else next(iter(self._missing()), None)

    def _is_quiet(self) -> bool:
        return self._closed or not any(x.users for x in self._live.values())

    def _can_sweep(self) -> bool:
        return self._sweep and not (self._loading & set(self._wanted))

    def _unwanted(self) -> list[str]:
        """What to close; nothing as long as none of the wanted ones is there to answer instead."""
        if not any(name in self._live for name in self._wanted):
            return []
        return [name for name in self._live if name not in self._wanted]

    def _surplus(self) -> list[str]:
        """The unwanted versions without the few that linger."""
        last_used_first = sorted(self._unwanted(), key=lambda name: -self._live[name].used_at)
        return last_used_first[_LINGERERS:]

    def _is_stale(self, name: str, loaded: _Loaded, now: float) -> bool:
        return name in self._unwanted() and not loaded.users and now - loaded.used_at >= LINGER_SECONDS

    def _take_out(self, names: Sequence[str]) -> list[ChatEngine]:
        """Take out those that nobody uses and return their engines, to be closed without the lock; the others
        go with their last user. Called with the lock held."""
        out = []
        for name in names:
            loaded = self._live[name]
            if loaded.users:
                loaded.retiring = True
            else:
                del self._live[name]
                out.append(loaded.engine)
        return out


def _close(engines: Sequence[ChatEngine]) -> None:
    for engine in engines:
        try:
            engine.close()
        except Exception:  # noqa: BLE001 - engines of any kind
            _log.exception("an engine could not be closed")


def _shutting_down() -> ModelError:
    return ModelError("Allie is shutting down.", "Ask again when it has started anew.")


def _unexpected(version: str, error: BaseException) -> ModelError:
    _log.error("loading version %s failed", version, exc_info=error)
    return ModelError(f"Version {version} could not be loaded: {type(error).__name__}.", "Try again.")
