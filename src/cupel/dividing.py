"""How the rows of a question are divided: into folds, or once where time is short for many rows; and those of outer folds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel import data
from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.settings import Settings
from cupel.core.split import Splits
from cupel.core.task import TaskKind

if TYPE_CHECKING:
    from cupel.problem import Problem

Array = NDArray[Any]
N_FOLDS_OF_MASKS = 3
FEWEST_FOR_A_TENTH, FEWEST_FOR_A_LONG_RUN = 10_000, 20_000
FEWEST_OF_OTHERS = 1_000
"""Rows that are not of the commonest class: a tenth with ten cases of fraud judges by these ten."""
MAX_SHARE_OF_FIRST = 0.5
"""Of the time: what the first of the portfolio may take on all folds, or the rows are divided once (docs/decisions/0023)."""


def _division(dataset: Dataset, settings: Settings) -> tuple[str, int | None]:
    """Scheme and number of folds; few masks are not divided twice, nor in five: each is thousands of answers."""
    is_free = settings.split == "auto" and dataset.schema.group is None and dataset.schema.time is None
    if dataset.task is not None and dataset.task.grid and is_free:
        return "stratified", settings.n_folds or N_FOLDS_OF_MASKS
    return settings.split, settings.n_folds


def divide(dataset: Dataset, settings: Settings, *, twins: Array | None = None, among: Array | None = None) -> Splits:
    """The folds that the settings ask for; rows that share a number in `twins` stay together.

    With `among` these rows alone are divided, and all others sealed.

    Raises:
        DataError: the rows cannot be divided so.
    """
    if among is not None:
        splits = _folds(dataset.at(among), settings, twins=None if twins is None else twins[among])
        splits = splits.placed(among, n_samples=dataset.n_samples)
    else:
        splits = _folds(dataset, settings, twins=twins)
        if settings.seal:
            kept = data.split(dataset.summary, scheme="holdout", holdout=settings.seal, seed=settings.seed, twins=twins)
            own = kept.folds[0]  # over time it leaves out who is of a group that is sealed
            apart = np.setdiff1d(np.arange(dataset.n_samples), np.concatenate([own.train, own.stop, own.valid]))
            splits = splits.sealing(own.valid, silent=apart if len(apart) else None)
    splits = splits.sparing(data.FixPlan.of(settings.fixes).spared(dataset))
    data.check_folds(dataset.summary, splits.folds)
    return splits


def divided_for(problem: Problem, *, seconds: float, begun: str | None = None) -> Problem:
    """The same with a tenth held out, where so many seconds are too few for models on every fold.

    Too few they are for the largest `longer` model, or where the first of the portfolio would take more than half of them.
    Only where rows are many and nobody said how to divide them. No clock decides, and the settings say it: a run that is gone on
    with, whose settings have the split `begun`, has the same rows however much time there is now. Runs of outer folds share it.
    """
    settings, schema = problem.settings, problem.dataset.schema
    is_said = settings.split != "auto" or settings.n_folds or settings.n_repeats > 1 or problem.weights
    if is_said or schema.group or schema.time:
        return problem
    if begun != data.TENTH and (begun is not None or not _are_short(problem, seconds / (settings.nested + 1))):
        return problem
    settings = replace(settings, split=data.TENTH)
    splits = divide(problem.dataset, settings, twins=problem.twins)
    others = (finding for finding in problem.findings if finding.code != data.FEW_UNITS_CODE)
    return replace(problem, settings=settings, splits=splits, findings=(*others, *data.few_units(problem.dataset, splits)))


def _are_short(problem: Problem, seconds: float) -> bool:
    """Whether so many seconds are too few for models on every fold, and rows so many that a tenth of them judges honestly."""
    n_rows = problem.dataset.n_samples
    if math.isinf(seconds) or n_rows < FEWEST_FOR_A_TENTH:
        return False
    presets = [(preset, kin) for kin in problem.families if not kin.is_baseline for preset in kin.portfolio(problem.task)]
    placed = [(preset.place, preset, kin) for preset, kin in presets if preset.place is not None]
    first = min(placed, key=lambda each: each[0], default=None)
    longest = [(kin.longer(kin.portfolio(problem.task)[0])[0], kin) for kin in problem.families if kin.longer]
    estimate = problem.estimator()
    try:
        if (
            first is not None
            and _n_of_others(problem) >= FEWEST_OF_OTHERS
            and estimate(*first[1:]).seconds > MAX_SHARE_OF_FIRST * seconds
        ):
            return True
        return n_rows >= FEWEST_FOR_A_LONG_RUN and any(estimate(*each).seconds > seconds for each in longest)
    except TrainingError:  # told when its turn comes
        return False


def _n_of_others(problem: Problem) -> float:
    """How many rows are not of the commonest class, of a middling label its rarer answer; infinite where there are no classes."""
    task, target = problem.task, problem.target
    if task.kind is TaskKind.MULTILABEL:
        return float(np.median(np.minimum((target == 1).sum(axis=0), (target == 0).sum(axis=0))))
    return float(len(target) - np.bincount(target).max()) if task.is_classification else math.inf


def _folds(dataset: Dataset, settings: Settings, *, twins: Array | None) -> Splits:
    scheme, n_folds = _division(dataset, settings)
    return data.split(
        dataset.summary, scheme=scheme, n_folds=n_folds, repeats=settings.n_repeats, seed=settings.seed, twins=twins
    )


def outer_parts(problem: Problem) -> list[tuple[Array, Array]]:
    """For each of the outer folds of `nested`: the rows that a whole run learns from, and those that it must predict.

    Sealed rows are in none. Groups stay whole, and where time orders the rows, later ones are predicted from earlier ones.

    Raises:
        DataError, UsageError: the rows cannot be divided so.
    """
    dataset, settings = problem.dataset, problem.settings
    sealed = np.empty(0, np.int64) if problem.splits.sealed is None else problem.splits.sealed
    rows = np.setdiff1d(np.arange(dataset.n_samples), sealed)
    scheme = "auto" if settings.split in ("holdout", data.TENTH, "repeated") else settings.split
    asked = replace(settings, split=scheme, n_folds=settings.nested, n_repeats=1)
    folds = _folds(dataset.at(rows), asked, twins=None if problem.twins is None else problem.twins[rows]).folds
    learned = [np.sort(np.concatenate([fold.train, fold.stop])) for fold in folds]
    return [(rows[own], rows[fold.valid]) for own, fold in zip(learned, folds[: settings.nested], strict=False)]
