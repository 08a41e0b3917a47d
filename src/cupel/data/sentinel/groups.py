"""Columns that say which rows belong to one thing, so that folds should keep them together."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.schema import Column, ColumnKind
from cupel.data.association import adjusted_correlation_ratio, average_ranks
from cupel.data.dealing import compact

Array = NDArray[Any]

N_ROWS = 50_000
MIN_GROUPS = 10
MIN_SIZE = 2.0
MAX_SHARE = 0.2
"""Of the rows in one group: what is commoner is a category, not a thing."""
MAX_COLUMNS = 20
ALIKE_TARGET = 0.1
ALIKE_FEATURES = 0.4
FEATURE_SHARE = 0.5
N_COARSE = 20
"""A whole number is a name, not a quantity, where values near one another have little in common: so many stretches of values are
taken off."""


def find_groups(dataset: Dataset) -> list[Finding]:
    """Columns whose values are things of several rows each: within one the target is alike, and so are half of the other columns.

    Alike means a share of the variance between groups, adjusted for their number: 10 % for the target, 40 % for a column; of
    whole numbers, beyond what 20 stretches of them explain, since those are quantities. A place or a kind of product has rows of
    all sorts; a patient, a machine or a session has rows like one another.
    """
    if dataset.task is None or dataset.target is None or dataset.schema.group is not None:
        return []
    rows = np.arange(dataset.n_samples)
    if len(rows) > N_ROWS:
        rows = rows[:N_ROWS]  # things of several rows often stand together; a random sample would tear them apart
    target = average_ranks(dataset.target[rows].astype(np.float64))
    found = []
    n_left = MAX_COLUMNS
    for column in [column for column in dataset.schema.columns if column.name != dataset.schema.target]:
        codes = _groups(dataset, column, rows) if n_left else None
        if codes is None:
            continue
        n_left -= 1
        alike_target = _between(codes, target)
        if alike_target < ALIKE_TARGET:
            continue
        is_number = column.kind is ColumnKind.NUMBER
        coarse = codes * N_COARSE // (int(codes.max()) + 1) if is_number else np.zeros(len(codes), np.int64)
        others = [other for other in dataset.schema.plain_features if other.name != column.name]
        ranks = (average_ranks(_numbers(dataset, other, rows)) for other in others)
        alike = [_between(codes, each) - _between(coarse, each) for each in ranks]
        share = float(np.mean([value >= ALIKE_FEATURES for value in alike])) if alike else 0.0
        if share >= FEATURE_SHARE:
            found.append(_finding(column.name, codes, alike_target, share=share))
    return found[:3]


def _groups(dataset: Dataset, column: Column, rows: Array) -> Array | None:
    """A number for each row, where the column's values may be things of several rows each."""
    values = dataset.columns[column.name][rows]
    if column.kind in (ColumnKind.IDENTIFIER, ColumnKind.TEXT):
        values = np.array(["" if text is None else text for text in values.tolist()])
    elif column.kind is ColumnKind.NUMBER:
        if not bool(np.isfinite(values).all() and (values == np.floor(values)).all()):
            return None
    elif column.kind is not ColumnKind.CATEGORY:
        return None
    codes = compact(values)
    return codes if are_things(codes) else None


def are_things(codes: Array) -> bool:
    """Whether rows of one number may be of one thing: there are enough numbers, of several rows each, and none is common."""
    counts = np.bincount(codes)
    repeated = counts[counts > 1].sum() / len(codes)
    is_fit = len(counts) >= MIN_GROUPS and len(codes) / len(counts) >= MIN_SIZE / 1.3 and counts.max() <= MAX_SHARE * len(codes)
    return bool(is_fit and repeated >= 0.5)


def _numbers(dataset: Dataset, column: Column, rows: Array) -> Array:
    values = dataset.columns[column.name][rows].astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def _between(codes: Array, ranks: Array) -> float:
    """The share of variance between groups, adjusted for chance."""
    return adjusted_correlation_ratio(codes, ranks) ** 2


def _finding(name: str, codes: Array, alike_target: float, *, share: float) -> Finding:
    counts = np.bincount(codes)
    return Finding(
        code="group-leak",
        severity=Severity.WARNING,
        where=name,
        what=f"The {len(counts):,} values of {name!r} have {len(codes) / len(counts):.1f} rows each, which are alike in "
        f"{share:.0%} of the other columns and in "
        f"the target ({alike_target:.0%} of its variance lies between them): rows of one thing train and judge.",
        action=f"Rows are divided one by one. If new rows will be of new things, say --group {shlex.quote(name)}.",
        probability=probability_of(codes, alike_target),
        fix=Fix(kind=FixKind.GROUP, columns=(name,)),
    )


def probability_of(codes: Array, alike: float) -> float:
    """That the target is alike within groups by no chance: F test of one-way analysis of variance on ranks."""
    from scipy.special import fdtrc  # scipy.stats has the same and takes two seconds to import

    n_groups, n_rows = int(codes.max()) + 1, len(codes)
    n_free = max(n_rows - n_groups, 1)
    within = max((1 - alike) * n_free / (n_rows - 1), 1e-9)  # of the whole sum of squares; `alike` was adjusted for freedom
    statistic = (1 - within) / (n_groups - 1) / (within / n_free)
    return min(0.999, 1 - float(fdtrc(n_groups - 1, n_free, statistic)))
