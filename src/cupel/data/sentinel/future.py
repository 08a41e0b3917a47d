"""Columns that know the future: made from targets of later rows, or dates that come after the others."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.schema import ColumnKind
from cupel.data.skill import Bench

Array = NDArray[Any]

N_ROWS = 5_000
MIN_ROWS = 60
REACH = 3
EXACT = 0.995
MAX_COLUMNS = 200
MAX_DATES = 10
ALWAYS = 0.99
TELLING = 0.3


def find_future_columns(dataset: Dataset, bench: Bench, known: set[str]) -> list[Finding]:
    """Numeric columns that are a weighted sum of targets of this and later rows, and dates after the others that tell the target.

    Rows are taken in the order of the time column, of each date column, and as they stand. A column is found where the targets
    of up to three rows before and after explain 99.5 % of its variance, on stretches not fitted, and those before alone do not:
    lagged targets are known in time, leading and centred averages are not.
    """
    if dataset.task is None or dataset.target is None or dataset.n_samples < MIN_ROWS:
        return []
    found: dict[str, Finding] = {}
    for order, words in _orders(dataset):
        for finding in _leading(dataset, order, words, known):
            found.setdefault(finding.where, finding)
    return [*found.values(), *_late_dates(dataset, bench, known | set(found))]


def _orders(dataset: Dataset) -> list[tuple[Array, str]]:
    dates = [c.name for c in dataset.schema.columns if c.kind is ColumnKind.DATETIME or c.name == dataset.schema.time]
    orders = [(np.argsort(dataset.columns[name], kind="stable")[-N_ROWS:], f"by {name!r}") for name in dates[:MAX_DATES]]
    return [*orders, (np.arange(dataset.n_samples)[:N_ROWS], "in the file")]


def _leading(dataset: Dataset, order: Array, words: str, known: set[str]) -> list[Finding]:
    assert dataset.task is not None, "the future is looked for where there is a task"
    assert dataset.target is not None, "the future is looked for where there is a target"
    target = dataset.target[order].astype(np.float64)
    if dataset.task.n_outputs > 2:
        target = (target == np.bincount(dataset.target).argmax()).astype(np.float64)
    n_rows = len(target) - 2 * REACH
    shifted = np.column_stack([target[REACH + lead : REACH + lead + n_rows] for lead in range(-REACH, REACH + 1)])
    before = shifted[:, :REACH]
    found = []
    for column in dataset.schema.numeric_features[:MAX_COLUMNS]:
        values = dataset.columns[column.name][order][REACH : REACH + n_rows]
        if column.name in known or np.isnan(values).mean() > 0.05 or np.unique(values[:200]).size < 2:
            continue
        present = ~np.isnan(values)
        whole = _fitted(shifted[present], values[present])
        if (
            whole >= EXACT
            and _fitted(before[present], values[present]) < EXACT
            and _fitted(shifted[present][:, [REACH]], values[present]) < EXACT
        ):
            found.append(_future(column.name, words))
    return found


def _fitted(design: Array, values: Array) -> float:
    """The share of variance on the last third explained by weights found on the first two thirds."""
    cut = 2 * len(values) // 3
    total = float(values[cut:].var())
    if cut < 4 * design.shape[1] or total == 0 or not np.isfinite(values).all():
        return 0.0
    centre, scale = float(values[:cut].mean()), max(float(values[:cut].std()), 1e-300)
    columns = np.column_stack([design, np.ones(len(values))])
    weights = np.linalg.lstsq(columns[:cut], (values[:cut] - centre) / scale, rcond=None)[0]
    missed = (values[cut:] - centre) / scale - columns[cut:] @ weights
    return 1 - float((missed**2).mean()) * scale**2 / total


def _future(name: str, words: str) -> Finding:
    return Finding(
        code="future-column",
        severity=Severity.SERIOUS,
        where=name,
        what=f"{name!r} is made of the targets of later rows: in the order {words}, the targets of the rows around each one "
        "give it almost without "
        "error, those before it do not.",
        action=f"It is kept, and every score rests on it. At the moment of prediction it cannot be known: leave it out with "
        f"--drop {shlex.quote(name)}.",
        probability=0.999,
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=(name,)),
    )


def _late_dates(dataset: Dataset, bench: Bench, known: set[str]) -> list[Finding]:
    """Dates that are never before another date, where how long after, or whether at all, tells the target."""
    names = [c.name for c in dataset.schema.features if c.kind is ColumnKind.DATETIME and c.name not in known][:MAX_DATES]
    found = []
    for late in names:
        moments = bench.states(late)
        for early in (name for name in names if name != late):
            first = bench.states(early)
            both = np.isfinite(moments) & np.isfinite(first)
            later = moments[both] - first[both]
            if both.sum() < MIN_ROWS or (later >= 0).mean() < ALWAYS or (later > 0).mean() < 1 - ALWAYS:
                continue
            elapsed = np.full(len(moments), -np.inf)
            elapsed[both] = later
            skill = bench.skill_of(elapsed, is_ordered=True)
            if skill >= TELLING:
                found.append(_late(late, early, skill, is_classification=bench.is_classification))
                break
    return found


def _late(late: str, early: str, skill: float, *, is_classification: bool) -> Finding:
    verb = "avoids {:.0%} of the mistakes of a constant guess" if is_classification else "explains {:.0%} of the target's ranks"
    return Finding(
        code="late-date",
        severity=Severity.SERIOUS,
        where=late,
        what=f"{late!r} is never before {early!r}, and how long after {verb.format(skill)}: what it dates may have happened "
        "after the outcome.",
        action=f"It is kept. If it is not known at the moment of prediction, leave it out with --drop {shlex.quote(late)}.",
        probability=0.95,
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=(late,)),
    )
