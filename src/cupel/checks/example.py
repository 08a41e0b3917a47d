"""A small table with everything that tables are feared for: what checks train on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.answers import NAME, answers_of
from cupel.core.dataset import Dataset
from cupel.core.modality import Modality
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import TaskKind

Array = NDArray[Any]


def example_dataset(kind: TaskKind | str, *, n_samples: int = 160, seed: int = 0) -> Dataset:
    """A table whose target depends on numbers and categories, with faults, ready to be learned from.

    It has a number with missing cells, one of huge size, one that never varies after the first row, a boolean, a
    date-time, a category with missing cells and one with many levels. The last quarter of the rows holds two categories
    that occur nowhere else.
    """
    kind = TaskKind(kind)
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(2, n_samples))
    colour = generator.integers(0, 3, n_samples)
    columns: dict[str, Array] = {
        "amount": np.where(generator.random(n_samples) < 0.15, np.nan, first),
        "huge": second * 1e9 + 1e12,
        "still": np.r_[1.0, np.zeros(n_samples - 1)],
        "member": generator.integers(0, 2, n_samples).astype(np.float64),
        "since": 1.5e9 + generator.integers(0, 2_000, n_samples) * 86_400.0,
        "colour": np.where(generator.random(n_samples) < 0.1, -1, colour).astype(np.int32),
        "place": generator.integers(0, 40, n_samples).astype(np.int32),
    }
    unseen = np.arange(n_samples - n_samples // 4, n_samples, 5)
    columns["colour"][unseen], columns["place"][unseen] = 3, 40
    signal = first + second + np.array([-1.0, 0.0, 1.0])[colour] + generator.normal(scale=0.3, size=n_samples)
    answers = answers_of(kind, signal)
    return Dataset(
        schema=Schema((*_columns(columns), answers.column), target=NAME),
        columns={**columns, NAME: answers.stored},
        fingerprint=f"example-{kind.value}-{n_samples}-{seed}",
        task=answers.task,
        target=answers.target,
        row_numbers=np.arange(n_samples),
        source="example",
    )


def example_for(modality: Modality, kind: TaskKind | str) -> Dataset:
    """What a modality is checked on: the example that it hands over, or the table."""
    return example_dataset(kind) if modality.example is None else modality.example(TaskKind(kind))


def _columns(columns: dict[str, Array]) -> list[Column]:
    levels = {"colour": ("red", "green", "blue", "never seen"), "place": tuple(f"place {k}" for k in range(41))}
    kinds = {"member": ColumnKind.BOOLEAN, "since": ColumnKind.DATETIME}
    described = []
    for name, values in columns.items():
        if name in levels:
            described.append(Column(name=name, kind=ColumnKind.CATEGORY, levels=levels[name]))
            continue
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        kind = kinds.get(name, ColumnKind.NUMBER)
        spelled = ("no", "yes") if kind is ColumnKind.BOOLEAN else ()
        described.append(Column(name=name, kind=kind, levels=spelled, low=low, high=high))
    return described
