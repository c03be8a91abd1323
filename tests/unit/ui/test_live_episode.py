from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.events import (
    BatchHalved,
    CandidateWritten,
    CheckpointWritten,
    HeldOutMeasured,
    Paused,
    PhaseFinished,
    PhaseStarted,
    Resumed,
    StepFinished,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from allie_desktop.ui.presenters.live import LiveEpisode


def told(*events):
    live = LiveEpisode("e1")
    for event in events:
        live.take(event)
    return live.view


def training(step, total=100, loss=1.5, **more):
    return StepFinished(phase="train", step=step, total=total, loss=loss, **more)


def test_it_begins_with_nothing():
    view = told()
    assert (view.title, view.detail, view.left, view.share, view.training) == ("Preparing", "", "", 0.0, ())


def test_a_step_tells_where_training_stands():
    view = told(PhaseStarted(phase="train", total=100), training(50, loss=1.25, seconds_left=300.0))
    assert (view.title, view.detail, view.left) == (
        "Learning",
        "step 50 of 100 · loss 1.250",
        "about 5 min left",
    )
    assert view.share == 0.15 + 0.65 / 2
    assert view.training == ((50.0, 1.25),)
    assert view.planned_steps == 100


def test_after_training_it_checks_and_then_puts_into_use():
    assert told(PhaseStarted(phase="validate", total=9)).title == "Checking"
    view = told(CandidateWritten(adapter="a", report="r"))
    assert (view.title, view.share) == ("Putting it into use", 0.97)


def test_waiting_is_said_and_has_no_time_left():
    view = told(training(5, seconds_left=60.0), Paused())
    assert (view.title, view.waiting, view.left) == ("Learning waits", True, "")
    assert told(training(5), Paused(), Resumed()).title == "Learning"
    assert told(training(5), WorkerStopped(step=5)).waiting is True


def test_a_resumed_run_takes_the_curve_up_at_its_checkpoint():
    steps = [training(step, loss=float(step)) for step in range(1, 11)]
    view = told(*steps, WorkerStarted(pid=2, device="cpu", dtype="float32", threads=1), training(7, loss=0.5))
    assert view.training == (*((float(n), float(n)) for n in range(1, 7)), (7.0, 0.5))


def test_a_curve_is_bounded_however_long_it_gets():
    live = LiveEpisode("e1")
    for step in range(50_000):
        live.take(training(step, total=50_000))
    assert len(live.view.training) <= 1200
    assert live.view.training[-1][0] == 49_999.0


def test_numbers_that_are_none_are_not_drawn():
    view = told(
        training(1, loss=math.nan),
        training(2, loss=math.inf),
        HeldOutMeasured(step=2, loss=math.nan, kl=0, best=False),
    )
    assert (view.training, view.held_out, view.loss) == ((), (), None)


def test_a_failure_is_told():
    assert told(WorkerFailed(kind="out_of_memory", message="Memory ran out.")).detail == "Memory ran out."


_EVENTS = st.one_of(
    st.builds(
        PhaseStarted, phase=st.sampled_from(["prepare", "train", "validate"]), total=st.integers(0, 50)
    ),
    st.builds(
        StepFinished,
        phase=st.sampled_from(["prepare", "train", "validate"]),
        step=st.integers(-1, 200),
        total=st.integers(0, 100),
        loss=st.one_of(st.none(), st.floats()),
        seconds_left=st.one_of(st.none(), st.floats()),
    ),
    st.builds(HeldOutMeasured, step=st.integers(0, 99), loss=st.floats(), kl=st.floats(), best=st.booleans()),
    st.builds(PhaseFinished, phase=st.sampled_from(["prepare", "train", "validate"]), seconds=st.floats()),
    st.builds(CheckpointWritten, step=st.integers(0, 9), path=st.just("x")),
    st.builds(BatchHalved, tokens_per_pass=st.integers(1, 9)),
    st.builds(Paused),
    st.builds(Resumed),
)


@given(st.lists(_EVENTS, max_size=40))
def test_progress_stays_between_nothing_and_all_and_never_falls(events):
    live = LiveEpisode("e1")
    before = 0.0
    for event in events:
        live.take(event)
        view = live.view
        assert before <= view.share <= 1.0
        assert all(math.isfinite(y) for _, y in (*view.training, *view.held_out))
        steps = [x for x, _ in view.training]
        assert steps == sorted(set(steps))
        before = view.share
