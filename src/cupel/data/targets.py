"""What is asked: from a target column to a task, with class indices or values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import canonical, decode, spelled
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.numerals import parse_numbers
from cupel.core.schema import Column, ColumnKind
from cupel.core.task import DEFAULT_METRIC, METRICS_OF_CLASSES, METRICS_OF_QUANTITIES, Task, TaskKind
from cupel.data.kinds import Typed, examples, levels_of
from cupel.data.label_sets import look_like_sets
from cupel.data.table import Array

MAX_CLASSES = 1000
_FEW_NUMBERS = 20
_ASKED = ("binary", "multiclass", "multilabel", "classification", "regression", "segmentation")


@dataclass(frozen=True, eq=False)
class Target:
    """A task and, for each row where `is_present`, its answer: int64 class index, float64, or float64 (rows, labels).

    `column` is the target's column as the task reads it: a number that stands for classes has become a category. Of masks
    `values` are those on the task's grid, `cells` the masks in their own sizes, and `names` their files.
    """

    task: Task
    column: Column
    values: Array
    is_present: NDArray[np.bool_]
    findings: tuple[Finding, ...]
    cells: Array | None = None
    names: Array | None = None


def find_target(typed: Typed, raw: Array, *, task: str | None, metric: str | None, positive: Any) -> Target:
    """The task that a typed target column poses.

    Raises:
        DataError: the column cannot be such a target.
        UsageError: `task` is unknown, or `positive` does not fit.
    """
    asked = None if task is None else str(task)
    if asked is not None and asked not in _ASKED:
        raise UsageError(f"task {asked!r} is unknown; choose {', '.join(_ASKED)}.")
    column = typed.column
    if asked == "segmentation":
        raise DataError(f"target {column.name!r} holds no pictures; segmentation needs masks, a file or an array for each row.")
    if column.kind is ColumnKind.CONSTANT or (column.kind is ColumnKind.CATEGORY and len(column.levels) < 2):
        raise DataError(_nothing_to_learn(column, len(raw)))
    numbers = decode(raw, column).values if column.kind is ColumnKind.NUMBER else None
    reason = ""
    is_classification = asked not in (None, "regression")
    if asked is None:
        is_classification, reason = _judge(column, numbers, raw, metric=metric)
    if is_classification:
        target = _classes(typed, raw, asked=asked, metric=metric, positive=positive)
    else:
        target = _numbers(typed, raw, numbers, metric=metric, positive=positive)
    guess = [_guess(column.name, target.task, reason, is_number=numbers is not None)] if reason else []
    findings = [*typed.findings, *guess, *missing_targets(column.name, target.is_present), *target.findings]
    return replace(target, findings=tuple(findings))


def _nothing_to_learn(column: Column, n_rows: int) -> str:
    if not column.levels:
        return f"target {column.name!r} is missing in all {n_rows} rows; name another column as the target."
    return (
        f"target {column.name!r} has the one value {column.levels[0]!r} in all {n_rows} rows; expected at least two. "
        f"Name another column as the target, or give rows with other outcomes."
    )


def _judge(column: Column, numbers: NDArray[np.float64] | None, raw: Array, *, metric: str | None) -> tuple[bool, str]:
    """Whether classes are asked for, and the reason where it could be otherwise."""
    if numbers is not None:
        return _judge_numbers(numbers, metric=metric)
    if column.kind is ColumnKind.DATETIME:
        raise DataError(
            f"target {column.name!r} holds dates, which are not predicted as such; turn it into a number, such as days since "
            f"a fixed day."
        )
    if column.kind in (ColumnKind.TEXT, ColumnKind.IDENTIFIER):
        n_distinct = len(set(decode(raw, column).values.tolist()))
        raise DataError(
            f"target {column.name!r} holds {n_distinct} different texts in {len(raw)} rows; expected a number or a few classes. "
            f"{_as_sets(column, raw) or 'Name another column as the target.'}"
        )
    return True, _as_sets(column, raw)


def _as_sets(column: Column, raw: Array) -> str:
    """A sentence where texts look like several labels, joined."""
    if column.kind is ColumnKind.BOOLEAN:
        return ""
    texts = list(dict.fromkeys(text for text in decode(raw, column).values.tolist() if text))
    if not look_like_sets(texts):
        return ""
    return f"Its texts look like sets of labels ({examples(texts)}): task=multilabel (--task multilabel) predicts each label."


def _judge_numbers(numbers: NDArray[np.float64], *, metric: str | None) -> tuple[bool, str]:
    """Two are classes; more are what the metric judges; else codes of classes begin at 0 or 1, leave few gaps and repeat."""
    present = numbers[~np.isnan(numbers)]
    distinct, counts = np.unique(present, return_counts=True)
    if len(distinct) <= 2:
        return True, ""
    if metric in METRICS_OF_QUANTITIES:
        return False, ""
    is_whole = bool((distinct == np.round(distinct)).all())
    if metric in METRICS_OF_CLASSES and is_whole and len(distinct) <= min(MAX_CLASSES, len(present) / 2):
        return True, ""
    if len(distinct) > _FEW_NUMBERS or not is_whole:
        return False, ""
    low, high = int(distinct[0]), int(distinct[-1])
    described = f"It holds {len(distinct)} different whole numbers, {low} to {high}"
    looks_coded = low in (0, 1) and high - low < 1.5 * len(distinct)
    if looks_coded and len(distinct) <= len(present) / 10 and counts.min() >= 2:
        return True, f"{described}, each several times, as codes of classes are."
    return False, f"{described}, which may be classes or a quantity."


def _guess(name: str, task: Task, reason: str, *, is_number: bool) -> Finding:
    taken, other = ("classification", "regression") if task.is_classification else ("regression", "classification")
    other = other if is_number else "multilabel"
    return Finding(
        code="task-guessed",
        severity=Severity.NOTE if is_number else Severity.WARNING,
        where=name,
        what=reason,
        action=f"It is treated as {taken}; ask for task={other} if that is wrong.",
    )


def missing_targets(name: str, is_present: NDArray[np.bool_]) -> list[Finding]:
    """That rows without a target are left out, where there are such."""
    n_missing = int((~is_present).sum())
    if not n_missing:
        return []
    share = n_missing / len(is_present)
    return [
        Finding(
            code="target-missing",
            severity=Severity.WARNING if share > 0.05 else Severity.NOTE,
            where=name,
            what=f"The target is missing in {n_missing} of {len(is_present)} rows ({share:.1%}).",
            action="These rows are left out.",
        )
    ]


def _numbers(typed: Typed, raw: Array, numbers: NDArray[np.float64] | None, *, metric: str | None, positive: Any) -> Target:
    column = typed.column
    if numbers is None:
        texts = [text for text in decode(raw, replace(column, kind=ColumnKind.TEXT)).values.tolist() if text is not None]
        raise DataError(
            f"target {column.name!r} is no number: it holds {examples(list(dict.fromkeys(texts)))}. "
            f"Regression needs numbers; ask for classification, or name another column."
        )
    if positive is not None:
        raise UsageError(f"positive={positive!r} was given, but regression has no classes; leave it out.")
    is_present = ~np.isnan(numbers)
    present = numbers[is_present]
    if not len(present) or present.min() == present.max():
        raise DataError(_nothing_to_learn(replace(column, levels=tuple(spelled(number) for number in present[:1])), len(raw)))
    task = Task(kind=TaskKind.REGRESSION, target=column.name, metric=metric or DEFAULT_METRIC[TaskKind.REGRESSION])
    return Target(task, column, numbers, is_present, ())


def _classes(typed: Typed, raw: Array, *, asked: str | None, metric: str | None, positive: Any) -> Target:
    column, labels = _labels(typed.column, raw)
    counts = dict(zip(*np.unique(labels[labels != ""].astype(str), return_counts=True), strict=True))
    classes = [str(label) for label in counts]
    _check_number_of_classes(column.name, classes, asked)
    classes = _in_order(column, classes)
    kind = TaskKind.BINARY if len(classes) == 2 and asked != "multiclass" else TaskKind.MULTICLASS
    if positive is not None:
        classes = _with_positive_last(classes, positive, kind)
    place = {label: index for index, label in enumerate(classes)}
    values = np.fromiter((place.get(label, -1) for label in labels.tolist()), np.int64, len(labels))
    if column.kind is not ColumnKind.BOOLEAN:
        levels = levels_of(classes, np.array([counts[label] for label in classes], dtype=np.int64))
        column = replace(column, kind=ColumnKind.CATEGORY, levels=levels)
    task = Task(kind=kind, target=column.name, metric=metric or DEFAULT_METRIC[kind], classes=tuple(classes))
    single = [label for label in classes if counts[label] == 1]
    return Target(task, column, values, values >= 0, (_single(column.name, single),) if single else ())


def _labels(column: Column, raw: Array) -> tuple[Column, Array]:
    """Class labels as text, "" for missing: numbers by value, so that "1" and "1.0" are one class."""
    if column.kind is ColumnKind.NUMBER:
        numbers = decode(raw, column).values
        distinct, codes = np.unique(numbers, return_inverse=True)
        return column, np.array([spelled(number) for number in distinct.tolist()], dtype=object)[codes]
    if column.kind is ColumnKind.BOOLEAN:
        numbers = decode(raw, column).values
        return column, np.array([*column.levels, ""], dtype=object)[np.where(np.isnan(numbers), 2, numbers).astype(np.int64)]
    return column, decode(raw, replace(column, kind=ColumnKind.CATEGORY)).values


def answers_of(column: Column, raw: Array, *, task: Task) -> Array:
    """The answers of further rows, -1 or NaN where there is none; `column` is the target's before the task was found."""
    if not task.is_classification:
        return decode(raw, column).values
    place = {label: index for index, label in enumerate(task.classes)}
    labels = _labels(column, raw)[1]
    return np.fromiter((place.get(label, -1) for label in labels.tolist()), np.int64, len(labels))


