"""A small table in which a picture, a number and a category each tell a part of the answer: what the modality is checked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.answers import NAME, answers_of
from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import TaskKind

Array = NDArray[Any]
SIDE, OTHER_SIZE = 12, (9, 15)
CONTRAST, NOISE = 90.0, 25.0
LEVELS = ("red", "green", "blue", "never seen")


def example_mixed(kind: TaskKind | str, *, n_samples: int = 96, seed: int = 0) -> Dataset:
    """Grey pictures, brighter on the left or on the right, beside a number and a category; the target is their sum.

    Some cells of each are missing, some pictures are of another size, and the last quarter holds a category never seen before.
    """
    kind = TaskKind(kind)
    generator = np.random.default_rng(seed)
    tilt, amount = generator.uniform(-1, 1, (2, n_samples))
    colour = generator.integers(0, 3, n_samples)
    signal = tilt + amount + np.array([-0.5, 0.0, 0.5])[colour] + generator.normal(scale=0.05, size=n_samples)
    pictures = np.empty(n_samples, dtype=object)
    for row in range(n_samples):
        size = OTHER_SIZE if row % 11 == 5 else (SIDE, SIDE)
        pictures[row] = None if row % 13 == 7 else _picture(tilt[row], size, generator)
    columns: dict[str, Array] = {
        "picture": pictures,
        "amount": np.where(np.arange(n_samples) % 9 == 4, np.nan, amount),
        "colour": np.where(np.arange(n_samples) % 10 == 3, -1, colour).astype(np.int32),
    }
    columns["colour"][n_samples - n_samples // 4 :: 6] = 3
    answers = answers_of(kind, signal)
    described = (
        Column(name="picture", kind=ColumnKind.IMAGE, channels=1),
        Column(name="amount", kind=ColumnKind.NUMBER, low=-1.0, high=1.0),
        Column(name="colour", kind=ColumnKind.CATEGORY, levels=LEVELS),
        answers.column,
    )
    return Dataset(
        schema=Schema(described, target=NAME),
        columns={**columns, NAME: answers.stored},
        fingerprint=f"example-mixed-{kind.value}-{n_samples}-{seed}",
        task=answers.task,
        target=answers.target,
        row_numbers=np.arange(n_samples),
        source="example",
    )


def _picture(tilt: float, size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    height, width = size
    across = np.linspace(-1, 1, width)[None, :, None]
    values = 128 + CONTRAST * tilt * across + generator.normal(scale=NOISE, size=(height, width, 1))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
