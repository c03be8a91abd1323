"""``allie gui``, the tray application, and the hidden commands that it starts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from allie_desktop.domain.errors import AllieError


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(gui)
    app.command(hidden=True)(probe)
    app.command(hidden=True)(store)


def gui(
    show: Annotated[
        str | None, typer.Option("--show", metavar="PAGE", help="Open the window: chat, history, settings, …")
    ] = None,
    end: Annotated[bool, typer.Option("--quit", help="End the Allie that is running.")] = False,
    no_tray_wait: Annotated[
        bool, typer.Option("--no-tray-wait", help="Open the window at once where there is no tray.")
    ] = False,
) -> None:
    """Start the tray application, or open the window of the one that runs."""
    from allie_desktop.cli.desktop_start import start

    raise typer.Exit(start(show=show, end=end, no_tray_wait=no_tray_wait))


def probe(adapter: Annotated[Path, typer.Argument()]) -> None:
    """Try whether an adapter really answers, at the lowest priority; prints JSON."""
    from allie_desktop import bootstrap
    from allie_desktop.ipc.priority import lower_own_priority

    lower_own_priority()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    code = 0
    try:
        with bootstrap.open_program() as program:
            said: dict[str, object] = {"answers": program.probe.probe(adapter)}
    except AllieError as error:
        said = {"message": error.message, "remedy": error.remedy, "kind": type(error).__name__}
        code = error.exit_code
    out.write(json.dumps(said))
    out.close()
    raise typer.Exit(code)


def store() -> None:
    """Make the store, or bring it up to date."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        program.database.checkpoint()
