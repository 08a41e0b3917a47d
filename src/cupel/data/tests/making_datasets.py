"""Datasets built by hand, so that profiles, findings and splits are tested without reading files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind


def make_dataset(
    columns: Mapping[str, Any],
    *,
    target: str | None = "y",
    kinds: Mapping[str, str] | None = None,
    group: str | None = None,
    time: str | None = None,
) -> Dataset:
    """A decoded dataset: floats become numbers, strings categories, unless `kinds` says otherwise.

    A target of floats makes a regression, anything else classes in sorted order.
    """
    kinds, typed, decoded = kinds or {}, [], {}
    for name, cells in columns.items():
        column, values = _decoded(name, np.asarray(cells), kinds.get(name))
        typed.append(column)
        decoded[name] = values
    task, indices = (None, None) if target is None else _task(target, np.asarray(columns[target]))
    return Dataset(
        schema=Schema(tuple(typed), target, group, time),
        columns=decoded,
        fingerprint="made",
        task=task,
        target=indices,
        row_numbers=np.arange(len(next(iter(decoded.values())))),
    )


def _decoded(name: str, cells: np.ndarray, kind: str | None) -> tuple[Column, np.ndarray]:
    is_text = cells.dtype.kind in "OU"
    kind = kind or ("category" if is_text else "boolean" if cells.dtype.kind == "b" else "number")
    if ColumnKind(kind).is_numeric:
        levels = ("false", "true") if kind == "boolean" else ()
        return Column(name=name, kind=ColumnKind(kind), levels=levels), cells.astype(np.float64)
    texts = [None if cell is None or cell == "" else str(cell) for cell in cells.tolist()]
    if kind in ("text", "identifier"):
        return Column(name=name, kind=ColumnKind(kind)), np.array([*texts, None], dtype=object)[:-1]
    counts = {text: texts.count(text) for text in dict.fromkeys(texts) if text is not None}
    levels = tuple(sorted(counts, key=lambda text: (-counts[text], text)))
    codes = {text: code for code, text in enumerate(levels)} | {None: -1}
    return Column(name=name, kind=ColumnKind(kind), levels=levels), np.array([codes[t] for t in texts], np.int32)


def _task(target: str, cells: np.ndarray) -> tuple[Task, np.ndarray]:
    if cells.dtype.kind == "f":
        return Task(kind=TaskKind.REGRESSION, target=target, metric="rmse"), cells
    classes, indices = np.unique(cells.astype(str), return_inverse=True)
    kind = TaskKind.BINARY if len(classes) == 2 else TaskKind.MULTICLASS
    metric = "roc_auc" if len(classes) == 2 else "log_loss"
    return Task(kind=kind, target=target, metric=metric, classes=tuple(classes.tolist())), indices.astype(np.int64)
