"""What pictures, or points in them, are like, as numbers by which a small model learns before any real one is trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.masks import FEW_POINTS, nearest
from cupel.modalities.image.descriptors import Descriptor
from cupel.modalities.image.filters import Filters
from cupel.modalities.image.resizing import Resize, pixels_of

Array = NDArray[Any]

SIDE, N_ORIENTATIONS, N_CELLS, THUMBNAIL = 32, 8, 4, 8
SIDE_OF_MASKED = 96
N_PARTS = 4
"""Down and across, whose brightness tells a point which picture it lies in."""


def describer(dataset: Dataset, column: str) -> Callable[[Array], Array]:
    """From positions of rows to what `Inspection.describe` promises of them."""
    is_masked = dataset.task is not None and bool(dataset.task.grid)
    side = SIDE_OF_MASKED if is_masked else SIDE
    resize = Resize(height=side, width=side, n_channels=dataset.schema[column].channels or 1)
    return partial(_points if is_masked else _pictures, dataset, column, resize)


def _pictures(dataset: Dataset, column: str, resize: Resize, rows: Array) -> NDArray[np.float32]:
    """Where edges run, and a small copy, shape (rows, numbers)."""
    descriptor = Descriptor(N_ORIENTATIONS, N_CELLS, THUMBNAIL, SIDE, SIDE, resize.n_channels)
    return descriptor.of(pixels_of(dataset, rows, name=column, resize=resize))


def _points(dataset: Dataset, column: str, resize: Resize, rows: Array) -> NDArray[np.float32]:
    """What surrounds each point, where it lies, and how bright the parts of its picture are, shape (rows, points, numbers)."""
    pixels = pixels_of(dataset, rows, name=column, resize=resize)  # (B, C, H, W)
    filters, (down, across) = Filters(resize.n_channels), (nearest(SIDE_OF_MASKED, wanted) for wanted in FEW_POINTS)
    near = np.empty((len(rows), len(down), len(across), filters.n_features), np.float32)
    for place in range(len(rows)):
        maps = filters.of(pixels[place : place + 1])[0]
        near[place] = maps[:, down][:, :, across].transpose(1, 2, 0)
    size = SIDE_OF_MASKED // N_PARTS
    parts = pixels.reshape(len(rows), -1, N_PARTS, size, N_PARTS, size).mean(axis=(1, 3, 5), dtype=np.float32)
    whole = np.broadcast_to(parts.reshape(len(rows), 1, 1, -1), (*near.shape[:3], N_PARTS**2))
    where = np.broadcast_to(np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1), (*near.shape[:3], 2))
    found = np.concatenate([near, whole, where], axis=3, dtype=np.float32)
    return found.reshape(len(rows), -1, found.shape[3])
