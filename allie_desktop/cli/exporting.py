"""``allie export-version``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, say


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command("export-version")(export_version)


def export_version(
    version: Annotated[str, typer.Argument(help="The version, as in `allie versions`.")],
    folder: Annotated[Path, typer.Argument(help="Where to write it; a new or an empty folder.")],
    form: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="FORM",
            help="peft, merged (safetensors), gguf (a LoRA for llama.cpp), ollama or lmstudio.",
        ),
    ] = "peft",
    as_json: JsonOption = False,
) -> None:
    """Write a version for other programs.

    The folder needs neither Allie nor anything else on this disk. It knows what the version learned.
    """
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        done = program.export_version(version, folder, form)
    if as_json:
        print_json(done)
    else:
        say(f"{done.version} written to {done.folder} ({done.size_bytes / 1e6:,.0f} MB).")
        say(done.use)
