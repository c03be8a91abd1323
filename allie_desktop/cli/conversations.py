"""``allie conversations``: the person's own data, to look at, to judge and to take back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, print_table, say
from allie_desktop.domain.conversation import Rating, Role
from allie_desktop.domain.errors import BadInputError

if TYPE_CHECKING:
    from allie_desktop.domain.ports import Assessed

conversations = typer.Typer(
    help="Look at, rate, correct, leave out and forget conversations.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")]
_TurnOption = Annotated[
    int | None,
    typer.Option("--turn", min=1, help="Which turn, as `show` numbers them. Default: the last answer."),
]
_IDS_SHOWN = 5
_RATINGS: dict[str, Rating | None] = {"up": 1, "1": 1, "+1": 1, "down": -1, "-1": -1, "none": None, "0": None}


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(conversations, name="conversations")


@conversations.command("list")
def list_conversations(
    search: Annotated[str, typer.Option(help="Only those with these words.")] = "",
    source: Annotated[str, typer.Option(help="Only those from this source.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="How many to leave out first.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """List conversations, newest first."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        rows = program.conversations.rows(limit=limit, offset=offset, search=search, source=source)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("No conversations." if not (search or source) else "No conversation fits.")
        return
    table = [
        (
            row.id[:36],
            f"{row.created_at.astimezone():%Y-%m-%d %H:%M}",
            row.source,
            row.turns,
            f"{row.score:.2f}",
            _fate(eligible=row.eligible, excluded=row.excluded, learned=row.learned),
            _shortened(row.title),
        )
        for row in rows
    ]
    print_table(("Id", "When", "Source", "Turns", "Quality", "Learning", "Title"), table)


@conversations.command()
def show(conversation_id: _IdArgument, as_json: JsonOption = False) -> None:
    """Show a conversation, how good it is as material and why."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        assessed = program.conversations.get(conversation_id)
    if as_json:
        print_json(assessed_document(assessed))
    else:
        _tell(assessed)


@conversations.command()
def rate(
    conversation_id: _IdArgument,
    rating: Annotated[str, typer.Argument(help="up, down or none.")],
    turn: _TurnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether an answer was good."""
    from allie_desktop import bootstrap

    if rating.lower() not in _RATINGS:
        raise BadInputError(f"{rating[:40]!r} is not a rating.", "Say up, down or none.")
    with bootstrap.open_program() as program:
        index = _answer_index(program.conversations.get(conversation_id), turn)
        assessed = program.collector().rate(conversation_id, index, _RATINGS[rating.lower()])
    _report(assessed, "Noted.", as_json=as_json)


