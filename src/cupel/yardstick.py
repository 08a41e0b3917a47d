"""How the predictions of a problem are measured while it is searched: scores, comparisons, and how they are written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.form import Form
from cupel.core.trial import Trial
from cupel.problem import Problem

Array = NDArray[Any]
LOG_LOSS_SHARE = 0.02
N_RACING_RESAMPLES = 200
N_SHOWN_RESAMPLES = 200


def scorer(problem: Problem) -> Callable[[Array, Array], float]:
    """`score(predictions, rows)` by the problem's metric, larger is better."""
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    target, parts = problem.target, problem.splits.parts

    def score(predictions: Array, rows: Array) -> float:
        return metric.sign * evaluation.score(metric.within(parts[rows]), target[rows], predictions)

    return score


def blender(problem: Problem) -> Callable[[Array, Array], float]:
    """What ensembles are chosen by: the metric, and for classes a little of the log loss.

    Metrics of ranks and of decisions do not see it when a mixture with a constant flattens probabilities: without this a mixture
    chosen by ROC-AUC on a table of 5,600 rows had the log loss 0.54, each of its networks 0.41.
    """
    score = scorer(problem)
    if problem.task.form in (Form.VALUES, Form.MASKS):
        return score

    def both(predictions: Array, rows: Array) -> float:
        log_loss = evaluation.score("log_loss", problem.target[rows], predictions)
        return score(predictions, rows) - LOG_LOSS_SHARE * log_loss

    return both


def comparer(problem: Problem) -> Callable[..., float]:
    """`worse(first, second, rows=)`: the probability that the first predictions are worse, by paired bootstrap."""
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    groups, seed, target = problem.splits.units, problem.settings.seed, problem.target
    parts = problem.splits.parts

    def worse(first: Array, second: Array, *, rows: Array) -> float:
        own = None if groups is None else groups[rows]
        n_resamples, within = N_RACING_RESAMPLES, metric.within(parts[rows])
        found = evaluation.paired_difference(within, target[rows], first, second, groups=own, seed=seed, n_resamples=n_resamples)
        return float(found.probability_worse)

    return worse


def show_score(problem: Problem, score: float) -> str:
    """A score of `scorer` written out with its metric's name, in the metric's own sense."""
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    return f"{metric.label} {score if metric.higher_is_better else -score:.4f}"


def show_interval(problem: Problem, trial: Trial) -> str:
    """The 95% interval of a trial's score on the rows that it has predicted, written out; no choice is allowed for in it."""
    assert trial.out_of_fold is not None, "asked only of trials with predictions"
    rows = np.flatnonzero(np.isfinite(trial.out_of_fold).all(axis=1))
    metric = evaluation.metric_named(problem.task.metric, problem.task).within(problem.splits.parts[rows])
    groups = None if problem.splits.units is None else problem.splits.units[rows]
    found = evaluation.interval(
        metric,
        problem.target[rows],
        trial.out_of_fold[rows],
        groups=groups,
        n_resamples=N_SHOWN_RESAMPLES,
        stretch=evaluation.stretch_of(is_mutual=problem.splits.teach_one_another),
    ).bounded(metric)
    return f"{found.low:.4f} to {found.high:.4f}"
