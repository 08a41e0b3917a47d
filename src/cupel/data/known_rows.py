"""Knows rows again in another table of the same columns, by what they hold."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.decoding import spelled
from cupel.core.schema import ColumnKind
from cupel.data.duplicates import bits_of, mixed

Array = NDArray[Any]
Hashes = NDArray[np.uint64]
_CODED = (ColumnKind.CATEGORY, ColumnKind.CONSTANT)


def row_hashes(dataset: Dataset) -> Hashes:
    """A number for all features of each row, and one for the value of its group, 0 where there is none: shape (rows, 2).

    Equal rows of two tables of the same columns have equal numbers, whatever other rows stand beside them. The order of the
    columns plays no part.
    """
    hashes = np.zeros((dataset.n_samples, 2), np.uint64)
    for column in dataset.schema.features:
        hashes[:, 0] += mixed(_cell_hashes(dataset, column.name) + _text_hash(column.name))
    if dataset.schema.group is not None:
        hashes[:, 1] = np.maximum(mixed(_cell_hashes(dataset, dataset.schema.group)), 1)
    return hashes


def seen_before(new: Hashes, old: Hashes) -> NDArray[np.bool_]:
    """Which rows of `new` stand in `old` too, or are of a group that does; both as `row_hashes` gives them."""
    same_group = (new[:, 1] != 0) & np.isin(new[:, 1], old[:, 1])
    return np.asarray(np.isin(new[:, 0], old[:, 0]) | same_group)


def places_in(new: Hashes, old: Hashes) -> NDArray[np.int64]:
    """Where each row of `new` stands in `old`, the first place of several; -1 where it does not."""
    known, first = np.unique(old[:, 0], return_index=True)
    if not len(known):
        return np.full(len(new), -1, np.int64)
    nearest = np.minimum(np.searchsorted(known, new[:, 0]), len(known) - 1)
    return np.where(known[nearest] == new[:, 0], first[nearest], -1).astype(np.int64)


def _cell_hashes(dataset: Dataset, name: str) -> Hashes:
    """One number per cell, by what it holds and not by its code, which differs from table to table."""
    kind, values = dataset.schema[name].kind, dataset.columns[name]
    if kind in _CODED:
        levels = np.array([*(_text_hash(level) for level in dataset.schema[name].levels), 0], np.uint64)
        return np.asarray(levels[values])
    if kind in (ColumnKind.TEXT, ColumnKind.IDENTIFIER):
        return np.array([np.uint64(0) if cell is None else _text_hash(spelled(cell)) for cell in values.tolist()], np.uint64)
    return bits_of(values)


def _text_hash(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"))
