"""The end of every run: combine, judge, pack, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import ensembling, evaluation, execution, packing, verdict
from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import NoModelError
from cupel.core.feeds import feeds_of
from cupel.core.observer import Observer
from cupel.core.schema import ColumnKind
from cupel.core.storage import write_json, write_text
from cupel.core.trial import Ensemble, Trial
from cupel.problem import Problem
from cupel.run import Run

Array = NDArray[Any]
MAX_SELECTION_ROWS = 4000
N_LATENCY_ROWS = 200


def scorer(problem: Problem) -> Callable[[Array, Array], float]:
    """`score(predictions, rows)` by the problem's metric, larger is better."""
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    sign = 1.0 if metric.higher_is_better else -1.0
    target = problem.target

    def score(predictions: Array, rows: Array) -> float:
        return sign * evaluation.score(metric, target[rows], predictions)

    return score


def show_score(problem: Problem, score: float) -> str:
    """A score of `scorer` written out with its metric's name, in the metric's own sense."""
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    return f"{metric.label} {score if metric.higher_is_better else -score:.4f}"


def conclude(
    problem: Problem, folder: execution.RunFolder, trials: Sequence[Trial], *, deadline: Deadline, observer: Observer
) -> Run:
    """Combine what was found, judge it, pack the best and write the report.

    Raises:
        NoModelError: nothing usable was found; the reasons are in the leaderboard.
        ParityError: the packed model does not predict what the trained one predicts.
    """
    observer.stage("proving and packing the best")
    trials = [_with_latency(problem, folder, trial) for trial in trials]
    usable = [trial for trial in trials if trial.out_of_fold is not None]
    if not usable:
        reasons = "; ".join(f"{trial.candidate.name}: {trial.reason}" for trial in trials) or "no family fits this task"
        raise NoModelError(f"no candidate gave a usable model ({reasons}). Mend the first reason and run again.")
    score, rows = scorer(problem), problem.splits.covered
    predictions = [trial.out_of_fold for trial in usable if trial.out_of_fold is not None]
    best = usable[int(np.argmax([score(prediction[rows], rows) for prediction in predictions]))]
    ensemble = ensembling.combine(usable, score, rows)
    pick = _pick(problem, ensembling.single(best), ensemble)
    model = _packed_model(folder, pick)
    return _publish(problem, folder, trials, ensemble=ensemble, pick=pick, model=model, seconds=deadline.elapsed)


def _pick(problem: Problem, best: Ensemble, ensemble: Ensemble | None) -> Ensemble:
    """The ensemble where it is probably better than its best member, else that member: it is smaller and faster."""
    if ensemble is None:
        return best
    rows = problem.splits.covered
    difference = evaluation.paired_difference(
        problem.task.metric,
        problem.target[rows],
        ensemble.out_of_fold[rows],
        best.out_of_fold[rows],
        groups=_groups(problem),
        seed=problem.settings.seed,
    )
    return ensemble if difference.probability_worse < MAX_DOUBT else best


def _groups(problem: Problem) -> Array | None:
    groups = problem.splits.groups
    return None if groups is None else groups[problem.splits.covered]


def _with_latency(problem: Problem, folder: execution.RunFolder, trial: Trial) -> Trial:
    if not trial.units:
        return trial
    rows = np.arange(min(N_LATENCY_ROWS, problem.dataset.n_samples))
    feeds = feeds_of(problem.dataset, rows, problem.inputs)
    model = _trial_model(folder, trial)
    return replace(trial, latency_ms=packing.measure_latency(model, feeds, seconds=0.2), n_bytes=len(model))


def _trial_model(folder: execution.RunFolder, trial: Trial) -> bytes:
    models = [folder.units.model(unit.key) for unit in trial.units]
    return packing.combine(models, [1 / len(models)] * len(models))


def _packed_model(folder: execution.RunFolder, pick: Ensemble) -> bytes:
    models, weights = [], []
    for member, weight in zip(pick.members, pick.weights, strict=True):
        for unit in member.units:
            models.append(folder.units.model(unit.key))
            weights.append(weight / len(member.units))
    return packing.combine(models, weights)


def _expected(folder: execution.RunFolder, pick: Ensemble) -> Array:
    """What the trained models themselves predicted for the golden rows, blended as the ensemble is."""
    total: Any = 0.0
    for member, weight in zip(pick.members, pick.weights, strict=True):
        total = total + weight * np.mean([folder.units.array(unit.key, "golden") for unit in member.units], axis=0)
    return np.asarray(total)


def golden_cells(dataset: Dataset, rows: Array) -> dict[str, list[Any]]:
    """Rows as somebody would send them: plain numbers and texts by column, None is missing, the target left out."""
    cells: dict[str, list[Any]] = {}
    for column in dataset.schema.features:
        values = dataset.cells(column.name, rows).tolist()
        if column.kind is ColumnKind.DATETIME:
            values = [None if value != value else _iso(value) for value in values]
        elif column.kind is ColumnKind.BOOLEAN:
            values = [None if value != value else column.levels[int(value)] for value in values]
        elif column.kind is ColumnKind.NUMBER:
            values = [None if value != value else value for value in values]
        cells[column.name] = values
    return cells


def _iso(seconds: float) -> str:
    moment = np.datetime64(round(seconds * 1e6), "us")
    return str(np.datetime_as_string(moment, unit="us"))
