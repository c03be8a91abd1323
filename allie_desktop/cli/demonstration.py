"""``allie demo``: one whole episode on sample conversations, in a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, print_table, say, say_aside
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.versions import BASE
from allie_desktop.paths import resource

if TYPE_CHECKING:
    from allie_desktop.bootstrap import Program
    from allie_desktop.cli.learning import LearnResult

_CONVERSATIONS = "sample_conversations.jsonl"
_FACTS = "sample_facts.json"
_ANSWER_TOKENS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about the invented person. ``expected``: any of these in the answer makes it right."""

    text: str
    as_taught: bool
    expected: tuple[str, ...]

    def is_right(self, answer: str) -> bool:
        """Whether an answer says what was taught."""
        return any(word.casefold() in answer.casefold() for word in self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One question before and after."""

    question: str
    as_taught: bool
    before: str
    after: str
    right_before: bool
    right_after: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What ``allie demo --json`` prints. Shares in [0, 1]; ``home`` is None once it is deleted."""

    episode: LearnResult
    comparisons: tuple[Comparison, ...]
    taught_before: float
    taught_after: float
    unseen_before: float
    unseen_after: float
    home: str | None
    seconds: float


#: A demonstration is watched: it takes fewer phrasings and general questions than an episode at night.
_SHORTER = {"phrasings": 8, "general_prompts": 64}


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(demo)


def demo(
    keep: Annotated[
        str | None, typer.Option(metavar="DIR", help="Keep everything in this folder, to look at it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a whole learning episode on sample conversations. Takes a few minutes.

    Your own conversations and versions are not touched.
    """
    raise typer.Exit(run_demo(keep, as_json=as_json))


def run_demo(keep: str | None, *, as_json: bool) -> int:
    """Run the demonstration and return its exit code."""
    from allie_desktop import bootstrap
    from allie_desktop.cli.learning import run_episode

    started = time.monotonic()
    questions = load_questions()
    with _home(keep) as home, bootstrap.open_demo(home) as program:
        for name, value in _SHORTER.items():
            program.settings.set(name, value)
        summary = program.import_file(resource(_CONVERSATIONS), "native")
        if not as_json:
            say(
                f"{summary.imported} sample conversations of an invented person; in {len(questions) // 2} of them"
            )
            say("a wrong answer was corrected. Allie learns from them now, on this machine alone.\n")
        say_aside("Asking before it learns…")
        before = _answers(program, questions, BASE)
        episode = run_episode(program, learn_now=True)
        after = before
        if episode.version is not None:
            say_aside("Asking again…")
            after = _answers(program, questions, episode.version)
        result = _result(episode, questions, before, after, home if keep else None, started)
        if as_json:
            print_json(result)
        else:
            _tell(result)
    return episode.exit_code


def load_questions() -> tuple[Question, ...]:
    """Return the questions: first each as it was taught, then each in words that were never trained."""
    facts = json.loads(resource(_FACTS).read_text("utf-8"))
    return tuple(
        Question(text=fact[key], as_taught=key == "ask", expected=tuple(fact["expected"]))
        for key in ("ask", "unseen")
        for fact in facts
    )


def _answers(program: Program, questions: tuple[Question, ...], version: str) -> list[str]:
    answers = program.answerer().ask(
        [q.text for q in questions], version=version, greedy=True, max_tokens=_ANSWER_TOKENS
    )
    return [answer.answer for answer in answers]


@contextlib.contextmanager
def _home(keep: str | None) -> Iterator[Path]:
    """Give a folder for the demonstration: a kept one, or one that is gone afterwards."""
    if keep is not None:
        folder = Path(os.path.abspath(Path(keep).expanduser()))
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInputError(f"{folder} is not an empty folder.", "Name a new one: allie demo --keep DIR.")
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="allie-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _result(
    episode: LearnResult,
    questions: tuple[Question, ...],
    before: list[str],
    after: list[str],
    home: Path | None,
    started: float,
) -> DemoResult:
    comparisons = tuple(
        Comparison(
            question=q.text,
            as_taught=q.as_taught,
            before=b,
            after=a,
            right_before=q.is_right(b),
            right_after=q.is_right(a),
        )
        for q, b, a in zip(questions, before, after, strict=True)
    )
    taught = [c for c in comparisons if c.as_taught]
    unseen = [c for c in comparisons if not c.as_taught]
    return DemoResult(
        episode=episode,
        comparisons=comparisons,
        taught_before=sum(c.right_before for c in taught) / len(taught),
        taught_after=sum(c.right_after for c in taught) / len(taught),
        unseen_before=sum(c.right_before for c in unseen) / len(unseen),
        unseen_after=sum(c.right_after for c in unseen) / len(unseen),
        home=None if home is None else str(home),
        seconds=round(time.monotonic() - started, 1),
    )


def _tell(result: DemoResult) -> None:
    from allie_desktop.cli.learning import tell_result

    rows = [
        (
            c.question,
            _brief(c.before),
            "yes" if c.right_before else "no",
            _brief(c.after),
            "yes" if c.right_after else "no",
        )
        for c in result.comparisons
    ]
    half = len(rows) // 2
    columns = ("Question", "Before", "right", "After", "right")
    say("")
    print_table(columns, rows[:half], title="Asked as it was taught")
    say("")
    print_table(columns, rows[half:], title="Asked in other words, which were never trained")
    say("")
    say(f"Right as taught: {result.taught_before:.0%} before, {result.taught_after:.0%} after.")
    say(f"Right in other words: {result.unseen_before:.0%} before, {result.unseen_after:.0%} after.\n")
    tell_result(result.episode)
    minutes, seconds = divmod(round(result.seconds), 60)
    say(f"\nThe whole demonstration took {minutes} min {seconds} s.")
    if result.home is None:
        say("It ran in a throw-away folder, which is deleted now; `allie demo --keep DIR` keeps it.")
    else:
        say(f"Everything is in {result.home}: plan, report and log in episodes, the new version in models.")
        say(
            f"Look around with ALLIE_HOME={result.home} and `allie versions`, `allie ask`, `allie conversations`."
        )


def _brief(answer: str, length: int = 90) -> str:
    line = " ".join(answer.split())
    return line if len(line) <= length else line[: length - 1] + "…"
