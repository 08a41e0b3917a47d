"""Rows that are equal in all that a model may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.labels import combinations
from cupel.core.pixels import digest_of

Array = NDArray[Any]
Integers = NDArray[np.int64]

N_SAMPLED = 100_000
EXPECTED_BY_CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which rows equal one another, all arrays over rows.

    `patterns` numbers the distinct rows of feature values, from 0. `twins` too, but rows that are equal only because
    the features are so coarse that equal rows are to be expected have a number each: rows with one number in
    `twins` are copies, and must not be divided between training and validation. `repeats` marks rows that equal an
    earlier one in features and target, `conflicts` rows whose equals have another target.
    """

    patterns: Integers
    twins: Integers
    repeats: NDArray[np.bool_]
    conflicts: NDArray[np.bool_]

    @property
    def n_twins(self) -> int:
        """Rows that have a copy."""
        return int((np.bincount(self.twins)[self.twins] > 1).sum()) if len(self.twins) else 0


def find_duplicates(dataset: Dataset) -> Duplicates:
    """Rows that are equal in every feature, compared by 64-bit hashes; linear in cells.

    Equal rows count as expected by chance where `n * product of p(value)` over the columns, the number of such rows if
    the columns were independent, is at least 0.5: in a table of three yes-or-no columns nothing is a copy.
    """
    n_rows, features = dataset.n_samples, [column.name for column in dataset.schema.features]
    if not features or n_rows == 0:
        rows = np.arange(n_rows, dtype=np.int64)
        return Duplicates(rows, rows, np.zeros(n_rows, bool), np.zeros(n_rows, bool))
    hashes = np.zeros(n_rows, np.uint64)
    for position, name in enumerate(features):
        hashes = mixed(hashes * np.uint64(3) + mixed(bits_of(dataset.columns[name]) + np.uint64(position + 1)))
    _, first, patterns = np.unique(hashes, return_index=True, return_inverse=True)
    patterns = patterns.reshape(-1).astype(np.int64)
    counts = np.bincount(patterns)
    twins = patterns.copy()
    repeated = np.flatnonzero(counts > 1)
    if len(repeated):
        expected = repeated[_is_expected(dataset, features, first[repeated])]
        alone = np.isin(patterns, expected)
        twins[alone] = len(counts) + np.arange(int(alone.sum()))
    repeats, conflicts = _by_target(dataset, hashes, patterns)
    return Duplicates(patterns, twins, repeats, conflicts)


def partition_hash(codes: Array) -> int:
    """A number that two columns share if they divide the rows in the same way; `codes` are small integers per row."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.uint64)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.uint64)
    return column_hash(rank[inverse.reshape(-1)].astype(np.int64))


def column_hash(values: Array) -> int:
    """A number that two columns share if they hold the same cells in the same rows."""
    rows = np.arange(len(values), dtype=np.uint64)
    return int(np.bitwise_xor.reduce(mixed(mixed(bits_of(values)) + rows * np.uint64(0x9E3779B97F4A7C15))))


def _is_expected(dataset: Dataset, features: list[str], rows: Array) -> NDArray[np.bool_]:
    """Whether a second row like each of the given ones is expected of independent columns."""
    n_rows = dataset.n_samples
    sampled = np.arange(n_rows)
    if n_rows > N_SAMPLED:
        sampled = np.random.default_rng(0).choice(n_rows, N_SAMPLED, replace=False)
    log_expected = np.full(len(rows), np.log(n_rows))
    for name in features:
        values = dataset.columns[name]
        if values.dtype == object:
            is_missing = np.array([cell is None for cell in values.tolist()])
            share = max(float(is_missing[sampled].mean()), 1 / len(sampled))
            log_expected += np.where(is_missing[rows], np.log(share), -np.inf)  # pictures are never equal by chance
            continue
        ordered = np.sort(values[sampled])
        counts = np.searchsorted(ordered, values[rows], "right") - np.searchsorted(ordered, values[rows], "left")
        log_expected += np.log(np.maximum(counts, 1) / len(sampled))
        if log_expected.max() < np.log(EXPECTED_BY_CHANCE):
            break  # it only falls
    return np.asarray(log_expected >= np.log(EXPECTED_BY_CHANCE))


def _by_target(dataset: Dataset, hashes: Array, patterns: Integers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    target = dataset.target
    answers = target if target is None or target.ndim == 1 else combinations(target)
    whole = hashes if answers is None else mixed(hashes + mixed(bits_of(answers)))
    _, first = np.unique(whole, return_index=True)
    repeats = np.ones(len(whole), bool)
    repeats[first] = False
    n_targets = np.bincount(patterns[first], minlength=int(patterns.max()) + 1)
    return repeats, np.asarray(n_targets[patterns] > 1)


def bits_of(values: Array) -> NDArray[np.uint64]:
    """Cells as 64 bits, equal for equal cells: one NaN, one zero; of pictures a hash."""
    if values.dtype == object:
        return np.array(
            [0 if cell is None else int.from_bytes(digest_of(cell)[:8], "little") for cell in values.tolist()], np.uint64
        )
    if values.dtype.kind == "f":
        plain = values.astype(np.float64) + 0.0
        plain[np.isnan(plain)] = np.nan
        return plain.view(np.uint64)
    return values.astype(np.int64).view(np.uint64)


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Source: splitmix64's finaliser, Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195, fig. 16."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
