"""Questions to programs on the D-Bus, with a time limit, over connections that open again when they broke."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

from allie_desktop.sensors.sensor import UnavailableError

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection

#: A healthy answer takes a millisecond. Asked from a thread of their own, so this blocks nobody else.
TIMEOUT_SECONDS = 0.5

_NOT_THERE = frozenset({"NameHasNoOwner", "ServiceUnknown"})


class Bus:
    """The system's or the session's bus, for one thread at a time. Starts no services: who is not running
    is not asked."""

    def __init__(self, kind: Literal["SYSTEM", "SESSION"]) -> None:
        self._kind = kind
        self._connection: DBusConnection | None = None

    def call(
        self, service: str, path: str, interface: str, method: str, signature: str = "", *arguments: object
    ) -> tuple[Any, ...]:
        """Return what a method answers; raise :class:`UnavailableError` when nobody does."""
        from jeepney import DBusAddress, DBusErrorResponse, MessageFlag, new_method_call
        from jeepney.wrappers import unwrap_msg

        address = DBusAddress(path, bus_name=service, interface=interface)
        message = new_method_call(address, method, signature or None, arguments)
        message.header.flags |= MessageFlag.no_auto_start
        connection = self._open()
        try:
            answer: tuple[Any, ...] = unwrap_msg(
                connection.send_and_get_reply(message, timeout=TIMEOUT_SECONDS)
            )
        except DBusErrorResponse as error:
            reason = error.name.rpartition(".")[2]
            words = "is not running" if reason in _NOT_THERE else f"does not answer ({reason})"
            raise UnavailableError(f"{service} {words}") from error
        except (OSError, TimeoutError) as error:
            self.close()
            raise UnavailableError(f"{service} does not answer") from error
        return answer

    def property(self, service: str, path: str, interface: str, name: str) -> Any:
        """Return a property's value; raise :class:`UnavailableError`."""
        properties = "org.freedesktop.DBus.Properties"
        (_, value), *_ = self.call(service, path, properties, "Get", "ss", interface, name)
        return value

    def properties(self, service: str, path: str, interface: str) -> dict[str, Any]:
        """Return all properties of an interface; raise :class:`UnavailableError`."""
        answer, *_ = self.call(service, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface)
        return {name: value for name, (_, value) in answer.items()}

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, ValueError):
                connection.close()

    def _open(self) -> DBusConnection:
        if self._connection is None:
            try:
                from jeepney.io.blocking import open_dbus_connection
            except ImportError as error:
                raise UnavailableError(
                    "jeepney is not installed", "Run packaging/bootstrap.py again.", lasting=True
                ) from error
            try:
                self._connection = open_dbus_connection(self._kind, auth_timeout=TIMEOUT_SECONDS)
            except (OSError, KeyError, RuntimeError, ValueError) as error:
                raise UnavailableError(f"there is no D-Bus {self._kind.lower()} bus") from error
        return self._connection
