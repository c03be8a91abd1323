"""What the command line prints: words for people, or one JSON document for scripts.

Words for people go through rich, which knows about terminals; without a terminal lines are plain and
not cut to eighty columns, so that a log or a pipe gets all of it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from allie_desktop.domain.errors import AllieError

#: The option that every command has.
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_PIPE_COLUMNS = 240

#: Control characters (but newline and tab) and bidirectional overrides: an imported text may hold them,
#: and a terminal would obey.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _Stdout:
    """Where JSON goes when stdout was reserved for it."""

    reserved: IO[bytes] | None = None


def reserve_stdout_for_json() -> None:
    """Send everything that any library prints to stderr from now on; :func:`print_json` alone keeps
    stdout. Works on the file descriptor, so that native code is caught as well."""
    sys.stdout.flush()
    _Stdout.reserved = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)


def print_json(document: object) -> None:
    """Print one JSON document (dataclasses, enums, times and paths included) as one line."""
    data = to_json(document) + b"\n"
    if _Stdout.reserved is not None:
        _Stdout.reserved.write(data)
        _Stdout.reserved.flush()
    else:
        sys.stdout.write(data.decode())
        sys.stdout.flush()


def to_json(document: object) -> bytes:
    """Return ``document`` as UTF-8 JSON. Not-a-number becomes null, a lone surrogate an escape."""
    import msgspec

    try:
        return msgspec.json.encode(document, enc_hook=_plain)
    except UnicodeEncodeError:
        # Imported texts may hold half a surrogate pair, which UTF-8 cannot say but a JSON escape can.
        return json.dumps(msgspec.to_builtins(document, enc_hook=_plain)).encode("ascii")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise NotImplementedError(f"no JSON form for {type(value).__name__}")


def print_error(error: AllieError, *, as_json: bool, exit_code: int | None = None) -> None:
    """Print a known problem: a sentence and its remedy."""
    if as_json:
        code = error.exit_code if exit_code is None else exit_code
        print_json({"error": {"message": error.message, "remedy": error.remedy, "exit_code": code}})
    else:
        say_aside(str(error))


def say(text: str = "") -> None:
    """Print a line for a person to stdout."""
    print(_printable(text, sys.stdout), flush=True)


def say_piece(text: str) -> None:
    """Print a part of what is said to stdout, and nothing after it."""
    print(_printable(text, sys.stdout), end="", flush=True)


def say_aside(text: str) -> None:
    """Print a line for a person to stderr."""
    print(_printable(text, sys.stderr), file=sys.stderr, flush=True)


def _printable(text: str, stream: IO[str]) -> str:
    """Return ``text`` as ``stream`` can show it, without characters that would steer a terminal."""
    clean = _STEERING.sub("\ufffd", text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return clean.encode(encoding, "replace").decode(encoding)


def console(*, stderr: bool = False) -> Console:
    """Return a rich console as wide as the terminal, or wide enough for a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print a table for a person."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    terminal = sys.stdout.isatty()
    table = Table(
        title=title or None,
        title_justify="left",
        box=_box() if terminal else None,
        header_style="bold",
        expand=False,
        show_edge=False,
        pad_edge=False,
    )
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(str(cell), sys.stdout)) for cell in row))
    out.print(table)


def _box() -> Any:
    from rich import box

    return box.SIMPLE_HEAD
