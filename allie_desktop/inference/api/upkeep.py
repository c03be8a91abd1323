"""What goes on beside the requests: following the pointer, and giving memory back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from allie_desktop.domain.ports import Clock, VersionRouter
from allie_desktop.inference.api.service import ChatService, LoadedVersions

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_TICK_SECONDS = 1.0

#: For so long nobody was answered before a shortage of memory unloads the model, so that a conversation
#: does not load it again for each question.
_PAUSE_SECONDS = 10.0


class KeptVersions(LoadedVersions, Protocol):
    """Versions that load and go by themselves; see ``inference.live``. Any thread."""

    def keep(self, versions: Sequence[str]) -> None:
        """Have these loaded, beside the requests."""

    def tick(self) -> None:
        """Unload what nobody used for long; called about once a second."""


class Upkeep:
    """A thread of its own. ``short_of_memory`` says whether other programs need the memory more; ``chore`` is
    called about once a second."""

    def __init__(
        self,
        service: ChatService,
        live: KeptVersions,
        router: VersionRouter,
        *,
        clock: Clock,
        short_of_memory: Callable[[], bool],
        chore: Callable[[], object] = lambda: None,
    ) -> None:
        self._service = service
        self._live = live
        self._router = router
        self._clock = clock
        self._short_of_memory = short_of_memory
        self._chore = chore
        self._kept: tuple[str, ...] | None = None
        self._ticked = clock.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Load what will be asked first, then look after it until :meth:`stop`."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """End the thread; False when it is still busy, with loading say."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def look(self) -> None:
        """Look once at everything."""
        wanted = self._router.wanted()
        if not self._live.loaded():
            self._kept = None  # unloaded: nothing is loaded again before somebody asks
        elif wanted != self._kept:
            self._live.keep(wanted)
            self._kept = wanted
        now = self._clock.monotonic()
        if now - self._ticked < _TICK_SECONDS:
            return
        self._ticked = now
        self._live.tick()
        if self._live.loaded() and self._service.idle_seconds > _PAUSE_SECONDS and self._short_of_memory():
            _log.info("memory is short: the chat model is unloaded")
            self._live.unload_all()
        self._chore()

    def _run(self) -> None:
        self._service.load_ahead()
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look may do better
                _log.warning("the versions could not be looked after: %s", type(error).__name__)
