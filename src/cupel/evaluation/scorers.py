"""How each kind of metric is computed for many weightings of the same rows at once.

A weight is how often a row counts; whole numbers give exactly the score of a table in which rows are repeated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from cupel.evaluation.metric import Array, Prepare, Scorer

N_CALIBRATION_BINS = 15
MOST_INT16 = int(np.iinfo(np.int16).max)
"""Smaller whole numbers are sorted in one pass."""
FEWEST_TO_LINEARISE = 500
"""Positive and negative rows: with fewer of either the curvature that is left out would show."""
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


def _unchanged(values: Array) -> Array:
    return values


def mean_of(losses: Callable[[Array, Array], Array], finish: Callable[[Array], Array] = _unchanged) -> Prepare:
    """A mean of one value per row, and a function of that mean."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        values = losses(target, predictions)
        return lambda weights: finish((weights @ values) / weights.sum(axis=1))

    return prepare


def confusion_of(formula: Callable[[Array], Array]) -> Prepare:
    """A function of confusion matrices, shape (resamples, actual, predicted)."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        n_classes = predictions.shape[1]
        cells = target * n_classes + predictions.argmax(axis=1)

        def scores(weights: Array) -> Array:
            counts = np.stack([np.bincount(cells, weights=row, minlength=n_classes**2) for row in weights])
            return formula(counts.reshape(-1, n_classes, n_classes))

        return scores

    return prepare


def ranking_of(positive_class: Callable[[Array, Array], Scorer]) -> Prepare:
    """A metric of one score per row against the last class."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        last = predictions.shape[1] - 1
        return positive_class(target == last, predictions[:, last])

    return prepare


