"""Trains one good candidate on fewer rows, and says what twice as many would be worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation, tuning
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.family import Family
from cupel.core.trial import Status, Trial
from cupel.problem import Problem

Array = NDArray[Any]
SHARES = (0.125, 0.25, 0.5)
FEWEST_ROWS = 120
"""Learned from at the smallest share."""
N_RESAMPLES = 100
"""To learn what choosing the best added to its score."""
SECONDS_A_UNIT = 0.3
"""To prepare, export and keep a model, beside training it."""
SHARE_OF_TIME = 0.04
FEWEST_SECONDS = 3.0
"""With less, starting to train takes more than training."""


class Run(Protocol):
    """Trains a candidate on the first folds with a share of their training rows (`execution.Runner.run`)."""

    def __call__(
        self,
        candidate: Candidate,
        family: Family,
        *,
        deadline: Deadline,
        progress: Callable[[float], None],
        n_folds: int | None,
        share: float,
    ) -> Trial:
        """The trial, failed or not."""
        ...


def worth_of_more_rows(problem: Problem, tried: Sequence[tuning.Tried], *, run: Run, seconds: float) -> dict[str, Any]:
    """What doubling the rows would be worth, for machines and as words; nothing where it cannot be learned in so many seconds."""
    sizes = _sizes(problem)
    chosen = _affordable(problem, tried, n_sizes=len(sizes), seconds=seconds)
    if chosen is None:
        return {}
    choices, n_folds = chosen
    full = choices[0]
    proposal, deadline = full.proposal, Deadline(2 * seconds)
    trials = []
    for share in sizes:
        trial = run(proposal.candidate, proposal.family, deadline=deadline, progress=_unheard, n_folds=n_folds, share=share)
        if trial.out_of_fold is None or trial.status is not Status.DONE:
            return {}
        trials.append(trial)
    predictions = [trial.out_of_fold for trial in (*trials, full.trial) if trial.out_of_fold is not None]
    rows = np.flatnonzero(np.isfinite(predictions[0]).all(axis=1))
    groups = problem.splits.groups
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    found = evaluation.doubling(
        metric.within(problem.splits.parts[rows]),
        problem.target[rows],
        [prediction[rows] for prediction in predictions],
        sizes=[*sizes.values(), _n_train(problem)],
        groups=None if groups is None else groups[rows],
        seed=problem.settings.seed,
        luck=_luck(problem, choices),
    )
    facts = {"candidate": proposal.candidate.name, "gain": found.gain, "low": found.low, "high": found.high}
    facts |= {"exponent": found.exponent, "points": [list(point) for point in found.points]}
    return {"more_rows": facts, "words": [_words(found, problem, proposal.candidate.name)]}


def _n_train(problem: Problem) -> int:
    return int(np.mean([len(fold.train) for fold in problem.splits.folds]))


def _sizes(problem: Problem) -> dict[float, int]:
    """Rows learned from at each share that leaves enough of them."""
    n_train = _n_train(problem)
    return {share: round(share * n_train) for share in SHARES if share * n_train >= FEWEST_ROWS}


def _affordable(
    problem: Problem, tried: Sequence[tuning.Tried], *, n_sizes: int, seconds: float
) -> tuple[list[tuning.Tried], int] | None:
    """The candidates for which there is time, best first, and on how many folds: better on all than better in itself."""
    if n_sizes + 1 < evaluation.FEWEST_SIZES or seconds < FEWEST_SECONDS:
        return None
    n_all = len(problem.splits.folds)
    finished = [
        each
        for each in tried
        if each.score is not None
        and each.trial.status is Status.DONE
        and not each.proposal.is_screening
        and len(each.trial.units) == n_all
    ]
    finished.sort(key=lambda each: -(each.score or 0.0))
    for n_folds in (n_all, 1):
        choices = [
            each
            for each in finished[: max(3, len(finished) // 2)]
            if _needed(each, n_folds, n_all=n_all, n_sizes=n_sizes) <= seconds
        ]
        if choices:
            return choices, n_folds
    return None


def _needed(each: tuning.Tried, n_folds: int, *, n_all: int, n_sizes: int) -> float:
    """Seconds that training a candidate on so many folds takes, at all sizes."""
    return n_folds * (each.trial.fit_seconds / n_all * sum(SHARES[-n_sizes:]) + n_sizes * SECONDS_A_UNIT)


def _luck(problem: Problem, choices: Sequence[tuning.Tried]) -> float:
    """What having been the best of them adds to the first one's score on all rows, and to none of those on fewer."""
    predictions = [each.trial.out_of_fold for each in choices if each.trial.out_of_fold is not None]
    rows = np.flatnonzero(np.isfinite(predictions).all(axis=(0, 2)))
    groups = problem.splits.groups
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    compared = evaluation.Comparison.of(
        metric.within(problem.splits.parts[rows]),
        problem.target[rows],
        [prediction[rows] for prediction in predictions],
        groups=None if groups is None else groups[rows],
        seed=problem.settings.seed,
        n_resamples=N_RESAMPLES,
    )
    return compared.luck(lambda scores: int(np.argmax(scores))).estimate


def _words(found: evaluation.Doubling, problem: Problem, name: str) -> str:
    label = evaluation.metric_named(problem.task.metric, problem.task).label
    low, high = found.low, found.high
    sure = "" if low > 0 else "; that may be nothing"
    return (
        f"Twice as many rows would be worth about {found.gain:.2g} in {label} (95% interval {low:.2g} to {high:.2g}{sure}), "
        f"by how {name} got better up to {found.points[-1][0]:,} rows."
    )


def _unheard(_: float) -> None:
    """Progress that nobody follows."""
