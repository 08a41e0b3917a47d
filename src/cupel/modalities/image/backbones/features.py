"""Features of pictures, computed once for each row of a run and kept in a file that is mapped into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import PassingError
from cupel.modalities.image.backbones.backbone import Backbone
from cupel.modalities.image.preparation import pixels_of
from cupel.modalities.image.resizing import Resize

Rows = NDArray[np.int64]
Compute = Callable[[Rows], NDArray[np.float32]]
ROWS_AT_ONCE = 32
SHARE_OF_TIME = 0.5
"""Of the time that is left when they are begun: what features may take, so that other candidates get some too."""


def features_of(dataset: Dataset, rows: Rows, *, column: str, resize: Resize, backbone: Backbone) -> NDArray[np.float32]:
    """Features of the pictures in these rows, shape (rows, width); without a cache each time anew.

    Raises:
        PassingError: time was up before all were computed; those that were are kept.
    """

    def compute(some: Rows) -> NDArray[np.float32]:
        return backbone.of(pixels_of(dataset, some, name=column, resize=resize))

    if dataset.cache is None:
        return _computed(rows, compute, width=backbone.width)
    parts = (dataset.fingerprint, backbone.reference, column, repr(resize))
    key = hashlib.sha256("/".join(parts).encode()).hexdigest()[:24]
    kept = KeptFeatures(dataset.cache.folder / f"features-{key}", n_rows=dataset.n_samples, width=backbone.width)
    return kept.rows(rows, compute, deadline=dataset.cache.deadline)


def _computed(rows: Rows, compute: Compute, *, width: int) -> NDArray[np.float32]:
    found = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        found[start : start + ROWS_AT_ONCE] = compute(rows[start : start + ROWS_AT_ONCE])
    return found


class KeptFeatures:
    """Two files: `<name>.npy` with the features of all rows, and `<name>.known.npy` that tells which of them are there.

    What tells is written after what it tells of, so that a crash at any moment loses work and nothing else.
    """

    def __init__(self, path: Path, *, n_rows: int, width: int) -> None:
        path.parent.mkdir(exist_ok=True)  # not its parents: a run folder that was removed is not made again
        self._features = _mapped(path.with_suffix(".npy"), np.float32, (n_rows, width))
        self._known = _mapped(path.with_suffix(".known.npy"), np.uint8, (n_rows,))

    def rows(self, rows: Rows, compute: Compute, *, deadline: Deadline) -> NDArray[np.float32]:
        """These rows, those that are not there yet computed first.

        Raises:
            PassingError: time was up before.
        """
        missing = np.unique(rows[self._known[rows] == 0])
        until = deadline.within(SHARE_OF_TIME * deadline.remaining)
        for start in range(0, len(missing), ROWS_AT_ONCE):
            if until.passed:
                raise PassingError(
                    f"half of the time that was left was over when features of {start:,} of {len(missing):,} pictures had been "
                    f"computed; they are kept. Give the run more time (`cupel resume`), or a smaller backbone."
                )
            some = missing[start : start + ROWS_AT_ONCE]
            self._features[some] = compute(some)
            self._features.flush()
            self._known[some] = 1
            self._known.flush()
        return np.array(self._features[rows])


def _mapped(path: Path, dtype: type, shape: tuple[int, ...]) -> Any:
    """The file as an array; one that is missing, damaged or of another form is begun anew, filled with zeros."""
    try:
        mapped = np.lib.format.open_memmap(path, mode="r+")
        if mapped.shape == shape and mapped.dtype == dtype:
            return mapped
    except (OSError, ValueError):
        pass
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
