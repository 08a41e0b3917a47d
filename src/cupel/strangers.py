"""Rows that two models of a pick had not seen: what they say of them together shows what packing their mean is worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation, packing, trust
from cupel.core.feeds import feeds_of
from cupel.core.trial import Ensemble, Trial
from cupel.core.uncertainty import Decision
from cupel.problem import Problem
from cupel.verdict import Score
from cupel.verdict.measures import as_judged

Array = NDArray[Any]
FEWEST_ROWS, MOST_ROWS_OF_A_FOLD = 100, 4000


@dataclass(frozen=True, eq=False)
class _Second:
    """What a second model of each member says, the model's fold by row, -1 where there is none."""

    said: list[Array]
    fold: NDArray[np.int64]


def score_of_packed(
    problem: Problem,
    pick: Ensemble,
    *,
    score: Score,
    corrected: float = 0.0,
    decision: Decision | None = None,
    model: Callable[[str], bytes],
    seconds: float = math.inf,
) -> dict[str, Any]:
    """What is to be expected of what is packed: the mean of the folds' models, where `score` is theirs one by one.

    `corrected` is what correcting probabilities gains, positive where it is better, which `score` does not have; nor does it know
    of a `decision`, by which what is packed answers, and by which metrics of answers are to be expected. A fold's stop
    rows taught its model nothing, and the models of other folds judge them too: these are the strangers. `model` gives a
    unit's model by its key. Where a model did learn from them in the end, its unit may hold what one said of them that had not,
    as of boosted trees. Such a one saw fewer rows, and differs more from the others: what is told of the gain is about a tenth
    too much (docs/decisions/0020). Of the mean nothing is said where the folds are repeated, one row has several answers, every
    family learns from its stop rows and holds no such thing, or rows are too few.
    """
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    moved, decided = _decided(problem, pick, metric, score.moved(metric.sign * corrected), decision=decision)
    gain = _gain(problem, pick, metric, model=model, seconds=seconds, decision=decision)
    changes = {"corrected": corrected, "decided": decided}
    if gain is None:
        expected = evaluation.Interval(moved.estimate, moved.low, moved.high).bounded(metric)
        told = {"estimate": expected.estimate, "low": expected.low, "high": expected.high, **changes}
        return {"packed": told, "words": []} if corrected or decided else {}
    return _told(problem, gain, moved, metric, changes=changes)


def _decided(
    problem: Problem, pick: Ensemble, metric: evaluation.Metric, score: Score, *, decision: Decision | None
) -> tuple[Score, float]:
    """The score of what is answered in the end, and what answering by a threshold adds to it, positive where it is better."""
    if decision is None or metric.needs != "labels":
        return score, 0.0
    rows = problem.splits.covered
    rows = rows[np.isfinite(pick.out_of_fold[rows]).all(axis=1)]
    target, said = problem.target[rows], pick.out_of_fold[rows]
    plain = evaluation.score(metric, target, said)
    found = evaluation.interval(
        metric,
        target,
        as_judged(metric, said, decision=decision),
        groups=None if problem.splits.units is None else problem.splits.units[rows],
        seed=problem.settings.seed,
        stretch=evaluation.stretch_of(is_mutual=problem.splits.teach_one_another),
    )
    answered = Score(estimate=found.estimate, low=found.low, high=found.high)
    return answered.moved(score.estimate - plain), metric.sign * (found.estimate - plain)


@dataclass(frozen=True)
class _Gain:
    """What the mean of the folds' models gains over them, larger being better, and how many rows show it."""

    found: evaluation.Difference
    n_rows: int


def _gain(
    problem: Problem,
    pick: Ensemble,
    metric: evaluation.Metric,
    *,
    model: Callable[[str], bytes],
    seconds: float,
    decision: Decision | None,
) -> _Gain | None:
    owner = _owners(problem)
    spared = [place for place, member in enumerate(pick.members) if _has_strangers(problem, member)]
    if len(problem.splits.folds) < 2 or owner is None or not spared or not trust.is_judged_row_by_row(problem, pick):
        return None
    second = _second_models(problem, pick, spared, model=model, seconds=seconds)
    rows = np.flatnonzero((second.fold >= 0) & (owner >= 0) & np.isfinite(pick.out_of_fold).all(axis=1))
    if len(rows) < FEWEST_ROWS:
        return None
    first = [_predictions(member)[rows] for member in pick.members]
    other = [said[rows] for said in second.said]
    pairs = owner[rows] * len(problem.splits.folds) + second.fold[rows]
    together = [(one + two) / 2 for one, two in zip(first, other, strict=True)]
    one, two, both = (as_judged(metric, pick.rule.apply(each), decision=decision) for each in (first, other, together))
    found = evaluation.gain_of_mean(
        metric.within(pairs[:, None]),
        problem.target[rows],
        said=(one, two),
        together=both,
        n_models=len(problem.splits.folds),
        groups=None if problem.splits.units is None else problem.splits.units[rows],
        seed=problem.settings.seed,
    )
    return _Gain(found, len(rows))


