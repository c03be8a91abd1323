"""Who else is at the computer: remote logins, another person's session in front of ours, the lock."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any

from allie_desktop.sensors.logind import Logind
from allie_desktop.sensors.sensor import UnavailableError

_REMOTE_VARIABLES = ("SSH_CONNECTION", "XRDP_SESSION", "X2GO_SESSION")
_SM_REMOTESESSION = 0x1000

#: A field of this package only: the registry makes the idle time Unknown when another person's session is
#: in front, since our own counter cannot see that person.
OTHER_PERSON = "other_person"
#: Also of this package only: nobody watches a full-screen program behind a locked screen.
LOCKED = "locked"


class LogindPresence:
    """:class:`sensors.sensor.Source` of ``remote_session``, ``other_person`` and ``locked``."""

    name = "logind"

    def __init__(self, logind: Logind | None = None) -> None:
        self._logind = logind or Logind()

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        sessions = self._logind.sessions()
        own = self._logind.own_of(sessions)
        others = [s for s in sessions if own is None or s.name != own.name]
        in_front = any(
            s.active and s.seat and not s.remote and s.uid != (None if own is None else own.uid)
            for s in others
        )
        found: dict[str, Any] = {
            "remote_session": any(s.remote and not s.closing for s in sessions),
            OTHER_PERSON: in_front,
        }
        if own is not None:
            found[LOCKED] = own.locked
        return found

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._logind.close()


class LoginRecords:
    """:class:`sensors.sensor.Source` of ``remote_session`` from the list of who is logged in, and from the
    environment. An empty list says nothing: many systems keep none any more."""

    name = "the list of logins"

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        if any(self._environment.get(name) for name in _REMOTE_VARIABLES):
            return {"remote_session": True}
        import psutil

        hosts = [user.host or "" for user in psutil.users()]
        if not hosts:
            raise UnavailableError("the system keeps no list of logins", lasting=True)
        local = ("", "localhost", "login screen")
        return {"remote_session": any(h not in local and not h.startswith((":", "tty")) for h in hosts)}

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""


class WindowsRemoteSession:
    """:class:`sensors.sensor.Source` of ``remote_session`` on Windows. Tested on faked calls only."""

    name = "GetSystemMetrics"

    def __init__(self, *, user32: Any = None) -> None:
        self._user32 = user32

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        if self._user32 is None:
            loader = getattr(ctypes, "WinDLL", None)
            if loader is None:
                raise UnavailableError("this is not Windows", lasting=True)
            self._user32 = loader("user32")
        return {"remote_session": bool(self._user32.GetSystemMetrics(_SM_REMOTESESSION))}

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
