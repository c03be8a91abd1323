"""One small port for everything that can be sensed, and a sensor that asks its sources in turn.

A *source* is one way to learn something (the X server's idle counter, UPower, a file of the kernel); a
*sensor* is what the program wants to know, with the sources that may tell, the best first. A source that
cannot tell is put aside for a while and then tried again, so a lost X server, bus or driver comes back by
itself. Nothing here guesses: what no source told is left out, which is Unknown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from allie_desktop.domain.readings import SensorState

_log = logging.getLogger(__name__)

#: How long a source that failed is left alone, twice as long each time up to a limit: some failures cost a
#: file search or a connection attempt.
RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 60.0


class UnavailableError(Exception):
    """A source cannot see, and why. ``remedy``: what the person could do.

    ``lasting`` failures (a missing library or an absent driver) are looked at again only rarely.
    """

    def __init__(self, words: str, remedy: str = "", *, lasting: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.remedy = remedy
        self.lasting = lasting


class Source(Protocol):
    """One way to learn something. All methods are called from one thread at a time; ``read`` may block."""

    name: str

    def read(self, own_pids: frozenset[int]) -> Mapping[str, Any]:
        """Return fields of :class:`domain.readings.Readings`; what is left out is Unknown, and an explicit
        None says that there is nothing to know. Any exception counts as "cannot see".

        ``own_pids``: Allie's own processes. A source that was closed is opened again by this.
        """

    def close(self) -> None:
        """Give back connections and handles; harmless when there are none."""


@dataclass(slots=True)
class _Failure:
    words: str
    remedy: str
    pause_seconds: float
    retry_at: float


@dataclass(slots=True)
class Sensor:
    """What the program wants to know: ``fields`` of the readings, from ``sources``, the best first.

    ``unknown`` and ``remedy`` are for when not even a source is there to complain. ``keep_seconds``: how old a reading may be used while a new one is late; zero for what must be fresh.
    """

    name: str
    fields: tuple[str, ...]
    sources: Sequence[Source]
    describe: Callable[[Mapping[str, Any]], str]
    unknown: str
    remedy: str = ""
    keep_seconds: float = 60.0
    retry_seconds: float = RETRY_SECONDS
    lasting_seconds: float = 300.0
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, _Failure] = field(default_factory=dict)
    _values: dict[str, Any] = field(default_factory=dict)
    _told: list[str] = field(default_factory=list)
    _said: str = ""

    def read(self, own_pids: frozenset[int]) -> Mapping[str, Any]:
        """Return what is known now, from as many sources as it takes; raises nothing."""
        values: dict[str, Any] = {}
        told: list[str] = []
        for source in self.sources:
            missing = [name for name in self.fields if name not in values]
            if not missing:
                break
            found = self._ask(source, own_pids)
            new = {name: found[name] for name in missing if name in found}
            if new:
                values |= new
                told.append(source.name)
        self._values, self._told = values, told
        self._log_change()
        return values

    def state(self) -> SensorState:
        """Return whether the last reading saw anything."""
        works = any(value is not None for value in self._values.values())
        if works or self._values:
            words = self.describe(self._values) or self.unknown
            return SensorState(name=self.name, source=", ".join(self._told), works=works, words=words)
        reasons = dict.fromkeys(failure.words for failure in self._failures.values())
        remedies = [failure.remedy for failure in self._failures.values() if failure.remedy]
        return SensorState(
            name=self.name,
            source="",
            works=False,
            words="; ".join(reasons) or self.unknown,
            remedy=remedies[0] if remedies else self.remedy,
        )

    def close(self) -> None:
        """Close every source."""
        for source in self.sources:
            _close(source)

    def _ask(self, source: Source, own_pids: frozenset[int]) -> Mapping[str, Any]:
        failure = self._failures.get(source.name)
        if failure is not None and self.clock() < failure.retry_at:
            return {}
        try:
            found = source.read(own_pids)
        except UnavailableError as error:
            self._put_aside(source, error.words, error.remedy, lasting=error.lasting)
            return {}
        except Exception as error:  # noqa: BLE001 - a broken sensor is an unknown reading, whatever broke
            words = f"{source.name} failed ({type(error).__name__}: {error})"
            self._put_aside(source, words, "", lasting=False)
            return {}
        self._failures.pop(source.name, None)
        return found

    def _put_aside(self, source: Source, words: str, remedy: str, *, lasting: bool) -> None:
        before = self._failures.get(source.name)
        pause = self.retry_seconds
        if lasting:
            pause = self.lasting_seconds
        elif before is not None:
            pause = min(max(pause, 2 * before.pause_seconds), max(pause, LONGEST_RETRY_SECONDS))
        self._failures[source.name] = _Failure(words, remedy, pause, self.clock() + pause)
        _close(source)

    def _log_change(self) -> None:
        known = ", ".join(self._told) or "; ".join(f.words for f in self._failures.values()) or self.unknown
        if known != self._said:
            _log.info("sensor %s: %s", self.name, known)
            self._said = known


def _close(source: Source) -> None:
    try:
        source.close()
    except Exception as error:  # noqa: BLE001 - what is broken may also break while it is closed
        _log.debug("%s did not close: %s", source.name, error)