def _owners(problem: Problem) -> NDArray[np.int64] | None:
    """The fold that judges each row, -1 where none does; None where rows are divided in several ways."""
    parts = problem.splits.parts  # they end with the last row that is in some fold
    if parts.shape[1] > 1:
        return None
    owners = np.full(problem.dataset.n_samples, -1, np.int64)
    owners[: len(parts)] = parts[:, 0]
    return owners


def _has_strangers(problem: Problem, member: Trial) -> bool:
    """Whether stop rows only end its training, or its units hold what was said before they did more, and all folds' are there."""
    family = next((family for family in problem.families if family.name == member.candidate.family), None)
    are_held = all(unit.stop_predictions is not None for unit in member.units)
    recipe, folds = member.candidate.recipe, problem.splits.folds
    learns_all = recipe is not None and any(recipe.learns_all(len(fold.train) + len(fold.stop)) for fold in folds)
    spares = are_held or (family is not None and family.spares_stop_rows and not learns_all)
    return spares and len(member.units) == len(problem.splits.folds)


def _second_models(
    problem: Problem, pick: Ensemble, spared: Sequence[int], *, model: Callable[[str], bytes], seconds: float
) -> _Second:
    """Members that learn from their stop rows say the same again; so does everything beyond the time."""
    said = [_predictions(member).copy() for member in pick.members]
    fold_of = np.full(problem.dataset.n_samples, -1, np.int64)
    started, generator = time.monotonic(), np.random.default_rng(problem.settings.seed)
    for number, fold in enumerate(problem.splits.folds):
        if number and (time.monotonic() - started) * (number + 1) / number > seconds:
            break
        chosen = np.flatnonzero(fold_of[fold.stop] < 0)
        if len(chosen) > MOST_ROWS_OF_A_FOLD:
            chosen = np.sort(generator.choice(chosen, MOST_ROWS_OF_A_FOLD, replace=False))
        if not len(chosen):
            continue
        rows, feeds = fold.stop[chosen], dict[str, Array]()
        for place in spared:
            unit = next(unit for unit in pick.members[place].units if unit.fold == fold.index)
            if unit.stop_predictions is not None:
                said[place][rows] = unit.stop_predictions[chosen]
                continue
            feeds = feeds or feeds_of(problem.dataset, rows, problem.inputs)
            said[place][rows] = packing.run(packing.session(model(unit.key)), feeds)
        fold_of[rows] = fold.index
    return _Second(said, fold_of)


def _predictions(member: Trial) -> Array:
    assert member.out_of_fold is not None, "only usable trials are picked"
    return member.out_of_fold


def _told(
    problem: Problem, mean: _Gain, score: Score, metric: evaluation.Metric, *, changes: Mapping[str, float]
) -> dict[str, Any]:
    """The gain added to the score, their uncertainties as of two things that do not depend on one another."""
    gain, sign = mean.found, metric.sign
    own = [sign * end for end in (score.estimate, *sorted((score.low, score.high), key=lambda end: sign * end))]
    estimate = own[0] + gain.estimate
    low = estimate - math.hypot(own[0] - own[1], gain.estimate - gain.low)
    high = estimate + math.hypot(own[2] - own[0], gain.high - gain.estimate)
    low, high = sorted((sign * low, sign * high))
    expected = evaluation.Interval(sign * estimate, low, high).bounded(metric)
    told = {"estimate": expected.estimate, "low": expected.low, "high": expected.high, **changes}
    told |= {"n_models": len(problem.splits.folds), "n_rows": mean.n_rows}
    return {"packed": {**told, "gain": gain.estimate, "gain_low": gain.low, "gain_high": gain.high}, "words": []}
