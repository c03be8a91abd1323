"""``allie learn``, ``allie report`` and the hidden ``allie worker``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, say, say_aside
from allie_desktop.domain.errors import BadInputError, EpisodeBusyError, HeldError
from allie_desktop.domain.lifecycle import EpisodeState

if TYPE_CHECKING:
    from allie_desktop.bootstrap import Program
    from allie_desktop.services.episode_result import EpisodeResult

#: The outcome of a call that started nothing.
HELD = "held"

_EXIT_CODES = {
    EpisodeState.COMPLETED.value: 0,
    EpisodeState.FAILED.value: 1,
    EpisodeState.REJECTED.value: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnResult:
    """What ``allie learn --json`` prints. ``outcome`` is a final state of the episode, "yielded" when it
    waits with a checkpoint, or "held" when none was started. Seconds; ``phases`` over all resumptions."""

    outcome: str
    version: str | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    episode: str | None = None
    remedy: str = ""

    @property
    def exit_code(self) -> int:
        """0 deployed, 1 failed, 3 the gate did not deploy, 4 held, waiting or stopped."""
        return _EXIT_CODES.get(self.outcome, HeldError.exit_code)

    @classmethod
    def of(cls, result: EpisodeResult) -> LearnResult:
        """Return an episode's result in the form of the contract."""
        return cls(
            outcome=result.outcome.value,
            version=result.version,
            verdict=result.verdict,
            reasons=result.reasons,
            metrics=result.metrics,
            seconds=result.seconds,
            phases=result.phases,
            episode=result.episode_id,
            remedy=result.remedy,
        )


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(learn)
    app.command()(report)
    app.command(hidden=True)(worker)


def learn(
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait for more material or for the time.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Learn from new conversations: one episode, here and now.

    Ctrl+C stops it with a checkpoint; the next `allie learn` goes on from there.
    """
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        program.keep_safe()  # who never opens the tray app has backups all the same
        result = run_episode(program, learn_now=now)
    if as_json:
        print_json(result)
    else:
        tell_result(result)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def run_episode(program: Program, *, learn_now: bool) -> LearnResult:
    """Run or go on with one episode, with progress on stderr; what holds it is a result, too."""
    from allie_desktop.cli.progress import EpisodeProgress
    from allie_desktop.services.forgetting import REBUILD
    from allie_desktop.services.signals import yield_on_signals

    decision = program.decision(learn_now=learn_now)
    if not decision.start:
        return LearnResult(
            outcome=HELD,
            reasons=tuple(hold.words for hold in decision.holds),
            remedy="" if any(hold.hard for hold in decision.holds) else "`allie learn --now` does not wait.",
        )
    with EpisodeProgress() as progress:
        orchestrator = program.orchestrator(progress)
        with yield_on_signals(orchestrator):
            try:
                result = orchestrator.run_episode("; ".join(decision.reasons), forced=learn_now, asked=True)
            except HeldError as held:
                if not isinstance(held, EpisodeBusyError):
                    program.requests.remove(REBUILD)  # unlearnt, with nothing to learn instead
                return LearnResult(outcome=HELD, reasons=(held.message,), remedy=held.remedy)
    if result.outcome is not EpisodeState.YIELDED:
        program.requests.remove(REBUILD)
    program.write_report_page(result.episode_id)
    return LearnResult.of(result)


def tell_result(result: LearnResult) -> None:
    """Print how an episode ended, for a person."""
    if result.outcome == HELD:
        for reason in result.reasons:
            say(reason)
    else:
        say(_HEADLINES.get(result.outcome, "The episode ended.").format(version=result.version))
        for reason in result.reasons:
            say(f"  {reason}")
    if result.remedy:
        say(result.remedy)
    if result.phases:
        took = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in result.phases.items())
        say(f"It took {result.seconds:.0f} s ({took}).")
    if result.episode is not None and result.verdict:
        say(f"`allie report {result.episode}` shows what was learnt.")


_HEADLINES = {
    EpisodeState.COMPLETED.value: "{version} was learnt, checked, and answers from now on.",
    EpisodeState.REJECTED.value: "The new version was not good enough and is not used. Nothing has changed.",
    EpisodeState.FAILED.value: "Learning failed. Nothing has changed.",
    EpisodeState.STOPPED.value: "Learning was stopped. Nothing has changed.",
    EpisodeState.YIELDED.value: "Learning was interrupted; the next `allie learn` goes on from there.",
}


def report(
    episode: Annotated[
        str | None, typer.Argument(metavar="[EPISODE]", help="Its id; default: the last one with a report.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an episode learnt, from what, and why it was used or not."""
    from allie_desktop import bootstrap
    from allie_desktop.services.blind_comparison import preference_metrics
    from allie_desktop.services.report import render_text

    with bootstrap.open_program() as program:
        ids = [episode] if episode is not None else [e.id for e in program.episodes.latest(limit=50)]
        for episode_id in ids:
            known = program.report_of(episode_id)
            if known is None:
                continue
            worker_report, judgement, plan, version = known
            if as_json:
                print_json(
                    {
                        "episode": episode_id,
                        "version": version or None,
                        "judgement": judgement,
                        "preference": preference_metrics(program.blind_comparisons.preference(episode_id)),
                        "report": worker_report,
                    }
                )
                return
            say(render_text(worker_report, judgement, plan, version=version))
            page = program.write_report_page(episode_id)
            if page is not None:
                say_aside(f"The same as a page: {page}")
            return
    if episode is None:
        raise BadInputError("No episode has a report yet.", "`allie learn` makes one.")
    raise BadInputError(
        f"There is no report of an episode {episode!r}.", "`allie status` names the last one."
    )


def worker(job: Annotated[str, typer.Argument(metavar="JOB")]) -> None:
    """Run one attempt of an episode; started by Allie itself."""
    from allie_desktop.learning.worker import run_process
    from allie_desktop.paths import resource

    run_process(job, resource("probes"))
