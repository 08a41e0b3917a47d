"""Fits the units of a candidate, whatever family it is of."""

from __future__ import annotations

import json
import math
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
from cupel.core.many_rows import MOST_LOOKED_AT, pace_for_many, recipe_for_many, samples_within, seconds_a_sample
from cupel.core.recipe import Pace, Recipe
from cupel.core.stored import StoredUnit
from cupel.core.task import Task
from cupel.training.bagging import as_one, bags_of
from cupel.training.crew import N_STACKS, divided, is_worth_a_thread, work_on
from cupel.training.environment import get_ready, settled, without_denormals
from cupel.training.keeper import Keeper
from cupel.training.trainer import Trainer
from cupel.training.watch import Watch


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
    units = [_whole(unit, recipe or Recipe()) for unit in units]
    shape = InputShape.covering([part for unit in units for part in (unit.train, unit.stop, unit.valid)])
    trainer = Trainer(family, config, recipe or Recipe(), task, shape, device)
    cores = (threads or machine.usable_cores()) if device == "cpu" else 1
    if family.folds_apart:
        get_ready()
        with settled(threads=max(cores, N_STACKS)):  # how many share a sum decides its last bits: the same on one core as on two
            return _one_by_one(trainer, units, deadline=deadline, progress=progress, checkpoints=checkpoints)
    is_divided = device == "cpu" and is_worth_a_thread(trainer.seconds_per_step(units[0]))
    n_bags = trainer.recipe.bags
    bags = [bag for unit in units for bag in bags_of(unit, n_bags=n_bags)]
    alike = [(bag.among_train, trainer.recipe.pace(bag.train.n_samples)) for bag in bags]
    groups = divided(alike, n_stacks=N_STACKS if is_divided else 1)
    fitted: dict[int, FittedUnit] = {}

    def teach(group: Sequence[int], watch: Watch) -> None:
        with without_denormals():
            keeper = Keeper(checkpoints, f"stack-{group[0]}")
            found = trainer.fit([bags[position] for position in group], watch=watch, keeper=keeper)
            fitted.update(zip(group, found, strict=True))

    with settled(threads=max(1, cores // N_STACKS) if is_divided else 1):
        work_on(groups, teach, deadline=deadline, progress=progress)
    # Each stack counts the seconds that go by; stacks that share a core had only their share of them.
    share = min(1.0, cores / len(groups)) if is_divided else 1.0
    done = [replace(fitted[position], seconds=share * fitted[position].seconds) for position in range(len(bags))]
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
    """One model of a network that learns from rows in files, as often as there is time for, once in any case.

    Of the rows that stop training some thousands are looked at, from all over. Number of cores as in `_one_by_one`.

    Raises:
        TrainingError: time was up before the first step, or a loss is not finite.
    """
    deadline, n_rows, n_stop = deadline or Deadline(), unit.train.n_samples, unit.stop.n_samples
    some = np.linspace(0, n_stop - 1, min(n_stop, MOST_LOOKED_AT)).astype(int)
    unit = replace(unit, stop=unit.stop.at(some), stop_target=unit.stop_target[some])
    shape = InputShape.covering([unit.train.between(0, 1), unit.stop])
    trainer = Trainer(family, config, recipe_for_many(recipe), task, shape, "cpu")
    of_one = seconds_a_sample(family, config=config, recipe=trainer.recipe, task=task, shape=shape, n_rows=n_rows)
    most_samples = samples_within(deadline.remaining, of_one=of_one, n_stop=n_stop)
    pace = _kept_pace(pace_for_many(trainer.recipe, n_rows, most_samples=most_samples), n_rows, unit.checkpoints)
    is_divided = is_worth_a_thread(of_one * pace.batch_size)
    with settled(threads=max(machine.usable_cores(), N_STACKS) if is_divided else 1), without_denormals():
        keeper = Keeper(unit.checkpoints, "network")
        return trainer.fit_stored(unit, pace=pace, watch=Watch(deadline, report=progress), keeper=keeper)


def _kept_pace(pace: Pace, n_rows: int, checkpoints: Checkpoints | None) -> Pace:
    """The pace that an earlier process began with, whatever time is left now; else this one, written down."""
    content = None if checkpoints is None else checkpoints.load("pace")
    try:
        kept = None if content is None else json.loads(content)
    except (ValueError, RecursionError):  # a stranger's
        kept = None
    slowest = pace_for_many(Recipe(batch_size=pace.batch_size), n_rows, most_samples=math.inf)
    match kept:
        case {"batch_size": pace.batch_size, "n_steps": int(n_steps), "n_epochs": int(n_epochs)} if (
            0 < n_epochs <= slowest.n_epochs and 0 < n_steps * n_epochs <= (slowest.n_steps + 1) * slowest.n_epochs
        ):
            return replace(pace, n_steps=n_steps, n_epochs=n_epochs)
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


def _whole(unit: UnitData, recipe: Recipe) -> UnitData:
    """The unit with its stop rows among those to learn from, where its recipe wants few rows to be learned from to the last.

    The fold's rows are counted, and of a unit that has a share of its training rows as large a share of the stop rows joins.
    """
    n_train, n_stop = unit.train.n_samples, unit.stop.n_samples
    if not recipe.learns_all(round(n_train / unit.share) + n_stop):
        return unit
    joining = np.sort(np.random.default_rng(unit.seed).permutation(n_stop)[: math.ceil(unit.share * n_stop)])
    return replace(
        unit,
        train=unit.train.followed_by(unit.stop.at(joining)),
        train_target=np.concatenate([unit.train_target, unit.stop_target[joining]]),
        among_train=True,
    )


def _report(progress: Callable[[float], None], number: int, total: int, fraction: float) -> None:
    progress((number + fraction) / total)


def _check(units: Sequence[UnitData]) -> None:
    for unit in units:
        for part, inputs in (("train", unit.train), ("stop", unit.stop)):
            if inputs.n_samples == 0:
                raise TrainingError(f"fold {unit.fold + 1} has no {part} rows; use fewer folds, or more rows.")
