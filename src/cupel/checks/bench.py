"""What a check works with: a family, a dataset, one fold of it, and short training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import training
from cupel.checks.example import example_dataset
from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.checkpoints import Checkpoints
from cupel.core.dataset import Dataset
from cupel.core.errors import CheckFailedError
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.inputs import Inputs
from cupel.core.modality import Modality
from cupel.core.preparation import Prepared
from cupel.core.presets import Preset
from cupel.core.task import Task, TaskKind

Array = NDArray[Any]
N_EPOCHS = 4
TRAINING_SECONDS = 600.0
"""Far more than is needed, so that no schedule has to follow the clock where the machine is busy."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What a check works with: a family, a dataset whose task is set, and the modality that reads it."""

    family: Family
    dataset: Dataset
    modality: Modality

    @property
    def task(self) -> Task:
        """The dataset's task."""
        assert self.dataset.task is not None, "a bench's dataset has a task"
        return self.dataset.task

    @property
    def target(self) -> Array:
        """The dataset's target."""
        assert self.dataset.target is not None, "a bench's dataset has a target"
        return self.dataset.target

    @property
    def spread(self) -> float:
        """The size of a difference in predictions that matters."""
        return 1.0 if self.task.form.has_probabilities else float(np.std(self.target))

    @cached_property
    def presets(self) -> tuple[Preset, ...]:
        """The portfolio, training shortened so that checks are quick."""
        return tuple(shortened(preset, n_epochs=N_EPOCHS) for preset in self.family.portfolio(self.task))

    @property
    def rows(self) -> tuple[Array, Array, Array]:
        """Rows to train on, to stop by and to predict; the last hold what training never saw."""
        n = self.dataset.n_samples
        return np.arange(n * 5 // 8), np.arange(n * 5 // 8, n * 6 // 8), np.arange(n * 6 // 8, n)

    def demand(self, is_kept: bool, came: str, *, advice: str) -> None:
        """Raise CheckFailedError unless a promise is kept."""
        demand(is_kept, who=f"family {self.family.name} ({self.task.kind.value})", came=came, advice=advice)

    def unit(self, preset: Preset, *, seed: int = 0) -> tuple[Prepared, UnitData]:
        """One fold as the family sees it, and the preparation that made it."""
        train, stop, valid = self.rows
        prepared: Prepared = preset.preparation.fit(self.dataset, train, seed=seed)
        unit = UnitData(
            fold=0,
            seed=seed,
            train=prepared.inputs,
            train_target=self.target[prepared.rows],
            stop=prepared.fitted.transform(self.dataset, stop),
            stop_target=self.target[stop],
            valid=prepared.fitted.transform(self.dataset, valid),
        )
        return prepared, unit

    def fit(self, preset: Preset, unit: UnitData, *, checkpoints: Checkpoints | None = None) -> FittedUnit:
        """The family fitted to one unit."""
        fitted = training.fit(
            self.family,
            [unit],
            config=preset.config,
            recipe=preset.recipe,
            task=self.task,
            deadline=Deadline(TRAINING_SECONDS),
            checkpoints=checkpoints,
            threads=1,  # checks run side by side; with two threads each, tiny products take 50 times as long
        )
        return fitted[0]

    @cached_property
    def fitted(self) -> tuple[Prepared, UnitData, FittedUnit]:
        """The first preset, fitted once for all checks that need it."""
        prepared, unit = self.unit(self.presets[0])
        return prepared, unit, self.fit(self.presets[0], unit)


def bench_for(family: Family, task: TaskKind | str, *, dataset: Dataset | None = None) -> Bench:
    """A bench for the family, to run single checks on; `dataset` as in `check_family`."""
    dataset = dataset or example_dataset(task)
    return Bench(family, dataset, registry.recognise(dataset.schema))


def shortened(preset: Preset, *, n_epochs: int) -> Preset:
    """The same preset, trained for that many epochs at most."""
    return preset if preset.recipe is None else replace(preset, recipe=replace(preset.recipe, epochs=n_epochs))


def demand(is_kept: bool, *, who: str, came: str, advice: str) -> None:
    """Raise unless a promise is kept.

    Raises:
        CheckFailedError: who broke it, what came, and what to do.
    """
    if not is_kept:
        raise CheckFailedError(f"{who}: {came}. {advice[:1].upper()}{advice[1:]}.")


def take(inputs: Inputs, rows: Array) -> Inputs:
    """Some rows of prepared inputs, in that order."""
    return Inputs({name: block[rows] for name, block in inputs.blocks.items()}, inputs.cardinalities)


def difference(first: Array, second: Array) -> float:
    """The largest absolute difference; infinite where shapes or NaN differ."""
    if first.shape != second.shape:
        return float("inf")
    off = np.abs(first - second)
    return float("inf") if np.isnan(off).any() else float(off.max(initial=0.0))


def emptied(dataset: Dataset, rows: Array) -> Dataset:
    """The dataset with every feature cell of these rows missing."""
    columns: Mapping[str, Array] = {name: values.copy() for name, values in dataset.columns.items()}
    for column in dataset.schema.features:
        values = columns[column.name]
        values[rows] = None if values.dtype == object else np.nan if column.kind.is_numeric else -1
    return replace(dataset, columns=columns)
