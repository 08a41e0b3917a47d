"""Which snapshots of one training speak together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.form import Form
from cupel.core.masks import VOID

SMALLEST_PROBABILITY = 1e-12


def best_run(predictions: Sequence[NDArray[np.float64]], target: NDArray[Any]) -> range:
    """The consecutive snapshots whose mean prediction has the least loss on the rows of `target`; of equals the fewest.

    On small tables early snapshots are best and late ones have learned their rows by heart; on large ones early ones have
    learned too little (docs/log.md). Huang et al. 2017, arXiv:1704.00109, section 3, take the last few.
    """
    n_snapshots = len(predictions)
    sums = np.cumsum([np.zeros_like(predictions[0]), *predictions], axis=0)
    runs = [range(start, stop) for start, stop in itertools.combinations(range(n_snapshots + 1), 2)]
    runs.sort(key=len)
    return min(runs, key=lambda run: _loss((sums[run.stop] - sums[run.start]) / len(run), target))


def _loss(predictions: NDArray[np.float64], target: NDArray[Any]) -> float:
    if target.ndim == 3:
        return _mask_loss(predictions, target.reshape(len(target), -1))
    form = Form.CLASSES if target.dtype.kind in "iu" else Form.LABELS if target.ndim == 2 else Form.VALUES
    return form.loss(predictions, target)


def _mask_loss(predictions: NDArray[np.float64], target: NDArray[Any]) -> float:
    known = target != VOID
    index = np.where(known, target, 0).astype(np.int64)[:, None]
    said = np.take_along_axis(predictions.reshape(len(target), -1, target.shape[1]), index, axis=1)[:, 0]
    return float(-np.log(np.maximum(said[known], SMALLEST_PROBABILITY)).mean()) if known.any() else 0.0
