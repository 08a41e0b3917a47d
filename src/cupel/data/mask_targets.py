"""A target of masks: which task it poses, and the masks as they are learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cupel.core.errors import DataError, UsageError
from cupel.core.masks import VOID, Masks, grid_of, on_grid
from cupel.core.schema import Column, ColumnKind
from cupel.core.task import DEFAULT_METRIC, Task, TaskKind
from cupel.data.targets import Target, missing_targets


def mask_target(name: str, masks: Masks, *, asked: Mapping[str, Any]) -> Target:
    """The task that a column of masks poses; its cells are kept in their own sizes, (height, width, 1).

    `asked` are the task, metric and positive class that somebody wants.

    Raises:
        DataError: all is void.
        UsageError: another task was asked for.
    """
    task, metric, positive = (asked[what] for what in ("task", "metric", "positive"))
    if task not in (None, TaskKind.SEGMENTATION):
        raise UsageError(f"task={task} was asked for, but target {name!r} holds masks; leave it out, or name another column.")
    if positive is not None:
        raise UsageError(f"positive={positive!r} was given, but masks have a class for every pixel; leave it out.")
    labels = masks.labels.tolist()
    is_present = np.array([each is not None and bool((each != VOID).any()) for each in labels])
    if not is_present.any():
        raise DataError(f"target {name!r} has no mask with a class in it; give masks that tell something.")
    kept = [each for each, has_classes in zip(labels, is_present.tolist(), strict=True) if has_classes]
    grid = grid_of([each.shape for each in kept], n_classes=len(masks.classes))
    values = np.full((len(labels), *grid), VOID, np.uint8)
    cells = np.empty(len(labels), dtype=object)
    for row in np.flatnonzero(is_present).tolist():
        values[row], cells[row] = on_grid(labels[row], grid), labels[row][:, :, None]
    kind = TaskKind.SEGMENTATION
    posed = Task(kind=kind, target=name, metric=metric or DEFAULT_METRIC[kind], classes=masks.classes, grid=grid)
    column = Column(name=name, kind=ColumnKind.IMAGE, channels=1, levels=masks.classes)
    findings = (*masks.findings, *missing_targets(name, is_present))
    return Target(posed, column, values, is_present, findings, cells=cells, names=masks.names)
