"""A small set of pictures with what pictures are feared for: what the modality and its families are checked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import DEFAULT_METRIC, Task, TaskKind

Array = NDArray[Any]
N_CLASSES = {TaskKind.BINARY: 2, TaskKind.MULTICLASS: 3}
SIDE = 16
OTHER_SIZE, NEVER_SEEN_SIZE = (20, 12), (9, 31)
CONTRAST, NOISE = 90.0, 25.0


def example_pictures(kind: TaskKind | str, *, n_samples: int = 96, seed: int = 0) -> Dataset:
    """Coloured pictures, most of 16 x 16 pixels, brighter on the left or on the right; the target is by how much.

    Some are missing, some are of another size, and the last quarter holds some of a size that occurs nowhere else.
    """
    kind = TaskKind(kind)
    generator = np.random.default_rng(seed)
    signal = generator.uniform(-1, 1, n_samples)
    pictures = np.empty(n_samples, dtype=object)
    for row in range(n_samples):
        size = OTHER_SIZE if row % 11 == 5 else NEVER_SEEN_SIZE if row >= n_samples * 3 // 4 and row % 5 == 0 else (SIDE, SIDE)
        pictures[row] = None if row % 13 == 7 else _picture(signal[row], size, generator)
    target, classes = _target(kind, signal)
    answer, stored = _stored(kind, target, classes)
    return Dataset(
        schema=Schema((Column(name="picture", kind=ColumnKind.IMAGE, channels=3), answer), target="answer"),
        columns={"picture": pictures, "answer": stored},
        fingerprint=f"example-pictures-{kind.value}-{n_samples}-{seed}",
        task=Task(kind=kind, target="answer", metric=DEFAULT_METRIC[kind], classes=classes),
        target=target,
        row_numbers=np.arange(n_samples),
        source="example",
    )


def _stored(kind: TaskKind, target: Array, classes: tuple[str, ...]) -> tuple[Column, Array]:
    """The column of answers, as a dataset holds it."""
    if kind is TaskKind.MULTILABEL:
        return Column(name="answer", kind=ColumnKind.TEXT), np.array([repr(row) for row in target.tolist()], dtype=object)
    if classes:
        return Column(name="answer", kind=ColumnKind.CATEGORY, levels=classes), target.astype(np.int32)
    return Column(name="answer", kind=ColumnKind.NUMBER), target


def _picture(strength: float, size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    height, width = size
    across = np.linspace(-1, 1, width)[None, :, None]
    values = 128 + CONTRAST * strength * across + generator.normal(scale=NOISE, size=(height, width, 3))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _target(kind: TaskKind, signal: Array) -> tuple[Array, tuple[str, ...]]:
    if kind is TaskKind.REGRESSION:
        return 100.0 + 25.0 * signal, ()
    if kind is TaskKind.MULTILABEL:
        labels = np.stack([signal < -0.4, signal > 0.4, np.abs(signal) < 0.7], axis=1).astype(np.float64)
        labels[::7, 1] = np.nan  # unknown
        return labels, ("left", "right", "faint")
    n_classes = N_CLASSES[kind]
    inner = np.quantile(signal, np.arange(1, n_classes) / n_classes)
    return np.searchsorted(inner, signal).astype(np.int64), tuple(f"class {number}" for number in range(n_classes))
