"""Recipes drawn at random, near those that a family's paper tuned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cupel.core.recipe import Recipe
from cupel.core.space import Range

WEIGHT_DECAYS = Range(1e-5, 1e-2, log=True)
SHARE_WITHOUT_DECAY = 0.4
"""Of tuned networks 33 to 47 % had no weight decay, the others mostly 1e-4 to 6e-3 (81 to 86 tuned configs per model in the
repository of Gorishniy et al. 2024, arXiv:2410.24210)."""


def drawn_near(recipe: Recipe, *, seed: int, learning_rate: Range) -> Recipe:
    """The recipe with a rate drawn from the range, and a decay, which is often 0."""
    rate, is_without, decay = np.random.default_rng(seed).random(3)
    return replace(
        recipe,
        learning_rate=learning_rate.at(rate),
        weight_decay=0.0 if is_without < SHARE_WITHOUT_DECAY else WEIGHT_DECAYS.at(decay),
    )
