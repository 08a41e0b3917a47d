"""A small set of pictures with masks: what families that answer for every pixel are checked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.masks import VOID, on_grid
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind

Array = NDArray[Any]
N_SAMPLES = 48
GRID = (32, 32)
OTHER_SIZE, NEVER_SEEN_SIZE = (40, 28), (20, 50)
NOISE = 20.0


def example_masks(*, n_samples: int = N_SAMPLES, seed: int = 0) -> Dataset:
    """Coloured pictures with a bright or dark half, most of 32 x 32 pixels, and masks that say which; an edge is void.

    Some pictures are missing, some are of another size, and the last quarter holds some of a size that occurs nowhere else.
    """
    generator = np.random.default_rng(seed)
    pictures, masks = (np.empty(n_samples, dtype=object) for _ in range(2))
    target = np.empty((n_samples, *GRID), np.uint8)
    for row in range(n_samples):
        size = OTHER_SIZE if row % 11 == 5 else NEVER_SEEN_SIZE if row >= n_samples * 3 // 4 and row % 5 == 0 else GRID
        labels = _labels(size, generator)
        levels = np.where(labels == 1, 180, 70)[:, :, None] + generator.normal(scale=NOISE, size=(*size, 3))
        pictures[row] = None if row % 13 == 7 else np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        labels[:, 0] = VOID
        masks[row], target[row] = labels[:, :, None], on_grid(labels, GRID)
    classes = ("0", "255")
    columns = (
        Column(name="picture", kind=ColumnKind.IMAGE, channels=3),
        Column(name="answer", kind=ColumnKind.IMAGE, channels=1, levels=classes),
    )
    return Dataset(
        schema=Schema(columns, target="answer"),
        columns={"picture": pictures, "answer": masks},
        fingerprint=f"example-masks-{n_samples}-{seed}",
        task=Task(kind=TaskKind.SEGMENTATION, target="answer", metric="dice", classes=classes, grid=GRID),
        target=target,
        row_numbers=np.arange(n_samples),
        source="example",
    )


def _labels(size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    """One side of a slanted line."""
    down, across = np.mgrid[: size[0], : size[1]] / np.array(size)[:, None, None] - 0.5
    angle = generator.uniform(0, 2 * np.pi)
    is_above: NDArray[np.bool_] = down * np.cos(angle) + across * np.sin(angle) > generator.uniform(-0.2, 0.2)
    return is_above.astype(np.uint8)
