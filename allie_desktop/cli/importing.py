"""``allie import`` and ``allie export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, say, say_aside
from allie_desktop.domain.conversation import ImportSummary, Refusal
from allie_desktop.domain.errors import BadInputError, ImportFileError

_SHOWN_REFUSALS = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command("import")(import_files)
    app.command("export")(export)


def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Files, zips or folders to read.")],
    file_format: Annotated[
        str, typer.Option("--format", help="The format of the files; auto finds it out.")
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Read conversations from other programs.

    What was imported before adds nothing. A bad line is refused with its reason and the rest goes in.
    """
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        imported = duplicates = 0
        refused: list[Refusal] = []
        unusable = 0
        bootstrap.check_format(file_format)
        for name in files:
            try:
                summary = program.import_file(Path(name), file_format)
            except ImportFileError as error:
                # One bad file must not keep the others out.
                unusable += 1
                refused.append(Refusal(file=name, line=None, reason=str(error)))
                continue
            imported += summary.imported
            duplicates += summary.duplicates
            refused.extend(summary.refused)
    total = ImportSummary(imported=imported, duplicates=duplicates, refused=tuple(refused))
    if as_json:
        print_json(total)
    else:
        _tell(total)
    if unusable or (refused and not imported and not duplicates):
        raise typer.Exit(BadInputError.exit_code)


def _tell(summary: ImportSummary) -> None:
    say(
        f"{_count(summary.imported, 'new conversation')}, {summary.duplicates:,} known already, "
        f"{len(summary.refused):,} refused."
    )
    for refusal in summary.refused[:_SHOWN_REFUSALS]:
        where = refusal.file if refusal.line is None else f"{refusal.file}, line {refusal.line}"
        say_aside(f"  {where}: {refusal.reason}")
    if len(summary.refused) > _SHOWN_REFUSALS:
        say_aside(f"  … and {len(summary.refused) - _SHOWN_REFUSALS:,} more; --json lists them all.")


def export(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where to write; a dash or nothing is the terminal.")
    ] = "-",
    source: Annotated[str, typer.Option(help="Only conversations from this source.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write all conversations as JSON Lines, with everything that Allie knows of them.

    The file can be imported again. With --json the number of conversations is printed, so a FILE is
    needed.
    """
    from allie_desktop import bootstrap

    to_terminal = file == "-"
    if to_terminal and as_json:
        raise BadInputError(
            "With --json the export needs a file to go to.", "Name one: allie export FILE --json."
        )
    with bootstrap.open_program() as program:
        if to_terminal:
            sys.stdout.flush()
            program.export_to(sys.stdout.buffer, source=source)
            sys.stdout.buffer.flush()
            return
        count = program.export_to_file(Path(file), source=source)
    if as_json:
        print_json({"exported": count, "file": str(Path(file).resolve())})
    else:
        say(f"{_count(count, 'conversation')} written to {file}.")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
