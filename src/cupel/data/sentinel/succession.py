"""Whether rows that follow one another, as they stand or in time, have targets that are more alike than chance."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.schema import ColumnKind
from cupel.core.task import Task
from cupel.data.association import average_ranks
from cupel.data.duplicates import find_duplicates

Array = NDArray[Any]

MIN_ROWS = 60
MIN_DEVIATIONS = 6.0
MIN_STRENGTH = 0.05
N_LAGS = 8
MAX_CLASSES = 20
SORTED = 0.98
MIN_MOMENTS = 20
MAX_DATES = 10


@dataclass(frozen=True)
class Succession:
    """How alike successive targets are: 0 by chance, 1 where they are sorted; `deviations` from chance in standard errors.

    `is_sorted` where rows of each class stand together, as those of a folder per class do, or values rise or fall.
    """

    strength: float
    deviations: float
    is_sorted: bool = False

    @property
    def is_telling(self) -> bool:
        """Whether it is neither chance nor negligible."""
        return self.strength >= MIN_STRENGTH and self.deviations >= MIN_DEVIATIONS

    @property
    def probability(self) -> float:
        """That it is no chance, by the normal approximation."""
        return min(0.999, 1 - math.erfc(max(self.deviations, 0.0) / math.sqrt(2)))


def find_succession_leaks(dataset: Dataset) -> list[Finding]:
    """Findings where the order of the rows, or that of a date column, tells the target.

    Rows drawn at random for training then stand beside those that judge. Rows that are sorted by the target itself are told
    as such; they tell nothing about time. Nothing is said where folds follow a time column already, or keep groups whole.
    """
    if dataset.task is None or dataset.schema.time is not None or dataset.n_samples < MIN_ROWS:
        return []
    rows = np.unique(find_duplicates(dataset).twins, return_index=True)[1]  # copies beside one another are another fault
    rows.sort()
    found = []
    dates = [column for column in dataset.schema.features if column.kind is ColumnKind.DATETIME][:MAX_DATES]
    for column in dates:
        moments = dataset.columns[column.name][rows]
        present = ~np.isnan(moments)
        if len(np.unique(moments[present])) >= MIN_MOMENTS:
            succession = succession_of(dataset, rows[present][np.argsort(moments[present], kind="stable")])
            if succession.is_telling:
                found.append(_in_time(column.name, succession))
    if found:
        return found[:1]
    succession = succession_of(dataset, rows)
    if dataset.schema.group is None and succession.is_telling:
        found.append(_in_file(succession))
    return found


def succession_of(dataset: Dataset, rows: Array) -> Succession:
    """How alike the targets of the given rows are to those of the row before them, or of the eight rows before them.

    A correlation of indicators of classes, or of ranks; its standard error is that of rows in random order.
    """
    assert dataset.task is not None, "succession needs a task"
    assert dataset.target is not None, "succession needs a target"
    target = dataset.target[rows]
    if len(rows) < MIN_ROWS:
        return Succession(0.0, 0.0)
    if dataset.task.is_classification:
        frequent = np.argsort(-np.bincount(target), kind="stable")[:MAX_CLASSES]
        answers = (target[:, None] == frequent).astype(np.float64)
    else:
        answers = average_ranks(target)[:, None]
    answers = answers - answers.mean(axis=0)
    total = float((answers**2).sum())
    if total == 0:
        return Succession(0.0, 0.0)
    alike = np.array([float((answers[lag:] * answers[:-lag]).sum()) / total for lag in range(1, N_LAGS + 1)])
    deviations = max(alike[0] * math.sqrt(len(rows)), float(alike.sum()) * math.sqrt(len(rows) / N_LAGS))
    return Succession(float(max(alike[0], alike.mean())), deviations, _is_sorted(target, dataset.task))


def _is_sorted(target: Array, task: Task) -> bool:
    if task.is_classification:
        return int((target[1:] != target[:-1]).sum()) == len(np.unique(target)) - 1
    steps = np.diff(target)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _in_time(name: str, succession: Succession) -> Finding:
    return Finding(
        code="time-leak",
        severity=Severity.WARNING,
        where=name,
        what=f"Rows that follow one another by {name!r} have targets more alike than chance (correlation "
        f"{succession.strength:.2f}, {succession.deviations:.0f} standard errors), and random folds train on the rows just "
        "before and after "
        "those that judge.",
        action=f"If later rows are to be predicted, say --order {shlex.quote(name)}: earlier rows then train, later ones judge.",
        probability=succession.probability,
        fix=Fix(kind=FixKind.ORDER, columns=(name,)),
    )


def _in_file(succession: Succession) -> Finding:
    if succession.is_sorted or succession.strength >= SORTED:
        return Finding(
            code="sorted-by-target",
            severity=Severity.NOTE,
            where="rows",
            what="The rows are sorted by the target: the place of a row in the file gives the target away.",
            action="The place is not used, so that no score rests on it, and rows are dealt to folds at random. Row numbers must "
            "not enter as a column.",
            probability=succession.probability,
        )
    return Finding(
        code="row-order",
        severity=Severity.WARNING,
        where="rows",
        what=f"Rows that follow one another in the file have targets more alike than chance (correlation "
        f"{succession.strength:.2f}, "
        f"{succession.deviations:.0f} standard errors): the order stands for time, place or source, and random folds train on "
        "the neighbours of the "
        "rows that judge.",
        action="The order itself is not used. If new rows will come from later times or other places, add the column that "
        "says so, and name it "
        "with --order COLUMN or --group COLUMN.",
        probability=succession.probability,
        fix=Fix(kind=FixKind.ORDER),
    )
