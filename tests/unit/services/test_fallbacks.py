"""What a failed attempt teaches the next one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allie_desktop.domain.planning import Recipe
from allie_desktop.services.fallbacks import Failure, next_recipe

RECIPE = replace(
    Recipe(), batch_tokens=2048, maximum_length=512, gradient_clip=1.0, general_prompts=96, ewc_weight=1.0
)


@pytest.mark.parametrize(
    ("failure", "changes"),
    [
        ("out_of_memory", {"batch_tokens": 1024, "maximum_length": 256, "gradient_checkpointing": True}),
        ("unstable", {"learning_rate": RECIPE.learning_rate / 3, "gradient_clip": 0.5}),
        (
            "time_budget",
            {
                "taught_epochs": RECIPE.taught_epochs / 2,
                "fewest_visits": RECIPE.fewest_visits / 2,
                "ordinary_epochs": RECIPE.ordinary_epochs / 2,
                "general_prompts": 48,
            },
        ),
        ("crashed", {}),
        ("lost", {}),
        ("internal", {}),
    ],
)
def test_the_second_attempt_answers_the_first_failure(failure: Failure, changes: dict[str, float]) -> None:
    expected = replace(RECIPE, **changes)  # type: ignore[arg-type]

    assert next_recipe(RECIPE, failure, failures=1, attempts_left=2) == expected


@pytest.mark.parametrize("failure", ["crashed", "lost", "internal"])
def test_what_fails_again_without_a_reason_is_treated_as_a_lack_of_memory(failure: Failure) -> None:
    recipe = next_recipe(RECIPE, failure, failures=2, attempts_left=2)

    assert recipe == replace(RECIPE, batch_tokens=1024, maximum_length=256, gradient_checkpointing=True)


@pytest.mark.parametrize(
    "failure", ["out_of_memory", "unstable", "time_budget", "crashed", "lost", "internal"]
)
def test_the_last_attempt_goes_without_ewc_and_keeps_anchor_and_replay(failure: Failure) -> None:
    recipe = next_recipe(RECIPE, failure, failures=2, attempts_left=1)

    assert recipe is not None
    assert (recipe.ewc_weight, recipe.kl_weight, recipe.replay_share) == (
        0.0,
        RECIPE.kl_weight,
        RECIPE.replay_share,
    )


@pytest.mark.parametrize("failure", ["data", "model", "disk_full", "disk_budget"])
def test_there_is_no_use_in_repeating_what_will_fail_again(failure: Failure) -> None:
    assert next_recipe(RECIPE, failure, failures=1, attempts_left=2) is None


@pytest.mark.parametrize("failure", ["out_of_memory", "unstable", "time_budget"])
def test_learning_rates_are_tried_in_the_first_attempt_alone(failure: Failure) -> None:
    recipe = next_recipe(replace(RECIPE, rate_trials=(1e-4, 1e-3)), failure, failures=1, attempts_left=2)

    assert recipe is not None
    assert recipe.rate_trials == ()


def test_there_is_no_attempt_after_the_last() -> None:
    assert next_recipe(RECIPE, "out_of_memory", failures=3, attempts_left=0) is None
    assert next_recipe(RECIPE, "crashed", failures=1, attempts_left=0) is None


def test_halving_ends_at_a_floor_and_a_recipe_that_cannot_shrink_is_not_repeated() -> None:
    small = replace(RECIPE, batch_tokens=128, maximum_length=64, gradient_checkpointing=True, ewc_weight=0.0)

    assert next_recipe(small, "out_of_memory", failures=1, attempts_left=2) is None


def test_a_recipe_below_the_floor_does_not_grow() -> None:
    tiny = replace(RECIPE, batch_tokens=50, maximum_length=20)
    recipe = next_recipe(tiny, "out_of_memory", failures=1, attempts_left=2)

    assert recipe == replace(tiny, gradient_checkpointing=True)
