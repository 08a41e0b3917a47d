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
from cupel.core.observer import Observer, Silent
from cupel.core.trial import Status, Trial
from cupel.problem import Problem
from cupel.verdict.words import written

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


def worth_of_more_rows(
    problem: Problem, tried: Sequence[tuning.Tried], *, run: Run, seconds: float | None, observer: Observer | None = None
) -> dict[str, Any]:
    """What doubling the rows would be worth, for machines and as words; nothing where it cannot be learned in so many seconds.

    None is no cap: then a share of what all candidates were expected to take is enough, by the families' own estimates. No clock
    decides it, so that a run that was killed and gone on with says the same as one that was left alone.
    """
    shares = _shares(problem)
    taken = _estimated(problem, tried) if seconds is None else [each.trial.fit_seconds for each in tried]
    chosen = _affordable(problem, tried, n_sizes=len(shares), taken=taken, seconds=seconds)
    if chosen is None:
        return {}
    (observer or Silent()).stage("learning from fewer rows what more would be worth")
    choices, n_folds = chosen
    full = choices[0]
    proposal, deadline = full.proposal, Deadline(None if seconds is None else 2 * seconds)
    trials = []
    for share in shares:
        trial = run(proposal.candidate, proposal.family, deadline=deadline, progress=_unheard, n_folds=n_folds, share=share)
        if trial.out_of_fold is None or trial.status is not Status.DONE:
            return {}
        trials.append(trial)
    n_learned = problem.splits.n_learned(proposal.candidate.recipe)
    predictions = [trial.out_of_fold for trial in (*trials, full.trial) if trial.out_of_fold is not None]
    rows = np.flatnonzero(np.isfinite(predictions[0]).all(axis=1))
    groups = problem.splits.units
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    found = evaluation.doubling(
        metric.within(problem.splits.parts[rows]),
        problem.target[rows],
        [prediction[rows] for prediction in predictions],
        sizes=[*(round(share * n_learned) for share in shares), n_learned],
        groups=None if groups is None else groups[rows],
        seed=problem.settings.seed,
        luck=_luck(problem, choices),
    )
    facts = {"candidate": proposal.candidate.name, "gain": found.gain, "low": found.low, "high": found.high}
    facts |= {"exponent": found.exponent, "points": [list(point) for point in found.points]}
    return {"more_rows": facts, "words": [_words(found, problem, proposal.candidate.name)]}


def _shares(problem: Problem) -> list[float]:
    """Those that leave enough rows to learn from."""
    n_train = problem.splits.n_learned(None)
    return [share for share in SHARES if share * n_train >= FEWEST_ROWS]


def _estimated(problem: Problem, tried: Sequence[tuning.Tried]) -> list[float]:
    """Seconds that each was expected to take where it was trained on all folds, the same on every machine; else 0."""
    estimate, n_all = problem.estimator(), len(problem.splits.folds)
    return [
        estimate(each.proposal.candidate, each.proposal.family).seconds if len(each.trial.units) == n_all else 0.0
        for each in tried
    ]


def _affordable(
    problem: Problem, tried: Sequence[tuning.Tried], *, n_sizes: int, taken: Sequence[float], seconds: float | None
) -> tuple[list[tuning.Tried], int] | None:
    """The candidates for which there is time, best first, and on how many folds: better on all than better in itself.

    `taken` are the seconds of each. How a baseline gets better says nothing of what is better than it.
    """
    n_all = len(problem.splits.folds)
    if seconds is None:
        beside = SECONDS_A_UNIT * sum(len(each.trial.units) for each in tried)
        seconds = SHARE_OF_TIME * (sum(taken) + beside)
    if n_sizes + 1 < evaluation.FEWEST_SIZES or seconds < FEWEST_SECONDS:
        return None
    best = max((each.score for each in tried if each.score is not None), default=0.0)
    finished = [
        (each, its_seconds)
        for each, its_seconds in zip(tried, taken, strict=True)
        if each.score is not None
        and each.trial.status is Status.DONE
        and not each.proposal.is_screening
        and len(each.trial.units) == n_all
        and (each.score == best or not each.trial.is_baseline)
    ]
    finished.sort(key=lambda each: -(each[0].score or 0.0))
    for n_folds in (n_all, 1):
        choices = [
            each
            for each, its_seconds in finished[: max(3, len(finished) // 2)]
            if n_folds * (its_seconds / n_all * sum(SHARES[-n_sizes:]) + n_sizes * SECONDS_A_UNIT) <= seconds
        ]
        if choices:
            return choices, n_folds
    return None


def _luck(problem: Problem, choices: Sequence[tuning.Tried]) -> float:
    """What having been the best of them adds to the first one's score on all rows, and to none of those on fewer."""
    predictions = [each.trial.out_of_fold for each in choices if each.trial.out_of_fold is not None]
    rows = np.flatnonzero(np.isfinite(predictions).all(axis=(0, 2)))
    groups = problem.splits.units
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
    gain, low, high = (written(end, resolution=found.high - found.low) for end in (found.gain, found.low, found.high))
    sure = "" if found.low > 0 else "; that may be nothing"
    return (
        f"Twice as many rows would be worth about {gain} in {label} (95% interval {low} to {high}{sure}), "
        f"by how {name} got better up to {found.points[-1][0]:,} rows."
    )


def _unheard(_: float) -> None:
    """Progress that nobody follows."""
