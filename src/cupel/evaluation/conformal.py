"""Learns from out-of-fold predictions how wide ranges must be, how large sets, and when to keep silent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.uncertainty import Coverage, Decision, Distribution, Silence, chosen
from cupel.evaluation.sure_shares import FEWEST_FIRST, ends_of, sure_shares, units_from_zero

Array = NDArray[Any]
MOST_STORED = 1000
"""Points of a distribution; of more rows the upper one of each step is kept, so that no promise becomes smaller."""
N_SCALES, FEWEST_ROWS_A_SCALE = 10, 40
USUAL_COVERAGE = 0.9
WORTH = 0.98
"""Ranges that follow the prediction are taken where they cost less than this share of constant ones, by interval score."""
N_CONFIDENCES = 200
N_PARTS = 5


@dataclass(frozen=True)
class Held:
    """How a promise held on rows that it was not learned from: the share covered, and the mean width or size of a set.

    These rows are later than those that it was learned from where it `is_of_later` ones.
    """

    coverage: float
    observed: float
    size: float
    is_of_later: bool = False


def coverage_of(
    target: Shaped[Array, " sample"],
    predictions: Float[Array, "sample output"],
    *,
    groups: Shaped[Array, " sample"] | None = None,
) -> Coverage:
    """What out-of-fold predictions teach about coverage: of classes where there are several outputs, else of values.

    With `groups` each of them counts as one unit, however many rows it has.

    A model that is the mean of the folds' models errs less than each of these, so what is promised is kept rather more often.

    Source: Vovk 2015, "Cross-conformal predictors", doi:10.1007/s10472-013-9368-4, with one model at prediction; sets after
    Sadinle et al. 2019, doi:10.1080/01621459.2017.1395341; scaled residuals after Papadopoulos et al. 2008, scaled by what the
    prediction itself tells of the size of errors.
    """
    weights, n_units = _weights(len(target), groups)
    if predictions.shape[1] > 1:
        lack = 1.0 - predictions[np.arange(len(target)), target.astype(np.int64)]
        return Coverage(_distribution(lack, weights, n_units))
    said, residual = predictions[:, 0].astype(np.float64), target - predictions[:, 0]
    constant = _of_values(residual, weights, n_units, knots=(0.0,), scales=(1.0,), said=said)
    scales = _scales(said, np.abs(residual))
    if scales is None:
        return constant
    following = _of_values(residual, weights, n_units, knots=scales[0], scales=scales[1], said=said)
    is_cheaper = _interval_score(following, said, target) < WORTH * _interval_score(constant, said, target)
    return following if is_cheaper else constant


def held(
    target: Shaped[Array, " sample"],
    predictions: Float[Array, "sample output"],
    *,
    coverage: float,
    groups: Shaped[Array, " sample"] | None = None,
    moments: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
) -> Held:
    """How a promise of that coverage holds out of fold: learned on four fifths of the rows, judged on the rest.

    Each fifth judges in turn. Where rows have `moments` only the latest does: what is promised of rows to come must not be
    judged by rows from before those that taught it.
    """
    units = np.arange(len(target)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_units = int(units.max()) + 1
    if moments is None:
        part_of, judging = np.random.default_rng(seed).permutation(n_units) % N_PARTS, range(N_PARTS)
    else:
        last = np.full(n_units, -np.inf)
        np.maximum.at(last, units, moments)
        part_of, judging = np.zeros(n_units, np.int64), range(N_PARTS - 1, N_PARTS)
        part_of[np.argsort(last, kind="stable")[n_units - math.ceil(n_units / N_PARTS) :]] = N_PARTS - 1
    parts = part_of[units]
    covered, size = np.zeros(len(target), np.bool_), np.zeros(len(target))
    for part in judging:
        rest, judged = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        if len(judged) == 0:
            continue
        learned = coverage_of(target[rest], predictions[rest], groups=None if groups is None else groups[rest])
        covered[judged], size[judged] = _judged(learned, target[judged], predictions[judged], coverage)
    asked = np.isin(parts, list(judging))
    return Held(coverage, float(covered[asked].mean()), float(size[asked].mean()), is_of_later=moments is not None)


def silence_of(
    target: Int[Array, " sample"],
    predictions: Float[Array, "sample klass"],
    *,
    groups: Shaped[Array, " sample"] | None = None,
    decision: Decision | None = None,
) -> Silence | None:
    """How often answers are surely right, by how sure they are (`sure_shares`). None where rows, or groups, are too few.

    They are those of the decision where there is one, however improbable.
    """
    units = units_from_zero(groups)
    if (len(target) if units is None else int(units.max(initial=-1)) + 1) < FEWEST_FIRST:
        return None
    answers = chosen(predictions, decision)
    sure, right = predictions[np.arange(len(target)), answers], answers == target
    order = np.argsort(-sure, kind="stable")
    counts = ends_of(sure[order], fewest=FEWEST_FIRST, most=N_CONFIDENCES)
    lower = sure_shares(right[order], counts, units=None if units is None else units[order])
    confidences = sure[order][counts - 1]
    return Silence(
        tuple(confidences[::-1].tolist()),
        tuple(lower[::-1].tolist()),
        tuple((counts[::-1] / len(target)).tolist()),
        threshold=None if decision is None else decision.threshold,
    )


def _judged(learned: Coverage, target: Array, predictions: Array, coverage: float) -> tuple[Array, Array]:
    if learned.below is None:
        members = learned.members(predictions, coverage)
        return members[np.arange(len(target)), target], members.sum(axis=1)
    low, high = learned.interval(predictions[:, 0], coverage)
    return (low <= target) & (target <= high), high - low


def _weights(n_rows: int, groups: Array | None) -> tuple[Array, float]:
    """What each row counts, all together 1, and how many independent units there are."""
    if groups is None:
        return np.full(n_rows, 1 / n_rows), float(n_rows)
    _, unit, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[unit.reshape(-1)]), float(len(counts))


def _distribution(values: Array, weights: Array, n_units: float) -> Distribution:
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order])
    shares /= shares[-1]
    kept = np.arange(len(values))
    if len(values) > MOST_STORED:
        # Half of the points at the upper tail, where coverages are asked for.
        body, tail = (
            np.linspace(0, len(values) - 1, MOST_STORED // 2),
            np.linspace(0.8 * len(values), len(values) - 1, MOST_STORED // 2),
        )
        kept = np.unique(np.concatenate([body, tail]).round().astype(np.int64))
    return Distribution(values[order][kept].astype(np.float64), shares[kept], n_units)


def _of_values(
    residual: Array, weights: Array, n_units: float, *, knots: tuple[float, ...], scales: tuple[float, ...], said: Array
) -> Coverage:
    relative = residual / np.interp(said, knots, scales)
    above, below = _distribution(relative, weights, n_units), _distribution(-relative, weights, n_units)
    return Coverage(above, below, knots, scales)


def _scales(said: Array, size: Array) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Usual sizes of errors at evenly ranked predictions; None where rows or different predictions are too few."""
    n_bins = min(N_SCALES, len(said) // FEWEST_ROWS_A_SCALE)
    if n_bins < 2:
        return None
    bins = np.array_split(np.argsort(said, kind="stable"), n_bins)
    knots = np.array([np.median(said[rows]) for rows in bins])
    # Steadied by the whole table's, as if by ten of its rows: a bin of near-perfect predictions must not promise no error.
    scales = np.array([(size[rows].sum() + 10 * size.mean()) / (len(rows) + 10) for rows in bins])
    is_new = np.concatenate([[True], np.diff(knots) > 0])
    if is_new.sum() < 2 or not (scales > 0).all():
        return None
    return tuple(knots[is_new].tolist()), tuple(scales[is_new].tolist())


def _interval_score(learned: Coverage, said: Array, target: Array) -> float:
    """The mean width of ranges, and what the truth's lying outside costs; smaller is better, and only honest ranges are small.

    Source: Gneiting and Raftery 2007, doi:10.1198/016214506000001437, eq. 43.
    """
    assert learned.below is not None, "ranges are for values"
    tail = (1 + USUAL_COVERAGE) / 2
    low_by, high_by = learned.below.quantile(tail), learned.above.quantile(tail)
    if not np.isfinite(low_by + high_by):
        return np.inf
    scale = learned.scale(said)
    low, high = said - low_by * scale, said + high_by * scale
    missed = np.maximum(low - target, 0) + np.maximum(target - high, 0)
    return float((high - low + 2 / (1 - USUAL_COVERAGE) * missed).mean())