def _check_number_of_classes(name: str, classes: list[str], asked: str | None) -> None:
    if len(classes) < 2:
        raise DataError(
            f"target {name!r} has {len(classes)} class{'' if len(classes) == 1 else 'es'} ({examples(classes)}); expected two or "
            f"more. Name another column as the target."
        )
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"target {name!r} has {len(classes)} classes, such as {examples(classes)}; at most {MAX_CLASSES} can be learned. "
            f"If it is a quantity, ask for task=regression; if it is text, name another column."
        )
    if asked == "binary" and len(classes) != 2:
        raise DataError(
            f"task=binary was asked for, but target {name!r} has {len(classes)} classes, such as {examples(classes)}. "
            f"Ask for task=multiclass."
        )


def _in_order(column: Column, classes: list[str]) -> list[str]:
    """By value if all are numbers, false before true, else by text."""
    if column.kind is ColumnKind.BOOLEAN:
        return list(column.levels)
    numbers = parse_numbers(classes)
    if np.isnan(numbers).any():
        return sorted(classes)
    return [classes[position] for position in np.argsort(numbers, kind="stable")]


def _with_positive_last(classes: list[str], positive: Any, kind: TaskKind) -> list[str]:
    label = canonical(spelled(positive))
    if kind is not TaskKind.BINARY:
        raise UsageError(f"positive={positive!r} was given, but there are {len(classes)} classes; it is for two only.")
    if label not in classes:
        raise UsageError(f"positive={positive!r} is no class of the target; its classes are {examples(classes)}.")
    return [*(other for other in classes if other != label), label]


def _single(name: str, labels: list[str]) -> Finding:
    return Finding(
        code="single-row-class",
        severity=Severity.SERIOUS,
        where=name,
        what=f"{len(labels)} class{'es have' if len(labels) > 1 else ' has'} one row only: {examples(labels)}.",
        action="Such a class can be learned or judged, not both; join it with another, or give more rows.",
    )
