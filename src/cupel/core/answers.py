"""Answers for examples: what a number that features tell of gives for each kind of task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.schema import Column, ColumnKind
from cupel.core.task import DEFAULT_METRIC, Task, TaskKind

Array = NDArray[Any]
NAME = "answer"
N_CLASSES = {TaskKind.BINARY: 2, TaskKind.MULTICLASS: 3}
UNKNOWN_EVERY = 7


@dataclass(frozen=True, eq=False)
class Answers:
    """A task, its target, and the column that `Dataset.columns` holds for it."""

    task: Task
    target: Array
    column: Column
    stored: Array


def answers_of(kind: TaskKind, signal: NDArray[np.float64]) -> Answers:
    """The number itself, classes of as many rows each, or three labels: that it is small, not small, and middling.

    Rows have one, two or none of the labels; the second is unknown in every seventh row.
    """
    target, classes = _target(kind, signal)
    task = Task(kind=kind, target=NAME, metric=DEFAULT_METRIC[kind], classes=classes)
    if kind is TaskKind.REGRESSION:
        return Answers(task, target, Column(name=NAME, kind=ColumnKind.NUMBER), target)
    if kind is TaskKind.MULTILABEL:
        texts = np.array([repr(row) for row in target.tolist()], dtype=object)
        return Answers(task, target, Column(name=NAME, kind=ColumnKind.TEXT), texts)
    return Answers(task, target, Column(name=NAME, kind=ColumnKind.CATEGORY, levels=classes), target.astype(np.int32))


def _target(kind: TaskKind, signal: NDArray[np.float64]) -> tuple[Array, tuple[str, ...]]:
    if kind is TaskKind.REGRESSION:
        return 100.0 + 25.0 * signal, ()
    if kind is TaskKind.MULTILABEL:
        low, middle, high = np.quantile(signal, [0.3, 0.5, 0.9])
        holds = np.stack([signal < middle, signal > low, (signal > low) & (signal < high)], axis=1).astype(np.float64)
        holds[::UNKNOWN_EVERY, 1] = np.nan
        return holds, tuple(f"label {k}" for k in range(holds.shape[1]))
    n_classes = N_CLASSES[kind]
    inner = np.quantile(signal, np.arange(1, n_classes) / n_classes)
    return np.searchsorted(inner, signal).astype(np.int64), tuple(f"class {k}" for k in range(n_classes))
