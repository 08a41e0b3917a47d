"""Several labels that may hold together, seen one at a time or with the unknown ones filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.form import Form
from cupel.core.task import DEFAULT_METRIC, Task, TaskKind

Array = NDArray[Any]
ABSENT, PRESENT = "no", "yes"
"""The classes of one label taken alone."""


def known(target: Array, label: int) -> NDArray[np.int64]:
    """Rows of a target (rows, labels) in which one label is known."""
    return np.flatnonzero(np.isfinite(target[:, label]))


def shares_of(target: Array) -> NDArray[np.float64]:
    """How often each label holds where it is known, with half a row for and half a row against, so that none is certain."""
    is_known = np.isfinite(target)
    return np.asarray((np.nansum(target, axis=0) + 0.5) / (is_known.sum(axis=0) + 1.0))


def filled(target: Array, shares: Array | None = None) -> NDArray[np.float64]:
    """The target (rows, labels) with unknown cells at the label's share: they pull a mean nowhere."""
    return np.where(np.isfinite(target), target, shares_of(target) if shares is None else shares)


def combinations(target: Array) -> NDArray[np.int64]:
    """A number for each row's labels; rows with the same labels, unknown ones included, share it."""
    return np.unique(np.nan_to_num(target, nan=-1.0), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def binary_task(task: Task, label: int) -> Task:
    """The question whether one label holds."""
    metric = DEFAULT_METRIC[TaskKind.BINARY]
    return Task(kind=TaskKind.BINARY, target=task.classes[label], metric=metric, classes=(ABSENT, PRESENT))


def is_several(task: Task | None) -> bool:
    """Whether there is a task, and of several labels."""
    return task is not None and task.form is Form.LABELS


def alone(dataset: Dataset, label: int) -> Dataset:
    """The rows in which one label is known, with that label as a target of two classes."""
    assert dataset.task is not None, "labels are looked at where there is a task"
    assert dataset.target is not None, "labels are looked at where there is a task"
    rows = known(dataset.target, label)
    return replace(
        dataset,
        columns={name: values[rows] for name, values in dataset.columns.items()},
        names={name: values[rows] for name, values in dataset.names.items()},
        row_numbers=dataset.row_numbers[rows] if len(dataset.row_numbers) else dataset.row_numbers,
        task=binary_task(dataset.task, label),
        target=dataset.target[rows, label].astype(np.int64),
    )
