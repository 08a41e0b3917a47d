"""How much a single column tells of the target, on one scale for all kinds of columns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.labels import alone, is_several, known

Array = NDArray[Any]

N_SAMPLED = 100_000
MAX_BINS = 20
MAX_LEVELS = 50
N_LABELS = 50
"""Of several labels, the most frequent ones are looked at."""


class Association:
    """Association of columns with a dataset's target, from 0 (none) to 1 (determines it).

    Numbers are divided into up to 20 bins of equal counts, categories into their 49 most frequent levels and the
    rest; missing cells are a bin of their own, so that a telling absence counts. Above 100,000 rows a seeded sample is used.

    Classification: Cramér's V with bias correction. Regression: the larger of |Spearman's rho| (numbers only) and the
    correlation ratio of the target's ranks over the bins, each adjusted for chance.

    Source: Bergsma 2013, doi:10.1016/j.jkss.2012.10.002, eq. 8 to 10; Kelley 1935, doi:10.1073/pnas.21.9.554 (epsilon squared).
    """

    def __init__(self, dataset: Dataset, *, seed: int = 0) -> None:
        assert dataset.task is not None, "an association needs a target"
        assert dataset.target is not None, "an association needs a target"
        self._rows: Array | None = None
        target = dataset.target
        if len(target) > N_SAMPLED:
            self._rows = np.sort(np.random.default_rng(seed).choice(len(target), N_SAMPLED, replace=False))
            target = target[self._rows]
        self._classes = target if dataset.task.is_classification else None
        self._n_classes = len(dataset.task.classes)
        self._ranks = None if dataset.task.is_classification else average_ranks(target)
        self._n_bins = int(np.clip(len(target) // MAX_BINS, 2, MAX_BINS))

    def of_numbers(self, values: Array) -> float:
        """Of a float column, NaN is missing."""
        values = values if self._rows is None else values[self._rows]
        present = ~np.isnan(values)
        n_present = int(present.sum())
        if n_present < 2:
            return 0.0
        ranks = average_ranks(values[present])
        codes = np.full(len(values), self._n_bins)
        codes[present] = ((ranks + 0.5) * (self._n_bins / n_present)).astype(np.int64)
        found = self._of_bins(codes, self._n_bins + 1)
        if self._ranks is None:
            return found
        return max(found, _adjusted_correlation(ranks, self._ranks[present]) * math.sqrt(n_present / len(values)))

    def of_categories(self, codes: Array) -> float:
        """Of a column of level indices, most frequent first, -1 is missing."""
        codes = codes if self._rows is None else codes[self._rows]
        return self._of_bins(np.minimum(codes, MAX_LEVELS - 1) + 1, MAX_LEVELS + 1)

    def _of_bins(self, codes: Array, n_codes: int) -> float:
        if self._classes is not None:
            table = np.bincount(codes * self._n_classes + self._classes, minlength=n_codes * self._n_classes)
            return corrected_cramers_v(table.reshape(n_codes, self._n_classes))
        assert self._ranks is not None, "a regression has ranks"
        return adjusted_correlation_ratio(codes, self._ranks)


class LabelAssociation:
    """Association of columns with several labels: the largest of those with each label, over the rows where it is known."""

    def __init__(self, dataset: Dataset, *, seed: int = 0) -> None:
        assert dataset.target is not None, "an association needs a target"
        bare = replace(dataset, columns={}, names={})
        frequent = np.argsort(-(dataset.target == 1).sum(axis=0), kind="stable")[:N_LABELS].tolist()
        self._each = [(known(dataset.target, k), Association(alone(bare, k), seed=seed)) for k in frequent]

    def of_numbers(self, values: Array) -> float:
        """Of a float column, NaN is missing."""
        return max(association.of_numbers(values[rows]) for rows, association in self._each)

    def of_categories(self, codes: Array) -> float:
        """Of a column of level indices, most frequent first, -1 is missing."""
        return max(association.of_categories(codes[rows]) for rows, association in self._each)


def association_of(dataset: Dataset) -> Association | LabelAssociation:
    """The association with a dataset's target, of whatever kind that is."""
    return LabelAssociation(dataset) if is_several(dataset.task) else Association(dataset)


def corrected_cramers_v(table: Array) -> float:
    """Bias-corrected Cramér's V of a contingency table of counts, from 0 to 1; 0 if a side has one level only.

    Source: Bergsma 2013, doi:10.1016/j.jkss.2012.10.002, eq. 8 to 10.
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    n_rows, n_columns = table.shape
    total = table.sum()
    if n_rows < 2 or n_columns < 2 or total < 3:
        return 0.0
    shares = table / total
    expected = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    phi_squared = float((shares**2 / expected).sum() - 1)
    corrected = max(0.0, phi_squared - (n_rows - 1) * (n_columns - 1) / (total - 1))
    sides = [side - (side - 1) ** 2 / (total - 1) for side in (n_rows, n_columns)]
    return float(np.sqrt(min(1.0, corrected / max(min(sides) - 1, 1e-12))))


def adjusted_correlation_ratio(codes: Array, values: Array) -> float:
    """Root of the share of variance that lies between bins, adjusted for the number of bins, from 0 to 1.

    Source: Kelley 1935, doi:10.1073/pnas.21.9.554.
    """
    counts = np.bincount(codes)
    centred = values - values.mean()
    total = float(centred @ centred)
    n_bins = int((counts > 0).sum())
    if total <= 0 or n_bins < 2 or len(values) <= n_bins:
        return 0.0
    sums = np.bincount(codes, centred)[counts > 0]
    within = 1 - float((sums**2 / counts[counts > 0]).sum()) / total
    return float(np.sqrt(np.clip(1 - within * (len(values) - 1) / (len(values) - n_bins), 0.0, 1.0)))


def average_ranks(values: Array) -> NDArray[np.float64]:
    """Ranks from 0 to n - 1, equal values sharing the mean of theirs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    block = np.zeros(len(values), np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=block[1:])
    counts = np.bincount(block)
    ends = np.cumsum(counts)
    ranks = np.empty(len(values))
    ranks[order] = (ends - (counts + 1) / 2)[block]
    return ranks


def _adjusted_correlation(left: Array, right: Array) -> float:
    left, right = left - left.mean(), right - right.mean()
    scale = float((left @ left) * (right @ right))
    if scale <= 0 or len(left) < 3:
        return 0.0
    squared = float(left @ right) ** 2 / scale
    return float(np.sqrt(np.clip(1 - (1 - squared) * (len(left) - 1) / (len(left) - 2), 0.0, 1.0)))
