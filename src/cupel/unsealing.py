"""Opens the sealed rows: what the packed model scores on rows that nothing was learned from and nothing chosen by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation, execution, packing
from cupel.core.feeds import feeds_of
from cupel.core.masks import judged_predictions
from cupel.core.uncertainty import Decision
from cupel.problem import Problem
from cupel.verdict.measures import as_judged
from cupel.verdict.words import written

Array = NDArray[Any]
ROWS_AT_ONCE = 4000
CELLS_AT_ONCE = 20_000_000
"""Pixels count as cells."""
OPENED = "unsealed"
"""The journal's word for it."""


def opened(problem: Problem, folder: execution.RunFolder, *, model: bytes, decision: Decision | None = None) -> dict[str, Any]:
    """The packed model's score on the sealed rows, answered by its `decision`, and how often they were opened; nothing without
    any."""
    rows = problem.splits.sealed
    if rows is None:
        return {}
    n_before = _n_told(folder)
    folder.journal.append(OPENED, rows=len(rows))
    predicted = said_of(problem, rows, model=model)
    metric, groups = evaluation.metric_named(problem.task.metric, problem.task), problem.splits.units
    found = evaluation.interval(
        metric,
        problem.target[rows],
        as_judged(metric, predicted, decision=decision),
        groups=None if groups is None else groups[rows],
        seed=problem.settings.seed,
    )
    facts = {"rows": len(rows), "opened": n_before + 1, "estimate": found.estimate, "low": found.low, "high": found.high}
    half = (found.high - found.low) / 2
    estimate, low, high = (written(end, resolution=half) for end in (found.estimate, found.low, found.high))
    times = "opened once" if n_before == 0 else f"opened {n_before + 1} times, so what was chosen since may be flattered"
    words = (
        f"On {len(rows):,} sealed rows ({times}) the packed model itself scores {metric.label} {estimate} "
        f"(95% interval {low} to {high})."
    )
    return {"sealed": facts, "words": [words]}


def _n_told(folder: execution.RunFolder) -> int:
    """So often a verdict told what the rows said: of a process that was ended before it concluded there is none."""
    n_told, is_opened = 0, False
    for record in folder.journal.read():
        if record["event"] == OPENED:
            is_opened = True
        elif record["event"] == "concluded":
            n_told, is_opened = n_told + is_opened, False
    return n_told


def said_of(problem: Problem, rows: Array, *, model: bytes) -> Array:
    """What a packed model predicts for these rows, in the form in which predictions are judged, shape (rows, outputs)."""
    session, parts = packing.session(model), []
    for some in np.array_split(rows, max(1, -(-len(rows) // _rows_at_once(problem, rows)))):
        said = packing.run(session, feeds_of(problem.dataset, some, problem.inputs))
        parts.append(judged_predictions(problem.task, said))
    return np.concatenate(parts)


def _rows_at_once(problem: Problem, rows: Array) -> int:
    """Pictures are large: of them fewer are looked at together."""
    first = feeds_of(problem.dataset, rows[:1], problem.inputs)
    cells = sum(cell.size if isinstance(cell, np.ndarray) else 1 for feed in first.values() for cell in feed.ravel().tolist())
    return int(np.clip(CELLS_AT_ONCE // max(cells, 1), 1, ROWS_AT_ONCE))
