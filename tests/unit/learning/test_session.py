"""What a session tells of its training, and what it holds on to."""

from __future__ import annotations

import errno
from dataclasses import replace
from types import SimpleNamespace

import pytest

from allie_desktop.domain.errors import TrainingUnstableError
from allie_desktop.domain.events import Job
from allie_desktop.learning import session as module
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.ewc import FISHER_FILE
from allie_desktop.learning.session import Session
from allie_desktop.learning.trainer import HeldOut
from tests.plans import make_plan
from tests.unit.learning.tiny import GEOMETRY, chatml_tokenizer, random_sequences, tiny_llama


class Line:
    """A line to the parent that only listens."""

    def __init__(self):
        self.sent = []

    def send(self, event):
        self.sent.append(event)

    def between(self):
        pass


@pytest.fixture
def session(tmp_path):
    """A session that is about to train."""
    tokenizer = chatml_tokenizer()
    loaded = SimpleNamespace(
        tokenizer=tokenizer,
        model=tiny_llama(len(tokenizer)),
        device=SimpleNamespace(type="cpu"),
        dtype="float32",
    )
    job = Job(
        episode_id="e1",
        folder=str(tmp_path),
        plan="",
        plan_digest="",
        cache=str(tmp_path / "cache"),
        parent_adapter=None,
    )
    made = Session(job, make_plan(), loaded, Line(), toxicity=None, redactor=None, probes=None)
    nothing = ("_new", "_replay", "_general_hidden", "_steps", "_taught", "_taught_before")
    for name in nothing:
        setattr(made, name, ())
    made._adapter = made._penalty = None
    made._strayed = 0.0
    made._general = SimpleNamespace(train=())
    made._size = SimpleNamespace(tokens=64)
    made._evaluator = SimpleNamespace(losses=lambda sequences: [0.0] * len(sequences))
    return made


def test_the_first_error_is_told_when_the_last_checkpoint_cannot_be_written_either(
    session, monkeypatch, caplog
):
    first = TrainingUnstableError("Training became unstable.", "It is tried again.")

    class Trainer:
        def __init__(self, *_, **__):
            pass

        def run(self):
            raise first

        def snapshot(self):
            return SimpleNamespace(step=3, numbers={})

    class Checkpoints:
        def newest(self):
            return None

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "Trainer", Trainer)
    session._checkpoints = Checkpoints()

    with pytest.raises(TrainingUnstableError) as caught:
        session._train()
    assert caught.value is first
    assert "the last checkpoint could not be written" in caplog.text


@pytest.mark.parametrize(
    ("parent", "replayed", "held"), [(False, 0, False), (True, 0, True), (False, 3, True), (True, 3, True)]
)
def test_elastic_weights_hold_what_was_learnt_before_and_nothing_where_nothing_was(
    session, tmp_path, parent, replayed, held
):
    session._adapter = Adapter(session._loaded.model, GEOMETRY, seed=1)
    session._active_state = session._adapter.state()
    session._general = SimpleNamespace(train=random_sequences(3, seed=1))
    session._replay = random_sequences(replayed, seed=2)
    session._size = SimpleNamespace(tokens=512)
    if parent:
        session._adapter.save(tmp_path / "parent")
        session._job = replace(session._job, parent_adapter=str(tmp_path / "parent"))

    assert (session._ewc() is not None) == held
    assert (session._attempt / FISHER_FILE).exists() == held


@pytest.mark.parametrize(
    ("held", "best"),
    [
        (HeldOut(0.9, 0.05), True),
        (HeldOut(0.99, 0.05), True),  # about as good, and later
        (HeldOut(1.01, 0.05), False),
        (HeldOut(1.08, 0.05, count=2), True),  # two conversations hardly tell
        (HeldOut(1.10, 0.05, count=2), False),
        (HeldOut(0.99, 0.05, count=100), False),
        (HeldOut(0.5, 0.09), False),  # far better answers, but over the budget
    ],
)
def test_the_best_so_far_is_what_would_be_kept(session, monkeypatch, held, best):
    session._adapter = Adapter(session._loaded.model, GEOMETRY, seed=1)
    session._trainer = session._trainer_of((), replace(session._recipe, kl_budget=0.08), session)
    session._trainer.state.best_cost, session._trainer.state.best_within = 1.0, True
    monkeypatch.setattr(session, "measured", lambda: held)

    assert session.evaluate(7) == held

    assert [(event.step, event.best) for event in session._control.sent] == [(7, best)]


@pytest.mark.parametrize(
    ("teaches", "per_step", "anchors"), [(True, 8, None), (False, 8, 4), (False, 3, 2), (False, 1, 2)]
)
def test_conversations_alone_begin_with_half_of_the_anchors(session, teaches, per_step, anchors):
    session._adapter = Adapter(session._loaded.model, GEOMETRY, seed=1)
    session._taught = [0] if teaches else []

    trainer = session._trainer_of((), replace(session._recipe, general_per_step=per_step), session)

    assert trainer.state.anchors == anchors
