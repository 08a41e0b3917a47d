"""A small table in which a picture, a number and a category each tell a part of the answer: what the modality is checked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind

Array = NDArray[Any]
N_CLASSES = {TaskKind.BINARY: 2, TaskKind.MULTICLASS: 3}
METRICS = {TaskKind.BINARY: "roc_auc", TaskKind.MULTICLASS: "log_loss", TaskKind.REGRESSION: "rmse"}
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
    target, classes = _target(kind, signal)
    columns["answer"] = target.astype(np.int32) if classes else target
    described = (
        Column(name="picture", kind=ColumnKind.IMAGE, channels=1),
        Column(name="amount", kind=ColumnKind.NUMBER, low=-1.0, high=1.0),
        Column(name="colour", kind=ColumnKind.CATEGORY, levels=LEVELS),
        Column(name="answer", kind=ColumnKind.CATEGORY if classes else ColumnKind.NUMBER, levels=classes),
    )
    return Dataset(
        schema=Schema(described, target="answer"),
        columns=columns,
        fingerprint=f"example-mixed-{kind.value}-{n_samples}-{seed}",
        task=Task(kind=kind, target="answer", metric=METRICS[kind], classes=classes),
        target=target,
        row_numbers=np.arange(n_samples),
        source="example",
    )


def _picture(tilt: float, size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    height, width = size
    across = np.linspace(-1, 1, width)[None, :, None]
    values = 128 + CONTRAST * tilt * across + generator.normal(scale=NOISE, size=(height, width, 1))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _target(kind: TaskKind, signal: Array) -> tuple[Array, tuple[str, ...]]:
    if kind is TaskKind.REGRESSION:
        return 100.0 + 25.0 * signal, ()
    n_classes = N_CLASSES[kind]
    inner = np.quantile(signal, np.arange(1, n_classes) / n_classes)
    return np.searchsorted(inner, signal).astype(np.int64), tuple(f"class {number}" for number in range(n_classes))
