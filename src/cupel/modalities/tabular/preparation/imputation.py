"""What stands in for a missing number: one value per column, the nearest training rows, or a forest's guess."""

from __future__ import annotations

import numpy as np

from cupel.modalities.tabular.preparation.forest import ForestFill
from cupel.modalities.tabular.preparation.missing import ConstantFill, Fill, Mask, Matrix
from cupel.modalities.tabular.preparation.neighbours import NeighbourFill


def fit_fill(strategy: str, values: Matrix, present: Mask, *, seed: int) -> Fill:
    """An imputation learned from training numbers. Columns without any are filled with 0."""
    if strategy == "knn":
        return NeighbourFill.fit(values, present, seed=seed)
    if strategy == "forest":
        return ForestFill.fit(values, present, seed=seed)
    if strategy == "keep":
        return ConstantFill(np.full(values.shape[1], np.nan))
    columns = [values[present[:, column], column] for column in range(values.shape[1])]
    fill = [_typical(strategy, column) if len(column) else 0.0 for column in columns]
    return ConstantFill(np.array(fill, dtype=np.float64))


def _typical(strategy: str, values: Matrix) -> float:
    if strategy == "median":
        return float(np.median(values))
    if strategy == "most-frequent":
        distinct, counts = np.unique(values, return_counts=True)
        return float(distinct[np.argmax(counts)])
    return float(values.mean())
