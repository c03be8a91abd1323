"""The smallest Wayland compositor that knows idleness, written from the wire protocol.

It listens at the path given, prints "ready", and obeys lines on stdin: ``input`` is a key press, ``dumb``
hides the idle notifier from clients to come. Each notification counts idleness by its own timeout, from its
creation or the last input, as ``ext-idle-notify-v1`` has it. Prints "destroyed N" when a client is gone:
how many of its notifications and notifiers it had destroyed before.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

DISPLAY = 1
GLOBALS = {1: b"wl_seat", 2: b"ext_idle_notifier_v1"}


@dataclass(eq=False)
class Notification:
    """Somebody wants to know of idleness."""

    identity: int
    timeout: float
    since: float
    idle: bool = False


@dataclass(eq=False)
class Client:
    """A connection, and what its objects are."""

    connection: socket.socket
    kinds: dict[int, bytes] = field(default_factory=lambda: {DISPLAY: b"wl_display"})
    notifications: dict[int, Notification] = field(default_factory=dict)
    received: bytes = b""
    destroyed: int = 0

    def send(self, identity: int, opcode: int, body: bytes = b"") -> None:
        """Send an event."""
        with contextlib.suppress(ConnectionError):  # the client may have gone
            self.connection.sendall(struct.pack("=IHH", identity, opcode, 8 + len(body)) + body)

    def read(self, *, dumb: bool) -> bool:
        """Take what has come; False when the connection has ended."""
        try:
            data = self.connection.recv(4096)
        except ConnectionError:
            data = b""
        self.received += data
        while len(self.received) >= 8:
            identity, opcode, size = struct.unpack_from("=IHH", self.received)
            if len(self.received) < size:
                break
            self.obey(self.kinds[identity], identity, opcode, self.received[8:size], dumb=dumb)
            self.received = self.received[size:]
        return bool(data)

    def obey(self, kind: bytes, identity: int, opcode: int, body: bytes, *, dumb: bool) -> None:
        """Do what a request asks."""
        if (kind, opcode) == (b"wl_display", 0):  # sync
            (callback,) = struct.unpack("=I", body)
            self.send(callback, 0, struct.pack("=I", 1))
            self.send(DISPLAY, 1, struct.pack("=I", callback))
        elif (kind, opcode) == (b"wl_display", 1):  # get_registry
            (registry,) = struct.unpack("=I", body)
            self.kinds[registry] = b"wl_registry"
            for number, name in GLOBALS.items():
                if not (dumb and number == 2):
                    self.send(registry, 0, struct.pack("=I", number) + text(name) + struct.pack("=I", 1))
        elif kind == b"wl_registry":  # bind
            (number,) = struct.unpack_from("=I", body)
            (new,) = struct.unpack_from("=I", body, len(body) - 4)
            self.kinds[new] = GLOBALS[number]
        elif (kind, opcode) == (b"ext_idle_notifier_v1", 1):  # get_idle_notification
            new, timeout_ms, _ = struct.unpack("=III", body)
            self.kinds[new] = b"ext_idle_notification_v1"
            self.notifications[new] = Notification(new, timeout_ms / 1000, time.monotonic())
        elif kind.startswith(b"ext_idle"):  # destroy
            self.notifications.pop(identity, None)
            self.destroyed += 1
            self.send(DISPLAY, 1, struct.pack("=I", identity))


def text(value: bytes) -> bytes:
    """Return a string's form on the wire."""
    whole = value + b"\0"
    return struct.pack("=I", len(whole)) + whole + b"\0" * (-len(whole) % 4)


def tell(clients: list[Client], *, input_came: bool) -> None:
    """Tell everybody whose state has changed."""
    now = time.monotonic()
    for client in clients:
        for notification in client.notifications.values():
            if input_came:
                notification.since = now
                if notification.idle:
                    client.send(notification.identity, 1)
                notification.idle = False
            elif not notification.idle and now - notification.since >= notification.timeout:
                notification.idle = True
                client.send(notification.identity, 0)


def main() -> None:
    selector = selectors.DefaultSelector()
    clients: list[Client] = []
    dumb = False
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen()
        selector.register(server, selectors.EVENT_READ)
        selector.register(sys.stdin.buffer.raw, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select(0.01):
                if key.fileobj is server:
                    client = Client(server.accept()[0])
                    clients.append(client)
                    selector.register(client.connection, selectors.EVENT_READ, client)
                elif key.data is not None:
                    if not key.data.read(dumb=dumb):
                        selector.unregister(key.data.connection)
                        key.data.connection.close()
                        clients.remove(key.data)
                        print(f"destroyed {key.data.destroyed}", flush=True)
                else:
                    line = sys.stdin.buffer.raw.readline()
                    if not line:
                        return
                    dumb = dumb or line == b"dumb\n"
                    tell(clients, input_came=line == b"input\n")
            tell(clients, input_came=False)


if __name__ == "__main__":
    main()
