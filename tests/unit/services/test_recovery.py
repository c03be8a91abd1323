"""How an episode that was found unfinished goes on."""

from __future__ import annotations

from typing import Any

import pytest

from allie_desktop.domain.lifecycle import FINAL_STATES, Episode, EpisodeState
from allie_desktop.domain.ports import EpisodeProof
from allie_desktop.services.recovery import NextStep, Situation, next_step
from tests.plans import BASE_MODEL, WHEN, make_plan

NO_RESULT = EpisodeProof(plan=True, attempt=1, result=False)
RESULT = EpisodeProof(plan=True, attempt=1, result=True)
UNFINISHED = [state for state in EpisodeState if state not in FINAL_STATES]


def situation(state: EpisodeState, *, version: str | None = None, **changes: Any) -> Situation:
    values: dict[str, Any] = {
        "episode": Episode(id="e", created_at=WHEN, state=state, trigger="", version=version),
        "plan": make_plan(),
        "proof": NO_RESULT,
        "active": "base",
        "base_sha256": BASE_MODEL.sha256,
        "sealed": False,
        "interruptions": 0,
        "interruptions_allowed": 5,
    }
    return Situation(**{**values, **changes})


@pytest.mark.parametrize("state", [state for state in UNFINISHED if state is not EpisodeState.DEPLOYING])
def test_without_a_result_the_worker_runs_again(state: EpisodeState) -> None:
    assert next_step(situation(state)) == (NextStep.RUN, "")


@pytest.mark.parametrize("state", [state for state in UNFINISHED if state is not EpisodeState.DEPLOYING])
def test_with_a_result_it_is_judged_whatever_was_recorded(state: EpisodeState) -> None:
    assert next_step(situation(state, proof=RESULT)) == (NextStep.JUDGE, "")


def test_what_passed_the_gate_is_deployed() -> None:
    assert next_step(situation(EpisodeState.DEPLOYING, proof=RESULT))[0] is NextStep.DEPLOY
    assert next_step(situation(EpisodeState.DEPLOYING, version="v1.0", sealed=True))[0] is NextStep.DEPLOY


@pytest.mark.parametrize("state", [EpisodeState.DEPLOYING, EpisodeState.YIELDED])
def test_what_answers_already_is_finished_whatever_else_is_gone(state: EpisodeState) -> None:
    answers = situation(
        state,
        version="v1.0",
        sealed=True,
        active="v1.0",
        plan=None,
        proof=EpisodeProof(plan=False, attempt=0, result=False),
        interruptions=99,
    )

    assert next_step(answers) == (NextStep.FINISH, "")


def test_the_same_name_made_by_another_episode_is_not_its_version() -> None:
    assert next_step(situation(EpisodeState.YIELDED, version="v1.0", active="v1.0"))[0] is NextStep.GIVE_UP


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan": None}, "plan is gone"),
        ({"base_sha256": "cd" * 32}, "another base model"),
        ({"active": "v1.3"}, "v1.3 became active"),
        ({"plan": make_plan(parent="v1.0")}, "base became active"),
        ({"interruptions": 6}, "interrupted 6 times"),
    ],
)
@pytest.mark.parametrize("state", UNFINISHED)
def test_what_cannot_go_on_is_given_up_with_the_reason(
    state: EpisodeState, changes: dict[str, Any], words: str
) -> None:
    step, reason = next_step(situation(state, proof=RESULT, **changes))

    assert step is NextStep.GIVE_UP
    assert words in reason


def test_a_deployment_without_candidate_and_version_is_given_up() -> None:
    step, reason = next_step(situation(EpisodeState.DEPLOYING, version="v1.0"))

    assert (step, "candidate is gone" in reason) == (NextStep.GIVE_UP, True)


def test_the_last_allowed_interruption_is_allowed() -> None:
    assert next_step(situation(EpisodeState.TRAINING, interruptions=5))[0] is NextStep.RUN
