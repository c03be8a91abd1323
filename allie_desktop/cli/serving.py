"""``allie serve``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, say

if TYPE_CHECKING:
    from socket import socket

_STDIN = 0


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command("serve")(serve)


def serve(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where to listen; 0 is any free port. Default: the setting."),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when the standard input ends.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let other programs on this computer chat with Allie, in OpenAI's protocol.

    It serves until Ctrl+C. Clients need the address, and the token from the token file as their API key.
    """
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        listener = _listen(program.preferences.api_port, port, with_parent=with_parent)
        token_file = program.paths.api_token
        server = program.chat_server(listener)

        def ready() -> None:
            if as_json:
                print_json({"url": server.url, "token_file": token_file})
            else:
                say(f"Allie listens at {server.url}/v1")
                say(f"The token for clients is in {token_file}")
                say("Stop with Ctrl+C.")
            if with_parent:
                _watch_stdin(server.stop)

        if not server.run(ready):
            # Whatever does not come back (native code, a slow disk) must not keep the process, and nothing
            # that it uses may be closed under it; all that was said is recorded.
            sys.stdout.flush()
            os._exit(0)


def _listen(preferred: int, asked: int | None, *, with_parent: bool) -> socket:
    """Return a bound socket. Who starts this program knows from its first line where it listens, and need not
    go without chat because another program has the usual port."""
    from allie_desktop.inference.api.server import PortTakenError, open_socket

    try:
        return open_socket(preferred if asked is None else asked)
    except PortTakenError:
        if asked is not None or not with_parent:
            raise
        return open_socket(0)


def _watch_stdin(on_end: Callable[[], None]) -> None:
    def watch() -> None:
        try:
            while os.read(_STDIN, 4096):
                pass
        except OSError:
            pass  # no standard input at all: nobody is there
        on_end()

    threading.Thread(target=watch, name="parent", daemon=True).start()
