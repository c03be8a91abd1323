"""Trials of learning rates: what they come to, and that they are not made twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from allie_desktop.domain.errors import TrainingUnstableError
from allie_desktop.domain.events import Job, StepFinished
from allie_desktop.domain.planning import Budget, Recipe
from allie_desktop.domain.tuning import RateTrial
from allie_desktop.learning.control import StopRequestedError
from allie_desktop.learning.rate_trials import trial_steps, tried_rates
from allie_desktop.learning.session import Session
from allie_desktop.learning.trainer import Trainer
from allie_desktop.models.loading import LoadedBase
from tests.plans import BASE_MODEL, make_example, make_plan
from tests.unit.learning.tiny import chatml_tokenizer, tiny_llama

RATES = (1e-6, 5e-3)


@pytest.mark.parametrize(("steps", "taken"), [(5, 5), (9, 8), (40, 8), (63, 12), (400, 40), (0, 0)])
def test_a_trial_takes_a_part_of_the_steps(steps, taken):
    assert trial_steps(steps) == taken


class Runs:
    """Makes trials, and knows which."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, []
        self.fails: dict[float, Exception | None] = {}

    def __call__(self, rate: float) -> RateTrial | None:
        self.made.append(rate)
        if rate in self.fails:
            error = self.fails[rate]
            if error is None:
                return None
            raise error
        return RateTrial(learning_rate=rate, loss=1 / rate, kl=rate)

    def results(self, rates=(1.0, 2.0, 4.0), key="plan 1", may_go_on=lambda: True) -> list[float]:
        found = tried_rates(rates, self, folder=self.folder, key=key, may_go_on=may_go_on)
        return [one.learning_rate for one in found]


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def test_what_was_tried_before_the_worker_was_ended_is_not_tried_again(runs):
    runs.fails[4.0] = StopRequestedError("the person is back")
    with pytest.raises(StopRequestedError):
        runs.results()
    runs.fails.clear()
    assert runs.results() == [1.0, 2.0, 4.0]
    assert runs.made == [1.0, 2.0, 4.0, 4.0]
    assert runs.results(may_go_on=lambda: False) == [1.0, 2.0, 4.0]  # all are known


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"key": "plan 1", "trials": [{"loss": 1}]}', b"\xff"]
)
def test_a_damaged_file_is_as_none(runs, content):
    runs.results()
    (runs.folder / "trials.json").write_bytes(content)
    assert runs.results() == [1.0, 2.0, 4.0]
    assert runs.made == [1.0, 2.0, 4.0] * 2


def test_trials_of_another_run_do_not_count(runs):
    runs.results()
    runs.results(key="plan 2")
    assert runs.made == [1.0, 2.0, 4.0] * 2


def test_some_rates_alone_tell_nothing(runs):
    runs.fails[4.0] = None  # its time was over
    assert runs.results() == []
    assert runs.results(may_go_on=lambda: False) == []


def test_a_rate_that_is_unstable_loses_against_all_others(runs):
    runs.fails[4.0] = TrainingUnstableError("Its numbers grew.", "It is tried again.")
    found = tried_rates((2.0, 4.0), runs, folder=runs.folder, key="k", may_go_on=lambda: True)
    assert found[1].loss > 1e6 < found[1].kl
    assert runs.results(rates=(2.0, 4.0), key="k") == [2.0, 4.0]
    assert runs.made == [2.0, 4.0]


# --- in a session, with a tiny model ---


class Line:
    """A line to the parent that listens, and asks to stop after so many steps of trials."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.sent, self._stop_after = [], stop_after

    def send(self, event):
        self.sent.append(event)

    def between(self):
        if self.trial_steps() >= self._stop_after:
            raise StopRequestedError("the person is back")

    def trial_steps(self) -> int:
        return sum(isinstance(e, StepFinished) and "learning rate suits" in e.what for e in self.sent)


def prepared(folder: Path, line: Line, **changes) -> Session:
    """A session with two rates to try that has prepared, and is about to train."""
    tokenizer = chatml_tokenizer()
    torch.manual_seed(0)
    model = tiny_llama(len(tokenizer)).requires_grad_(requires_grad=False)
    loaded = LoadedBase(
        base=BASE_MODEL, model=model, tokenizer=tokenizer, device=torch.device("cpu"), dtype=torch.float32
    )
    recipe = Recipe(rate_trials=RATES, kl_budget=50.0, general_prompts=6, general_tokens=12)
    train = tuple(make_example(n) for n in range(1, 4))
    plan = make_plan(recipe=recipe, train=train, phrasings=(make_example(9),))
    job = Job(
        episode_id="e1",
        folder=str(folder),
        plan="",
        plan_digest="",
        cache=str(folder / "cache"),
        parent_adapter=None,
    )
    session = Session(job, replace(plan, **changes), loaded, line, toxicity=None, redactor=None, probes=None)
    with session._phase("prepare", total=5):
        session._prepare()
    return session


def rates_of(monkeypatch) -> list[float]:
    """The rates with which something is trained from now on."""
    rates: list[float] = []
    run = Trainer.run

    def noted(trainer):
        rates.append(trainer._recipe.learning_rate)
        return run(trainer)

    monkeypatch.setattr(Trainer, "run", noted)
    return rates


def test_the_rate_that_learns_is_taken_and_training_begins_from_where_it_would_have(tmp_path, monkeypatch):
    tried = rates_of(monkeypatch)
    line = Line()
    session = prepared(tmp_path, line)
    assert tried == list(RATES)
    assert [one.learning_rate for one in session._trials] == list(RATES)
    assert session._trials[1].loss < session._trials[0].loss
    assert session._recipe.learning_rate == RATES[1]
    state = session._adapter.state()
    assert all(torch.equal(state[name], session._active_state[name]) for name in state)
    assert line.trial_steps() == 2 * trial_steps(len(session._steps))


def test_a_session_that_was_stopped_in_a_trial_comes_to_the_same(tmp_path, monkeypatch):
    whole = prepared(tmp_path / "whole", Line())
    steps = trial_steps(len(whole._steps))
    with pytest.raises(StopRequestedError):
        prepared(tmp_path / "cut", Line(stop_after=steps + 2))  # in the second trial
    tried = rates_of(monkeypatch)
    again = prepared(tmp_path / "cut", Line())
    assert tried == [RATES[1]]
    assert again._trials == whole._trials


def test_without_time_the_recipe_keeps_its_rate(tmp_path, monkeypatch):
    tried = rates_of(monkeypatch)
    session = prepared(tmp_path, Line(), budget=Budget(prepare_seconds=0.0))
    assert (tried, session._trials) == ([], ())
    assert session._recipe.learning_rate == Recipe().learning_rate