def one_versus_rest(positive_class: Callable[[Array, Array], Scorer]) -> Prepare:
    """The mean over classes of a binary metric; classes without which it is not defined are left out."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        present = [k for k in range(predictions.shape[1]) if (target == k).any()]
        return mean_of_defined([positive_class(target == k, predictions[:, k]) for k in present])

    return prepare


def mean_of_defined(scorers: Sequence[Scorer]) -> Scorer:
    """The mean of several scores of the same resamples, of each resample over those that are defined in it."""

    def scores(weights: Array) -> Array:
        each = np.stack([scorer(weights) for scorer in scorers]) if scorers else np.full((1, len(weights)), np.nan)
        defined = np.isfinite(each)
        return ratio(np.where(defined, each, 0.0).sum(axis=0), defined.sum(axis=0), otherwise=np.nan)

    return scores


def area_under_roc(is_positive: Array, score: Array) -> Scorer:
    """The chance that a positive row has a larger score than a negative one, ties counting one half.

    Source: Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747; with rows sorted once, a resample costs one
    cumulative sum.
    """
    return _area_within(is_positive, score, part=np.zeros(len(score), np.int64))


def area_under_roc_within(is_positive: Array, score: Array, *, parts: Array) -> Scorer:
    """The same of pairs of rows of one part alone, the mean over the ways in which `parts` (rows, ways) divide the rows.

    Where less than half of the rarer of the two kinds of rows has the other kind beside it, rows of all parts are compared.
    """
    assert len(parts) == len(score), "a metric within parts judges the rows whose parts it was given"
    ways = [_comparable(is_positive, part) for part in parts.T + 1]  # no part has the number -1
    return mean_of_defined([_area_within(is_positive, score, part=part) for part in ways])


def _comparable(is_positive: Array, part: Array) -> Array:
    """Parts within which to compare: those given, or, where they leave too little to compare, a single one."""
    n_positive, n_negative = np.bincount(part[is_positive]), np.bincount(part[~is_positive])
    n_parts = min(len(n_positive), len(n_negative))
    n_positive, n_negative = n_positive.astype(np.int64), n_negative.astype(np.int64)
    both = (n_positive[:n_parts] > 0) & (n_negative[:n_parts] > 0)
    rarer = n_positive if n_positive.sum() <= n_negative.sum() else n_negative
    return part if 2 * rarer[:n_parts][both].sum() >= rarer.sum() else np.zeros_like(part)


def _area_within(is_positive: Array, score: Array, *, part: Array) -> Scorer:
    @functools.cache
    def sorted_rows() -> tuple[Array, Array | None, Array, Array]:
        order, starts = _sorted_with_ties(score, part)
        return order, starts, is_positive[order].astype(np.float64), np.flatnonzero(np.diff(part[order], prepend=-1))

    def scores(weights: Array) -> Array:
        if len(weights) == 1 and (weights == 1).all():
            return np.array([_plain_area_within(is_positive, score, part=part)])
        order, starts, positive, borders = sorted_rows()
        row_weights = weights[:, order]
        n_positive = np.add.reduceat(row_weights * positive, borders, axis=1)
        n_rows = np.add.reduceat(row_weights, borders, axis=1)
        n_before = np.cumsum(n_rows, axis=1) - n_rows
        if starts is None:
            rank_sum = _twice_ranks(row_weights, row_weights) @ positive
        else:
            tied = np.add.reduceat(row_weights, starts, axis=1)
            rank_sum = _twice_ranks(tied, np.add.reduceat(row_weights * positive, starts, axis=1)).sum(axis=1)
        won = rank_sum - (n_positive * (2 * n_before + n_positive)).sum(axis=1)
        return ratio(won, 2 * (n_positive * (n_rows - n_positive)).sum(axis=1), otherwise=np.nan)

    return scores


def _plain_area_within(is_positive: Array, score: Array, *, part: Array) -> float:
    """The same where every row counts once, several times faster: numbers alone are sorted, and no order of rows.

    Choosing an ensemble asks for a thousand of these.
    """
    won, n_pairs = 0, 0
    order = np.argsort(part.astype(np.int16) if part.max() < MOST_INT16 else part, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        own, is_own_positive = score[rows], is_positive[rows]
        positives, negatives = np.sort(own[is_own_positive]), np.sort(own[~is_own_positive])
        below, up_to = np.searchsorted(negatives, positives, "left"), np.searchsorted(negatives, positives, "right")
        won += int(below.sum()) + int(up_to.sum())
        n_pairs += 2 * len(positives) * len(negatives)
    return won / n_pairs if n_pairs else float("nan")


def linear_area_under_roc(is_positive: Array, score: Array) -> Scorer:
    """The same to first order in the weights, for resamples of many rows; exact where all weigh the same.

    Each row's share of rows of the other kind that it is on the right side of is found once; a resample then is a mean
    of shares, a product instead of a walk through sorted rows. What is left out is of the order of 1 / rows, where the
    spread of resamples is 1 / √rows. Of few rows the exact one.

    Source: DeLong et al. 1988, doi:10.2307/2531595 (structural components); Hájek's projection of a U-statistic.
    """
    return linear_area_under_roc_within(is_positive, score, parts=np.zeros((len(score), 1), np.int64))


def linear_area_under_roc_within(is_positive: Array, score: Array, *, parts: Array) -> Scorer:
    """The same of pairs of rows of one part alone, as `area_under_roc_within`."""
    n_positive = int(is_positive.sum())
    if min(n_positive, len(score) - n_positive) < FEWEST_TO_LINEARISE:
        return area_under_roc_within(is_positive, score, parts=parts)
    return mean_of_defined([_linear_area_within(is_positive, score, part=_comparable(is_positive, part)) for part in parts.T + 1])


def _linear_area_within(is_positive: Array, score: Array, *, part: Array) -> Scorer:
    """A mean of the pairs of its part that each positive row wins, and one of those that each negative row loses to none."""
    won, n_others = np.zeros(len(score)), np.zeros(len(score))
    order = np.argsort(part, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        positives, negatives = rows[is_positive[rows]], rows[~is_positive[rows]]
        if len(positives) == 0 or len(negatives) == 0:
            continue
        won[positives] = len(negatives) * _share_below(score[positives], np.sort(score[negatives]))
        won[negatives] = len(positives) * (1.0 - _share_below(score[negatives], np.sort(score[positives])))
        n_others[positives], n_others[negatives] = len(negatives), len(positives)
    area = won[is_positive].sum() / n_others[is_positive].sum()
    columns = np.stack([is_positive * won, is_positive * n_others, ~is_positive * won, ~is_positive * n_others], axis=1)

    def scores(weights: Array) -> Array:
        of_positives, by_positives, of_negatives, by_negatives = (weights @ columns).T
        shares = ratio(of_positives, by_positives, otherwise=np.nan) + ratio(of_negatives, by_negatives, otherwise=np.nan)
        return np.asarray(shares - area)

    return scores


def _share_below(score: Array, ordered: Array) -> Array:
    """The share of `ordered` that is below each score, those equal to it counting one half."""
    below, up_to = np.searchsorted(ordered, score, "left"), np.searchsorted(ordered, score, "right")
    return np.asarray((below + up_to) / (2 * len(ordered)))


def _twice_ranks(row_weights: Array, counted: Array) -> Array:
    """`counted` times twice the mean rank of each (group of) rows; whole numbers, so sums of them are exact."""
    ranks = _running_sums(row_weights)
    ranks *= 2
    ranks -= row_weights
    ranks *= counted
    return ranks


def average_precision(is_positive: Array, score: Array) -> Scorer:
    """The mean of precision over recall, without interpolation, as scikit-learn defines it."""
    order, starts = _sorted_with_ties(-score)
    positive = is_positive[order].astype(np.float64)

    def scores(weights: Array) -> Array:
        row_weights = weights[:, order]
        positives = row_weights * positive
        if starts is not None:
            row_weights = np.add.reduceat(row_weights, starts, axis=1)
            positives = np.add.reduceat(positives, starts, axis=1)
        found = _running_sums(positives)
        precision = found / np.maximum(_running_sums(row_weights), np.finfo(np.float64).tiny)
        return ratio(np.einsum("bg,bg->b", positives, precision), found[:, -1], otherwise=np.nan)

    return scores


def _sorted_with_ties(score: Array, part: Array | None = None) -> tuple[Array, Array | None]:
    """An order of the rows, by part and score, and where each distinct score starts in it; None where all are distinct."""
    if part is None or (part == part[0]).all():
        order = np.argsort(score)
        is_new = np.diff(score[order]) > 0
    else:
        order = np.lexsort((score, part))
        is_new = (np.diff(score[order]) > 0) | (np.diff(part[order]) > 0)
    return order, None if is_new.all() else np.flatnonzero(np.concatenate([[True], is_new]))


def _running_sums(values: Array) -> Array:
    """Sums along rows, float64. Whole numbers are added as integers: numpy does that five times faster."""
    whole = values.astype(np.int64)
    if not (whole == values).all():
        return np.cumsum(values, axis=1)
    return np.cumsum(whole, axis=1).astype(np.float64)


def ratio(numerator: Array, denominator: Array, *, otherwise: float) -> Array:
    """Shares, and `otherwise` where there is nothing to divide by."""
    defined = denominator > 0
    return np.asarray(np.where(defined, numerator / np.where(defined, denominator, 1.0), otherwise))


# One value per row


def is_correct(target: Array, predictions: Array) -> Array:
    """1 where the most probable class is the true one."""
    return np.asarray(predictions.argmax(axis=1) == target, dtype=np.float64)


def surprise(target: Array, predictions: Array) -> Array:
    """Minus the logarithm of the probability of the true class, kept off 0 as scikit-learn does."""
    true_class = predictions[np.arange(len(target)), target]
    return np.asarray(-np.log(np.clip(true_class, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)))


def squared_distance(target: Array, predictions: Array) -> Array:
    """Squared distance of probabilities from the true class; for two classes that of the positive one alone."""
    n_classes = predictions.shape[1]
    if n_classes == 2:
        return np.asarray((predictions[:, 1] - target) ** 2)
    indicators = np.eye(n_classes)[target]
    return np.asarray(((predictions - indicators) ** 2).sum(axis=1))


def squared_error(target: Array, predictions: Array) -> Array:
    """Squared differences."""
    return np.asarray((target - predictions[:, 0]) ** 2)


def absolute_error(target: Array, predictions: Array) -> Array:
    """Absolute differences."""
    return np.asarray(np.abs(target - predictions[:, 0]))


def relative_error(target: Array, predictions: Array) -> Array:
    """Absolute differences as a share of the true value."""
    return np.asarray(absolute_error(target, predictions) / np.maximum(np.abs(target), np.finfo(np.float64).eps))


def quantile_loss(level: float) -> Callable[[Array, Array], Array]:
    """The loss whose least mean is at that quantile."""

    def losses(target: Array, predictions: Array) -> Array:
        difference = target - predictions[:, 0]
        return np.asarray(np.where(difference >= 0, level * difference, (level - 1) * difference))

    return losses


# Functions of confusion matrices


def balanced_accuracy(confusion: Array) -> Array:
    """Mean recall over the classes that occur."""
    actual = confusion.sum(axis=2)
    recall = ratio(_diagonal(confusion), actual, otherwise=0.0)
    return np.asarray(recall.sum(axis=1) / (actual > 0).sum(axis=1))


def matthews(confusion: Array) -> Array:
    """Correlation of true and predicted classes, 0 where one of them is constant. Source: Gorodkin 2004, eq. 8."""
    actual, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    total, hits = actual.sum(axis=1), _diagonal(confusion).sum(axis=1)
    covariance = hits * total - (actual * predicted).sum(axis=1)
    spread = (total**2 - (actual**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    return np.asarray(ratio(covariance, np.sqrt(np.maximum(spread, 0.0)), otherwise=0.0))


def per_class(kind: str) -> Callable[[Array], Array]:
    """ "precision", "recall" or "f1" of each class, shape (resamples, classes); 0 where not defined."""

    def of(confusion: Array) -> Array:
        return ratio(*_parts(kind, confusion), otherwise=0.0)

    return of


def positive(kind: str) -> Callable[[Array], Array]:
    """The same for the last class alone."""
    return lambda confusion: per_class(kind)(confusion)[:, -1]


def macro(kind: str) -> Callable[[Array], Array]:
    """The mean over classes that occur or are predicted."""

    def of(confusion: Array) -> Array:
        occurs = (confusion.sum(axis=2) + confusion.sum(axis=1)) > 0
        return np.asarray((per_class(kind)(confusion) * occurs).sum(axis=1) / occurs.sum(axis=1))

    return of


def weighted(kind: str) -> Callable[[Array], Array]:
    """The mean over classes, weighted by how often each occurs."""

    def of(confusion: Array) -> Array:
        actual = confusion.sum(axis=2)
        return np.asarray((per_class(kind)(confusion) * actual).sum(axis=1) / actual.sum(axis=1))

    return of


def micro(kind: str) -> Callable[[Array], Array]:
    """The same from counts summed over classes."""

    def of(confusion: Array) -> Array:
        hits, all_of = _parts(kind, confusion)
        return ratio(hits.sum(axis=1), all_of.sum(axis=1), otherwise=0.0)

    return of


def _parts(kind: str, confusion: Array) -> tuple[Array, Array]:
    hits, actual, predicted = _diagonal(confusion), confusion.sum(axis=2), confusion.sum(axis=1)
    if kind == "precision":
        return hits, predicted
    return (hits, actual) if kind == "recall" else (2 * hits, actual + predicted)


def _diagonal(confusion: Array) -> Array:
    return np.diagonal(confusion, axis1=1, axis2=2)


# The rest


def prepare_r2(target: Array, predictions: Array) -> Scorer:
    """Share of the variance that is explained; of a constant target 1 if it is met exactly, else 0."""
    centred = target - target.mean()
    moments = np.column_stack([squared_error(target, predictions), centred, centred**2])

    def scores(weights: Array) -> Array:
        left, first, second = (weights @ moments).T
        spread = second - first**2 / weights.sum(axis=1)
        is_constant = spread <= 1e-13 * second
        explained = 1.0 - left / np.where(is_constant, 1.0, spread)
        return np.asarray(np.where(is_constant, np.where(left > 0, 0.0, 1.0), explained))

    return scores


def prepare_median_absolute_error(target: Array, predictions: Array) -> Scorer:
    """Median of the absolute differences; the middle of two."""
    losses = absolute_error(target, predictions)
    order = np.argsort(losses)
    ordered = losses[order]

    def scores(weights: Array) -> Array:
        passed = _running_sums(weights[:, order])
        half = passed[:, -1:] / 2
        return np.asarray((ordered[(passed >= half).argmax(axis=1)] + ordered[(passed > half).argmax(axis=1)]) / 2)

    return scores


def prepare_calibration_error(target: Array, predictions: Array) -> Scorer:
    """How far the stated confidence in the most probable class is from its observed accuracy, from 0 to 1.

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3; 15 equal-width bins as in the paper.
    """
    confidence = predictions.max(axis=1)
    bins = np.clip(np.ceil(confidence * N_CALIBRATION_BINS).astype(np.int64) - 1, 0, N_CALIBRATION_BINS - 1)
    gaps = np.zeros((len(target), N_CALIBRATION_BINS))
    gaps[np.arange(len(target)), bins] = is_correct(target, predictions) - confidence
    return lambda weights: np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1)
