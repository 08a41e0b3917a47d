"""A small set of pictures with what pictures are feared for: what the modality and its families are checked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.answers import NAME, answers_of
from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import TaskKind
from cupel.modalities.image.example_masks import example_masks

Array = NDArray[Any]
SIDE = 16
OTHER_SIZE, NEVER_SEEN_SIZE = (20, 12), (9, 31)
CONTRAST, NOISE = 90.0, 25.0


def example_pictures(kind: TaskKind | str, *, n_samples: int = 96, seed: int = 0) -> Dataset:
    """Coloured pictures, most of 16 x 16 pixels, brighter on the left or on the right; the target is by how much.

    Some are missing, some are of another size, and the last quarter holds some of a size that occurs nowhere else.
    """
    kind = TaskKind(kind)
    if kind is TaskKind.SEGMENTATION:
        return example_masks(seed=seed)
    generator = np.random.default_rng(seed)
    signal = generator.uniform(-1, 1, n_samples)
    pictures = np.empty(n_samples, dtype=object)
    for row in range(n_samples):
        size = OTHER_SIZE if row % 11 == 5 else NEVER_SEEN_SIZE if row >= n_samples * 3 // 4 and row % 5 == 0 else (SIDE, SIDE)
        pictures[row] = None if row % 13 == 7 else _picture(signal[row], size, generator)
    answers = answers_of(kind, signal)
    return Dataset(
        schema=Schema((Column(name="picture", kind=ColumnKind.IMAGE, channels=3), answers.column), target=NAME),
        columns={"picture": pictures, NAME: answers.stored},
        fingerprint=f"example-pictures-{kind.value}-{n_samples}-{seed}",
        task=answers.task,
        target=answers.target,
        row_numbers=np.arange(n_samples),
        source="example",
    )


def _picture(strength: float, size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    height, width = size
    across = np.linspace(-1, 1, width)[None, :, None]
    values = 128 + CONTRAST * strength * across + generator.normal(scale=NOISE, size=(height, width, 3))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
