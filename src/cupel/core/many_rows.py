"""How a network is trained on rows that are too many to be in memory, or to be gone over often."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from cupel.core.family import Family
from cupel.core.inputs import InputShape
from cupel.core.recipe import FEWEST_EPOCHS, Pace, Recipe
from cupel.core.task import Task

N_LOOKS, MOST_LOOKED_AT = 20, 20_000
"""So often a network is evaluated, on so many of the rows that stop training: each as dear as a third of a row to learn from."""
MOST_SAMPLES_BETWEEN = 8_000_000
"""Rows are drawn, and written down in checkpoints, for so many samples at a time."""
SPARED = 1.5
"""Estimates of whole trainings count on an early end, which is not to be counted on here."""


def recipe_for_many(recipe: Recipe | None) -> Recipe:
    """Without bags, since there is nothing to average out, and in batches as large as so many rows allow."""
    return replace(recipe or Recipe(), bags=1, batch_size=0)


def seconds_a_sample(family: Family, *, config: Any, recipe: Recipe, task: Task, shape: InputShape, n_rows: int) -> float:
    """What it takes to learn from a row once, by the family's own estimate of a training on `n_rows`."""
    pace = recipe.pace(n_rows)
    whole = family.cost(n_rows, shape, config, recipe, task).seconds
    return max(SPARED * whole / (pace.n_epochs * pace.n_steps * pace.batch_size), 1e-12)


def samples_within(seconds: float, *, of_one: float, n_stop: int) -> float:
    """Rows that can be learned from, each counted as often as it is seen, beside what evaluations take."""
    return max(seconds / of_one - N_LOOKS * min(n_stop, MOST_LOOKED_AT) / 3, 0.0)


def pace_for_many(recipe: Recipe, n_rows: int, *, most_samples: float) -> Pace:
    """As often over the rows as `most_samples` allow, once at the least and 16 times at the most.

    Evaluations cut that into parts, which are called epochs.
    """
    batch_size = recipe.pace(n_rows).batch_size
    n_samples = min(max(most_samples, n_rows), FEWEST_EPOCHS * n_rows)
    n_epochs = max(N_LOOKS, math.ceil(n_samples / MOST_SAMPLES_BETWEEN))
    return Pace(batch_size=batch_size, n_steps=max(1, math.ceil(n_samples / batch_size / n_epochs)), n_epochs=n_epochs)
