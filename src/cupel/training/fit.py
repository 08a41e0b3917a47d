"""Fits the units of a candidate, whatever family it is of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from cupel.core import machine
from cupel.core.budget import Deadline
from cupel.core.checkpoints import Checkpoints
from cupel.core.errors import TrainingError
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.inputs import InputShape
from cupel.core.keeping import Part
from cupel.core.recipe import Pace, Recipe
from cupel.core.stored import StoredUnit
from cupel.core.task import Task
from cupel.training.bagging import as_one, bags_of
from cupel.training.crew import N_STACKS, SECONDS_WORTH_A_THREAD, divided, is_worth_a_thread, work_on
from cupel.training.environment import load_optimisers, settled, without_denormals
from cupel.training.keeper import Keeper
from cupel.training.trainer import Trainer
from cupel.training.watch import Watch

MOST_STOP_ROWS = 20_000


def fit(
    family: Family,
    units: Sequence[UnitData],
    *,
    config: Any,
    recipe: Recipe | None,
    task: Task,
    deadline: Deadline | None = None,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[FittedUnit]:
    """Fitted units in the order of `units`: by the family itself, or by the loop, stacked into as few networks as is fast.

    A unit's result does not depend on the units beside it, but for the last bits of sums. `progress` is told the share done,
    0 to 1, from the calling thread. What they have come to is kept in `checkpoints`, and gone on from.

    Raises:
        TrainingError: a unit could not be trained; says which and why.
    """
    deadline = deadline or Deadline()
    if family.fit is not None:
        units = [_kept(unit, checkpoints) for unit in units]
        return family.fit(units, config=config, task=task, threads=threads, deadline=deadline)
    _check(units)
    shape = InputShape.covering([part for unit in units for part in (unit.train, unit.stop, unit.valid)])
    trainer = Trainer(family, config, recipe or Recipe(), task, shape, device)
    cores = (threads or machine.usable_cores()) if device == "cpu" else 1
    if family.folds_apart:
        load_optimisers()
        with settled(threads=max(cores, N_STACKS)):  # how many share a sum decides its last bits: the same on one core as on two
            return _one_by_one(trainer, units, deadline=deadline, progress=progress, checkpoints=checkpoints)
    is_divided = device == "cpu" and is_worth_a_thread(trainer.seconds_per_step(units[0]))
    n_bags = trainer.recipe.bags
    bags = [bag for unit in units for bag in bags_of(unit, n_bags=n_bags)]
    groups = divided([trainer.recipe.pace(bag.train.n_samples) for bag in bags], n_stacks=N_STACKS if is_divided else 1)
    fitted: dict[int, FittedUnit] = {}

    def teach(group: Sequence[int], watch: Watch) -> None:
        with without_denormals():
            keeper = Keeper(checkpoints, f"stack-{group[0]}")
            found = trainer.fit([bags[position] for position in group], watch=watch, keeper=keeper)
            fitted.update(zip(group, found, strict=True))

    with settled(threads=max(1, cores // N_STACKS) if is_divided else 1):
        work_on(groups, teach, deadline=deadline, progress=progress)
    done = [fitted[position] for position in range(len(bags))]
    return [as_one(done[start : start + n_bags]) for start in range(0, len(bags), n_bags)]


def fit_stored(
    family: Family,
    unit: StoredUnit,
    *,
    config: Any,
    recipe: Recipe | None,
    task: Task,
    deadline: Deadline | None = None,
    progress: Callable[[float], None] | None = None,
) -> FittedUnit:
    """One model of a network that learns from rows in files, as often as there is time for, once in any case where there is.

    Bags are not made: with so many rows there is nothing to average out. Of the rows that stop training some thousands are looked
    at, from all over.

    Raises:
        TrainingError: time was up before the first step, or a loss is not finite.
    """
    deadline, rows = deadline or Deadline(), unit.train
    some = np.linspace(0, unit.stop.n_samples - 1, min(unit.stop.n_samples, MOST_STOP_ROWS)).astype(int)
    unit = replace(unit, stop=unit.stop.at(some), stop_target=unit.stop_target[some])
    shape = InputShape.covering([rows.between(0, 1), unit.stop])
    trainer = Trainer(family, config, replace(recipe or Recipe(), bags=1, batch_size=0), task, shape, "cpu")
    asked = {"n_rows": rows.n_samples, "shape": shape, "config": config, "recipe": trainer.recipe, "task": task}
    pace = trainer.recipe.pace_of_many(rows.n_samples, most_samples=family.samples_within(deadline.remaining, **asked))
    pace = _kept_pace(pace, unit.checkpoints)
    is_divided = family.samples_within(SECONDS_WORTH_A_THREAD, **asked) < pace.batch_size
    with settled(threads=machine.usable_cores() if is_divided else 1), without_denormals():
        keeper = Keeper(unit.checkpoints, "network")
        return trainer.fit_stored(unit, pace=pace, watch=Watch(deadline, report=progress), keeper=keeper)


def _kept_pace(pace: Pace, checkpoints: Checkpoints | None) -> Pace:
    """The pace that an earlier process began with, whatever time is left now; else this one, written down."""
    kept = None if checkpoints is None else checkpoints.load("pace")
    if kept is not None:
        return Pace(**json.loads(kept))
    if checkpoints is not None:
        checkpoints.save("pace", json.dumps(asdict(pace)).encode())
    return pace


def _one_by_one(
    trainer: Trainer,
    units: Sequence[UnitData],
    *,
    deadline: Deadline,
    progress: Callable[[float], None] | None,
    checkpoints: Checkpoints | None,
) -> list[FittedUnit]:
    """Each unit's bags as a network of their own; those to come share what time is left."""
    fitted = []
    for number, unit in enumerate(units):
        until = deadline.within(deadline.remaining / (len(units) - number))
        report = None if progress is None else partial(_report, progress, number, len(units))
        with without_denormals():
            bags, keeper = bags_of(unit, n_bags=trainer.recipe.bags), Keeper(checkpoints, f"fold-{unit.fold}")
            fitted.append(as_one(trainer.fit(bags, watch=Watch(until, report=report), keeper=keeper)))
    return fitted


def _kept(unit: UnitData, checkpoints: Checkpoints | None) -> UnitData:
    """A unit with checkpoints of its own, for a family that trains itself."""
    return unit if checkpoints is None else replace(unit, checkpoints=Part(checkpoints, f"fold-{unit.fold}"))


def _report(progress: Callable[[float], None], number: int, total: int, fraction: float) -> None:
    progress((number + fraction) / total)


def _check(units: Sequence[UnitData]) -> None:
    for unit in units:
        for part, inputs in (("train", unit.train), ("stop", unit.stop)):
            if inputs.n_samples == 0:
                raise TrainingError(f"fold {unit.fold + 1} has no {part} rows; use fewer folds, or more rows.")
