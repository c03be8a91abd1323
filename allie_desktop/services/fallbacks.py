"""What a failed attempt teaches the next one: the same episode, tried more carefully.

======================  ====================================================================
failure                 the next attempt
======================  ====================================================================
out of memory           half the tokens a step, half the length, gradient checkpointing
unstable                a third of the learning rate, half the gradient clip
time budget             half the visits of every example, half the general prompts
crash, lost, internal   first the same again from its checkpoint; then as if out of memory
======================  ====================================================================

None of them tries learning rates again. The last attempt is made with plain LoRA, replay and the KL anchor,
without EWC. The anchor stays: without it a model drifts by a nat a token, more than ten times what the gate lets
through, so that such an attempt could not be deployed and would only cost an hour.

Bad data, an unusable model and a used-up disk budget fail the same way again, and are not retried.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from allie_desktop.domain.events import FailureKind
from allie_desktop.domain.planning import Recipe

Failure = FailureKind | Literal["crashed", "lost", "disk_budget"]

_HOPELESS: frozenset[Failure] = frozenset({"data", "model", "disk_full", "disk_budget"})
_UNEXPLAINED: frozenset[Failure] = frozenset({"crashed", "lost", "internal"})

_SMALLEST_BATCH_TOKENS = 128
_SMALLEST_LENGTH = 64
_FEWEST_GENERAL_PROMPTS = 16


def next_recipe(recipe: Recipe, failure: Failure, *, failures: int, attempts_left: int) -> Recipe | None:
    """Return the recipe of the next attempt; None when there is no use in one.

    ``recipe`` is the one that failed, ``failures`` how often the episode failed so far (this one
    included), ``attempts_left`` how many attempts there may still be. An equal recipe means: go on from
    the last checkpoint.
    """
    if attempts_left < 1 or failure in _HOPELESS:
        return None
    if failure in _UNEXPLAINED and failures == 1:
        return recipe
    careful = replace(_careful(recipe, failure), rate_trials=())
    if attempts_left == 1:
        careful = replace(careful, ewc_weight=0.0)
    return None if careful == recipe else careful


def _careful(recipe: Recipe, failure: Failure) -> Recipe:
    if failure == "unstable":
        return replace(recipe, learning_rate=recipe.learning_rate / 3, gradient_clip=recipe.gradient_clip / 2)
    if failure == "time_budget":
        return replace(
            recipe,
            taught_epochs=recipe.taught_epochs / 2,
            fewest_visits=recipe.fewest_visits / 2,
            ordinary_epochs=recipe.ordinary_epochs / 2,
            general_prompts=max(recipe.general_prompts // 2, _FEWEST_GENERAL_PROMPTS),
        )
    return replace(
        recipe,
        batch_tokens=max(recipe.batch_tokens // 2, min(recipe.batch_tokens, _SMALLEST_BATCH_TOKENS)),
        maximum_length=max(recipe.maximum_length // 2, min(recipe.maximum_length, _SMALLEST_LENGTH)),
        gradient_checkpointing=True,
    )
