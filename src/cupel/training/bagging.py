"""Bagging: a unit as several, each on a bootstrap sample of its training rows, and what they learned as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cupel.core.family import FittedUnit, UnitData
from cupel.core.inputs import Inputs
from cupel.training.model import MeanOfModels
from cupel.training.warm import started_from

SEEDS_BETWEEN_BAGS = 15_485_863


def bags_of(unit: UnitData, *, n_bags: int) -> list[UnitData]:
    """The unit itself where there is one bag; else so many, each with as many rows as it, drawn with replacement.

    Rows that were not drawn are not in a bag at all: nothing that is learned, or remembered, can see them. The preparation is
    the fold's, and has seen all of its training rows. Every bag stops by the same rows, where it stops by any.
    Source: Breiman 1996, Bagging predictors, doi:10.1007/BF00058655.
    """
    if n_bags == 1:
        return [unit]
    seeds = [unit.seed + SEEDS_BETWEEN_BAGS * bag for bag in range(n_bags)]
    return [
        replace(_resampled(unit, seed=seed), seed=seed, start=started_from(unit.start, f"bag_{bag}."))
        for bag, seed in enumerate(seeds)
    ]


def _resampled(unit: UnitData, *, seed: int) -> UnitData:
    n_rows = unit.train.n_samples
    rows = np.sort(np.random.default_rng(seed).integers(n_rows, size=n_rows))
    blocks = {name: block[rows] for name, block in unit.train.blocks.items()}
    return replace(unit, train=Inputs(blocks, unit.train.cardinalities), train_target=unit.train_target[rows])


def as_one(bags: Sequence[FittedUnit]) -> FittedUnit:
    """The fitted bags of a unit as one, which predicts their mean; curve and best epoch are the first one's."""
    if len(bags) == 1:
        return bags[0]
    return replace(
        bags[0],
        model=MeanOfModels(tuple(bag.model for bag in bags)),
        predictions=np.mean([bag.predictions for bag in bags], axis=0),
        seconds=sum(bag.seconds for bag in bags),
        cut_short=any(bag.cut_short for bag in bags),
        weights={f"bag_{n}.{name}": array for n, bag in enumerate(bags) for name, array in bag.weights.items()},
    )
