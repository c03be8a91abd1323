"""``allie status`` and ``allie doctor``: what there is, and whether it is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from allie_desktop.cli.output import JsonOption, print_json, say
from allie_desktop.cli.versions import rollout_document
from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.lifecycle import Episode
from allie_desktop.domain.rollout import Stage
from allie_desktop.domain.versions import BASE

if TYPE_CHECKING:
    from allie_desktop.bootstrap import Program
    from allie_desktop.domain.conditions import Decision
    from allie_desktop.domain.ports import MaterialCounts
    from allie_desktop.services.rollout import RolloutStatus


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(status)
    app.command()(doctor)


def status(as_json: JsonOption = False) -> None:
    """Show what there is to learn from, what holds learning, and what was learnt last."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        counts = program.conversations.counts()
        latest = program.episodes.latest(limit=1)
        last = latest[0] if latest else None
        decision = program.decision()
        active, rollout, trouble = _active(program)
        warnings = program.settings.warnings
        alerts = program.alerts.open()
    if as_json:
        print_json(
            {
                "counts": counts,
                "may_learn": decision.start,
                "holds": decision.holds,
                "reasons": decision.reasons,
                "notes": decision.notes,
                "last_episode": None if last is None else episode_document(last),
                "active": active,
                "rollout": None if rollout is None else rollout_document(rollout),
                "alerts": alerts,
                "problems": [*warnings, *trouble],
            }
        )
        return
    _tell(counts, decision, last, active)
    if rollout is not None and rollout.record.stage is not Stage.HEALTHY:
        say(rollout.words)
    for alert in alerts:
        say(f"{alert.message} {alert.remedy}".strip())
    for problem in (*warnings, *trouble):
        say(f"Problem: {problem}")


def doctor(as_json: JsonOption = False) -> None:
    """Look at everything that Allie needs, and say what is wrong and what to do about it."""
    from allie_desktop import bootstrap
    from allie_desktop.cli.diagnosis import diagnose, lines

    with bootstrap.open_unprepared() as program:
        found = diagnose(program)
    if as_json:
        print_json(found)
    else:
        for line in lines(found):
            say(line)
    if found.problems:
        raise typer.Exit(AllieError.exit_code)


def episode_document(episode: Episode) -> dict[str, object]:
    """Return an episode as ``--json`` prints it."""
    return {
        "id": episode.id,
        "created_at": episode.created_at,
        "finished_at": episode.finished_at,
        "state": episode.state,
        "trigger": episode.trigger,
        "verdict": episode.verdict,
        "reasons": episode.reasons,
        "version": episode.version,
        "parent": episode.parent or BASE,
        "conversations": episode.conversations,
        "attempts": episode.attempts,
        "seconds": episode.seconds,
    }


def _active(program: Program) -> tuple[str | None, RolloutStatus | None, list[str]]:
    """Return the active version and how it takes over; a broken base model must not hide everything else."""
    try:
        return program.versions.pointer().active, program.rollout.status(), []
    except AllieError as error:
        return None, None, [str(error)]


def _tell(counts: MaterialCounts, decision: Decision, last: Episode | None, active: str | None) -> None:
    say(
        f"{counts.conversations:,} conversations: {counts.eligible_new:,} new to learn from "
        f"({counts.taught_new:,} with corrections, average quality {counts.eligible_new_quality:.2f}), "
        f"{counts.learned:,} learnt, {counts.excluded:,} left out."
    )
    if decision.start:
        say("Ready to learn: `allie learn` starts an episode.")
    for hold in decision.holds:
        say(hold.words)
    if last is None:
        say("No episode so far.")
    else:
        when = last.finished_at or last.created_at
        said = f": {last.reasons[0]}" if last.reasons else ""
        say(f"Last episode: {last.state.value}, {when.astimezone():%Y-%m-%d %H:%M}{said}")
    if active is not None:
        say("The base model answers." if active == BASE else f"{active} answers.")