@conversations.command()
def correct(
    conversation_id: _IdArgument,
    text: Annotated[str, typer.Argument(help="What the answer should have been; empty takes it back.")],
    turn: _TurnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an answer should have been. Nothing teaches Allie more."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        index = _answer_index(program.conversations.get(conversation_id), turn)
        assessed = program.collector().correct(conversation_id, index, text)
    _report(assessed, "Noted." if text.strip() else "The correction is taken back.", as_json=as_json)


@conversations.command()
def exclude(conversation_id: _IdArgument, as_json: JsonOption = False) -> None:
    """Keep a conversation, but never learn from it."""
    _set_excluded(conversation_id, excluded=True, as_json=as_json)


@conversations.command()
def include(conversation_id: _IdArgument, as_json: JsonOption = False) -> None:
    """Let Allie learn from an excluded conversation again."""
    _set_excluded(conversation_id, excluded=False, as_json=as_json)


def _set_excluded(conversation_id: str, *, excluded: bool, as_json: bool) -> None:
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        found = program.collector().exclude(conversation_id, excluded=excluded)
    if as_json:
        print_json({"id": found, "excluded": excluded})
    else:
        say("Allie will not learn from it." if excluded else "Allie may learn from it again.")


@conversations.command()
def held(as_json: JsonOption = False) -> None:
    """List what is held back because its source changed suddenly."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        holds = program.quarantine.review()
    if as_json:
        print_json(holds)
        return
    for hold in holds:
        say(f"{hold.key}: {len(hold.ids):,} conversations, {hold.reason}.")
        for name in hold.ids[:_IDS_SHOWN]:
            say(f"  {name}")
        if len(hold.ids) > _IDS_SHOWN:
            say(f"  and {len(hold.ids) - _IDS_SHOWN:,} more")
    if holds:
        say(
            "`allie conversations show ID` shows one. `allie conversations release NAME` lets Allie learn from all "
            "of a day, `allie conversations leave-out NAME` never."
        )
    else:
        say("Nothing is held back.")


@conversations.command()
def release(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `held` lists it, in quotes.")],
    as_json: JsonOption = False,
) -> None:
    """Let Allie learn from what was held back."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        hold = program.quarantine.release(name)
    if as_json:
        print_json({"name": hold.key, "released": len(hold.ids)})
    else:
        say(f"Allie may learn from these {len(hold.ids):,} conversations.")


@conversations.command("leave-out")
def leave_out(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `held` lists it, in quotes.")],
    as_json: JsonOption = False,
) -> None:
    """Never learn from what was held back."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        hold = program.quarantine.leave_out(name)
    if as_json:
        print_json({"name": hold.key, "left_out": len(hold.ids)})
    else:
        say(f"Allie will not learn from these {len(hold.ids):,} conversations.")


@conversations.command()
def forget(
    conversation_id: _IdArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a conversation for good, and mark the versions that learnt from it."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        found = program.conversations.get(conversation_id).conversation
        if not yes and not as_json and sys.stdin is not None and sys.stdin.isatty():
            typer.confirm(f"Forget “{_shortened(found.title or found.id)}” for good?", abort=True)
        versions = program.forget(found.id)
        rebuild = program.wish_to_rebuild()
    if as_json:
        print_json({"id": found.id, "forgotten": True, "versions": versions})
        return
    say("Forgotten.")
    if versions:
        say(f"It was learnt by {', '.join(versions)}; these versions are marked.")
    if rebuild is not None:
        say("The next episode builds a version without it; `allie learn` does so now.")


def assessed_document(assessed: Assessed) -> dict[str, object]:
    """Return what ``show --json`` prints."""
    conversation = assessed.conversation
    return {
        "id": conversation.id,
        "created_at": conversation.created_at,
        "source": conversation.source,
        "title": conversation.title,
        "turns": conversation.turns,
        "quality": assessed.quality,
        "targets": assessed.targets,
        "split": assessed.split,
        "topic": assessed.topic,
        "content_hash": assessed.content_hash,
    }


def _answer_index(assessed: Assessed, turn: int | None) -> int:
    """Return the index (from 0) of the assistant turn that ``turn`` (from 1) or nothing means."""
    turns = assessed.conversation.turns
    answers = [i for i, t in enumerate(turns) if t.role is Role.ASSISTANT]
    if not answers:
        raise BadInputError("This conversation has no answer to judge.", "Choose another conversation.")
    if turn is None:
        return answers[-1]
    if turn - 1 not in answers:
        numbers = ", ".join(str(i + 1) for i in answers[:20])
        raise BadInputError(f"Turn {turn} is not an answer.", f"The answers are: {numbers}.")
    return turn - 1


def _report(assessed: Assessed, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(assessed_document(assessed))
    else:
        say(f"{words} Its quality is {assessed.quality.score:.2f} now.")


def _tell(assessed: Assessed) -> None:
    conversation, quality = assessed.conversation, assessed.quality
    say(f"{conversation.title or conversation.id}")
    say(f"{conversation.id} · {conversation.created_at.astimezone():%Y-%m-%d %H:%M} · {conversation.source}")
    eligible = "good enough to learn from" if quality.eligible else "not used for learning"
    say(f"Quality {quality.score:.2f}, {eligible}.")
    for reason in quality.reasons:
        say(f"  {reason}")
    for number, turn in enumerate(conversation.turns, 1):
        mark = {1: " 👍", -1: " 👎", None: ""}[turn.rating]
        say(f"\n[{number}] {turn.role.value}{mark}\n{turn.content}")
        if turn.correction is not None:
            say(f"→ should have been: {turn.correction}")


def _fate(*, eligible: bool, excluded: bool, learned: bool) -> str:
    if excluded:
        return "left out"
    if learned:
        return "learnt"
    return "new" if eligible else "not used"


def _shortened(title: str, length: int = 60) -> str:
    line = " ".join(title.split())
    return line if len(line) <= length else line[: length - 1] + "…"
