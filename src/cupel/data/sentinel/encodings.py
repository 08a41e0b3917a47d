"""Columns made from the target itself, over all rows: averages of it for each level of something."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.data.dealing import compact

Array = NDArray[Any]

MIN_LEVELS = 10
MIN_MIXED = 5
"""Levels in which the target differs between rows: else the column may simply be the target."""
MAX_COLUMNS = 200
MAX_CATEGORIES = 40
MAX_CLASSES = 10
TOLERANCE = 5e-4
"""Of the target's deviation: encodings are often written with a few decimals."""
NEEDED = 0.9
NEEDED_SMOOTHED = 0.6
WEIGHTS_TRIED = (0.1, 0.25, 0.5)
MAX_MERGED = 5


def find_encodings(dataset: Dataset) -> list[Finding]:
    """One finding for each numeric column whose values are averages of the target over the very rows that bear them.

    Plain: for ten or more different values, the mean target of the rows with a value is that value. Smoothed: the value is
    (n mean + weight prior) / (n + weight) with one weight for all. Leave-one-out: within the levels of some category
    column, value times (n - 1) plus target is the same in all rows. Averages of other rows, earlier ones or those of other
    folds, miss these identities by far more than rounding, and no honest column meets them.
    """
    if dataset.task is None or dataset.target is None:
        return []
    answers = _answers(dataset)
    found = []
    categories = [compact(dataset.columns[column.name]) for column in dataset.schema.category_features][:MAX_CATEGORIES]
    categories = [codes for codes in categories if MIN_LEVELS <= int(codes.max()) + 1 <= len(codes) / 2]
    for column in dataset.schema.numeric_features[:MAX_COLUMNS]:
        values = dataset.columns[column.name]
        if np.isnan(values).any() or float(np.ptp(values)) == 0:
            continue
        how = next((words for answer in answers for words in [_encoded(values, answer, categories)] if words), "")
        if how:
            found.append(_finding(column.name, how))
    return found


def _answers(dataset: Dataset) -> list[NDArray[np.float64]]:
    assert dataset.task is not None, "leaks are looked for where there is a task"
    assert dataset.target is not None, "leaks are looked for where there is a target"
    target = dataset.target.astype(np.float64)
    if dataset.task.n_outputs <= 2:
        return [target]
    frequent = np.argsort(-np.bincount(dataset.target), kind="stable")[:MAX_CLASSES]
    return [target, *((dataset.target == klass).astype(np.float64) for klass in frequent)]


def _encoded(values: Array, answer: Array, categories: list[Array]) -> str:
    spread = float(answer.std())
    if spread == 0 or values.min() < answer.min() - spread or values.max() > answer.max() + spread:
        return ""
    distinct, codes = np.unique(values, return_inverse=True)
    if MIN_LEVELS <= len(distinct) <= 0.9 * len(values):
        how = _mean_encoded(distinct, codes.reshape(-1), answer)
        if how:
            return how
    for levels in categories:
        if _is_left_one_out(values, levels, answer):
            return "the mean target of all other rows of a category, so that value and category together give the row's own away"
    return ""


def _mean_encoded(distinct: Array, codes: Array, answer: Array) -> str:
    counts = np.bincount(codes)
    means = np.bincount(codes, answer) / counts
    variances = np.bincount(codes, answer**2) / counts - means**2
    spread = float(answer.std())
    if (variances > 1e-9 * spread**2).sum() < MIN_MIXED or float(means.std()) < TOLERANCE * spread:
        return ""
    if _share(np.abs(distinct - means) <= TOLERANCE * spread, counts) >= NEEDED:
        return "the mean target of the rows that bear it, each row's own among them"
    prior = float(answer.mean())
    with np.errstate(all="ignore"):
        weights = counts * (means - distinct) / (distinct - prior)
    told = np.isfinite(weights) & (weights > 0) & (np.abs(distinct - prior) > 10 * TOLERANCE * spread)
    if told.sum() < MIN_LEVELS or float(distinct.std()) < 20 * TOLERANCE * spread:
        return ""
    is_apart = np.abs(means - prior) > 20 * TOLERANCE * spread
    for weight in np.quantile(weights[told], WEIGHTS_TRIED).tolist():
        # Levels of one size and one mean have one value, and look like a larger level.
        parts = counts[:, None] / np.arange(1, MAX_MERGED + 1)
        fitted = (parts * means[:, None] + weight * prior) / (parts + weight)
        is_met = (np.abs(distinct[:, None] - fitted) <= TOLERANCE * spread).any(axis=1) & is_apart
        if is_met.sum() >= MIN_LEVELS and _share(is_met, counts) >= NEEDED_SMOOTHED:
            return f"the mean target of the rows that bear it, each row's own among them, smoothed by {weight:.3g} rows"
    return ""


def _is_left_one_out(values: Array, levels: Array, answer: Array) -> bool:
    counts = np.bincount(levels)
    sums = np.bincount(levels, answer)
    several = counts[levels] > 1
    expected = (sums[levels] - answer) / np.maximum(counts[levels] - 1, 1)
    spread = float(answer.std())
    if several.mean() < 0.5 or float(expected[several].std()) < 20 * TOLERANCE * spread:
        return False
    return bool((np.abs(values - expected)[several] <= TOLERANCE * spread).mean() >= NEEDED)


def _share(is_met: Array, counts: Array) -> float:
    return float(counts[is_met].sum() / counts.sum())


def _finding(name: str, how: str) -> Finding:
    return Finding(
        code="target-encoding",
        severity=Severity.SERIOUS,
        where=name,
        what=f"{name!r} was made from the target before the rows were divided: its value is {how}. No fold can undo this.",
        action=f"It is kept, and every score rests on it. Leave it out with --drop {shlex.quote(name)}; Cupel encodes categories "
        "by their mean target itself, inside each fold.",
        probability=0.999,
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=(name,)),
    )
