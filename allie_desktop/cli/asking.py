"""``allie ask``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, say, say_piece
from allie_desktop.domain.errors import BadInputError


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command("ask")(ask)


def ask(
    prompt: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="What to ask.")] = None,
    version: Annotated[
        str | None, typer.Option(help="The version to ask, or base for the untouched model.")
    ] = None,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Always the likeliest word: the same answer every time.")
    ] = False,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, max=1_000_000, help="Longest answer, in tokens.")
    ] = 256,
    from_stdin: Annotated[
        bool, typer.Option("--stdin", help="Read prompts from the standard input, one a line.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask one question, outside any conversation. Nothing is recorded.

    The engine is that of chat. With --stdin there is one answer for each line, in order; an empty line has an
    empty answer.
    """
    from allie_desktop import bootstrap
    from allie_desktop.inference.prompts import PromptTooLongError

    if from_stdin and prompt is not None:
        raise BadInputError("Give a prompt or --stdin, not both.", "See allie ask --help.")
    if not from_stdin and (prompt is None or not prompt.strip()):
        raise BadInputError("There is no question.", 'Ask one: allie ask "What is my dog\'s name?"')
    prompts = _lines_of_stdin() if from_stdin else [prompt or ""]
    with bootstrap.open_program() as program:
        try:
            answers = program.answerer().ask(
                prompts,
                version=version,
                greedy=greedy,
                max_tokens=max_tokens,
                heard=None if as_json or from_stdin else say_piece,
            )
        except PromptTooLongError as error:
            if not from_stdin:
                raise
            raise BadInputError(f"Line {error.index + 1}: {error.message}", error.remedy) from error
    if as_json:
        print_json(answers if from_stdin else answers[0])
        return
    if not from_stdin:
        say()  # it was said as it came; this ends its last line
        return
    for answer in answers:
        say(" ".join(answer.answer.split()))  # one line in, one line out


def _lines_of_stdin() -> list[str]:
    if sys.stdin is None or sys.stdin.isatty():
        raise BadInputError(
            "There is nothing on the standard input.", "Pipe a text into it: allie ask --stdin < prompts.txt"
        )
    try:
        # utf-8-sig: a file from Windows may begin with a mark that is no part of the first prompt.
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line(error)
        raise BadInputError(
            f"Line {line} of the standard input is not UTF-8 text.", "Save the prompts as UTF-8."
        ) from error
    if "\x00" in text:
        raise BadInputError("The standard input is not text.", "Give it prompts, one a line.")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _line(error: UnicodeDecodeError) -> int:
    """Return the line, counted from 1, where decoding failed."""
    return error.object[: error.start].count(b"\n") + 1
