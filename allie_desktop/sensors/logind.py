"""The login sessions of this computer, as logind knows them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allie_desktop.sensors.bus import Bus

_SERVICE = "org.freedesktop.login1"
_GRAPHICAL = frozenset({"x11", "wayland", "mir"})
#: A greeter and a service's session are no person.
_PERSON = frozenset({"user", "user-early", "user-light"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login session. ``idle_since`` is a wall-clock time in seconds, None when it is not called idle."""

    name: str
    uid: int
    seat: str
    kind: str
    active: bool
    closing: bool
    remote: bool
    locked: bool
    idle_since: float | None


class Logind:
    """Questions to logind; all raise :class:`UnavailableError` when it does not answer."""

    def __init__(
        self, bus: Bus | None = None, *, environment: Mapping[str, str] | None = None, uid: int | None = None
    ) -> None:
        self._bus = bus or Bus("SYSTEM")
        self._environment = os.environ if environment is None else environment
        self._uid = os.getuid() if uid is None else uid

    def sessions(self) -> tuple[Session, ...]:
        """Return the sessions of persons."""
        (listed,) = self._bus.call(_SERVICE, "/org/freedesktop/login1", f"{_SERVICE}.Manager", "ListSessions")
        found = []
        for name, uid, _, seat, path in listed:
            values = self._bus.properties(_SERVICE, path, f"{_SERVICE}.Session")
            if values.get("Class", "user") in _PERSON:
                found.append(_session(name, uid, seat, values))
        return tuple(found)

    def own_session(self) -> Session | None:
        """Return the session that this program belongs to, None when there is none."""
        return self.own_of(self.sessions())

    def own_of(self, sessions: tuple[Session, ...]) -> Session | None:
        """Return which of ``sessions`` is our own: the named one, else our user's graphical one."""
        name = self._environment.get("XDG_SESSION_ID")
        ours = [s for s in sessions if s.uid == self._uid and not s.closing]
        named = [s for s in ours if s.name == name]
        # A program that a user service started names no session; the newest graphical one is where it shows.
        graphical = [s for s in ours if s.kind in _GRAPHICAL]
        return next(iter(named or sorted(graphical, key=lambda s: s.active, reverse=True) or ours), None)

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        self._bus.close()


def _session(name: str, uid: int, seat: str, values: Mapping[str, Any]) -> Session:
    idle_since = int(values.get("IdleSinceHint", 0)) / 1e6 if values.get("IdleHint") else None
    return Session(
        name=name,
        uid=uid,
        seat=seat,
        kind=str(values.get("Type", "")),
        active=bool(values.get("Active")),
        closing=values.get("State") == "closing",
        remote=bool(values.get("Remote")),
        locked=bool(values.get("LockedHint")),
        idle_since=idle_since,
    )
