"""The tensors that a packed graph reads, taken from a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.modality import GraphInput

Array = NDArray[Any]


def feeds_of(dataset: Dataset, rows: Array, inputs: Sequence[GraphInput]) -> dict[str, Array]:
    """One array per graph input, shape (rows, columns): float64 with NaN, or canonical category texts with ""."""
    feeds: dict[str, Array] = {}
    for graph_input in inputs:
        if graph_input.kind == "numbers":
            cells = [dataset.columns[name][rows] for name in graph_input.columns]
            feeds[graph_input.name] = np.column_stack(cells).astype(np.float64)
        else:
            texts = [_canonical(dataset, name, rows) for name in graph_input.columns]
            feeds[graph_input.name] = np.column_stack(texts).astype(object)
    return feeds


def _canonical(dataset: Dataset, name: str, rows: Array) -> Array:
    spelled = np.array([*dataset.schema[name].levels, ""], dtype=object)  # code -1, missing, is the last one
    texts: Array = spelled[dataset.columns[name][rows]]
    return texts
