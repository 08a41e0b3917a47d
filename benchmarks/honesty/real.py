"""The development tables as plain numbers, for cheap models: categories by how often they occur, missing cells by the median."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars

from benchmarks.tables import TABLES, Table

MOST_CLASSES = 30


def numbers_of(table: Table, data: Path, *, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Features, target and the number of classes (0 for a number); different rows alone, in an order drawn by `seed`."""
    frame = table.read(data).unique(maintain_order=True)
    frame = frame[np.random.default_rng(seed).permutation(len(frame))]
    target = frame[table.target]
    columns = [_numbers(frame[name]) for name in frame.columns if name != table.target]
    features = np.column_stack([column for column in columns if np.std(column) > 0])
    if table.is_regression:
        return features, target.str.strip_chars().cast(polars.Float64).to_numpy(), 0
    classes, codes = np.unique(target.to_numpy().astype(str), return_inverse=True)
    return features, codes.astype(np.int64), len(classes)


def named(name: str) -> Table:
    """The table of that name."""
    return next(table for table in TABLES if table.name == name)


def _numbers(column: polars.Series) -> np.ndarray:
    found = column.str.strip_chars().cast(polars.Float64, strict=False)
    if found.is_null().mean() < 0.5:
        return found.fill_null(found.median()).fill_nan(0.0).to_numpy()
    counts = column.value_counts().sort("count")
    codes = {value: float(place) for place, value in enumerate(counts[column.name].to_list())}
    return np.array([codes[value] for value in column.to_list()])
