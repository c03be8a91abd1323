"""The whole command line, joined from its families, and what happens when a command fails."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from allie_desktop import __version__
from allie_desktop.cli import (
    asking,
    conversations,
    demonstration,
    desktop,
    exporting,
    importing,
    learning,
    models,
    overview,
    preferences,
    serving,
    versions,
)
from allie_desktop.cli.output import print_error, reserve_stdout_for_json, say
from allie_desktop.domain.errors import AllieError

_HELP = """A local AI that learns from your conversations while you are away.

Everything stays on this machine. Exit codes: 0 done, 1 failed, 2 bad usage or bad input, 3 the new
version was not good enough to use, 4 held."""

app = typer.Typer(
    name="allie",
    help=_HELP,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs twice the time of the whole command
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"allie {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    del version


# The order of this list is the order of `allie --help`.
desktop.register(app)
importing.register(app)
learning.register(app)
overview.register(app)
versions.register(app)
exporting.register(app)
asking.register(app)
serving.register(app)
conversations.register(app)
preferences.register(app)
models.register(app)
demonstration.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Never raises, never prints a traceback."""
    as_json = _wants_json(arguments)
    if as_json:
        reserve_stdout_for_json()
    try:
        code = get_command(app).main(args=list(arguments), prog_name="allie", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except AllieError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except typer.TyperException as error:
        return _report_usage(error, as_json=as_json)
    except typer.Abort:
        print_error(AllieError("Nothing was done."), as_json=as_json)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno == errno.EPIPE:
            return _leave_closed_pipe()
        return _report_unexpected(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, the log gets the rest
        return _report_unexpected(error, as_json=as_json)


def _wants_json(arguments: Sequence[str]) -> bool:
    before_free_text = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before_free_text


def _report_usage(error: typer.TyperException, *, as_json: bool) -> int:
    message = error.format_message().strip()
    if not as_json:
        show = getattr(error, "show", None)
        if show is not None:
            show()
        return error.exit_code
    message = message if message.endswith((".", "!", "?")) else message + "."
    usage = AllieError(message or "The command is not complete.", "See the command's --help.")
    print_error(usage, as_json=True, exit_code=error.exit_code)
    return error.exit_code


def _leave_closed_pipe() -> int:
    """The reader (``| head``) has all it wanted. Python would complain once more while it shuts down."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return 1  # as typer does inside of commands


def _report_unexpected(error: Exception, *, as_json: bool) -> int:
    import logging

    from allie_desktop import bootstrap

    where = bootstrap.log_to_file()
    logging.getLogger(__name__).error("unexpected error", exc_info=error)
    if where is not None:
        remedy = f"The details are in {where}; please report them."
    else:
        remedy = f"It was a {type(error).__name__}: {error}"
    print_error(AllieError("Something went wrong that Allie did not expect.", remedy), as_json=as_json)
    return 1
