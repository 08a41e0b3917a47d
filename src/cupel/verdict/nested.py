"""Nested cross-validation as the verdict speaks of it: whole runs on the rows of all but one fold, judged by that one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.task import Task
from cupel.verdict.section import Section, cell, paragraph, table
from cupel.verdict.words import count_words, duration_words, signed, written

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class OuterRun:
    """A whole run on the rows outside of one outer fold, which its pick has predicted afterwards.

    `expected` is the score that its own verdict gave to expect of what it would pack, with `low` and `high`; `score` is what that
    scored on the rows of the fold. `number` counts from 1.
    """

    number: int
    n_learned: int
    n_judged: int
    pick: str
    n_candidates: int
    expected: float
    low: float
    high: float
    score: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Nested:
    """The score of the whole procedure on rows that no part of it had seen, with its 95% interval.

    `n_asked` outer folds were asked for, of which `runs` have finished. `missing` says why the others have not, in a sentence.
    """

    estimate: float
    low: float
    high: float
    n_rows: int
    n_asked: int
    runs: tuple[OuterRun, ...]
    missing: str = ""

    @property
    def expected(self) -> float:
        """What the runs themselves gave to expect, on average over the rows judged."""
        return float(np.average([run.expected for run in self.runs], weights=[run.n_judged for run in self.runs]))

    def words(self, metric: str, *, higher_is_better: bool) -> str:
        """The score beside what the runs themselves gave to expect, and whether that held."""
        half = (self.high - self.low) / 2
        estimate, low, high, expected = (
            written(number, resolution=half) for number in (self.estimate, self.low, self.high, self.expected)
        )
        n_done = len(self.runs)
        so_far = "" if n_done == self.n_asked else f" ({n_done} of them so far)"
        opening = (
            f"The whole run, repeated without each of {self.n_asked} outer folds{so_far}, has {metric} {estimate} (95% interval "
            f"{low} to {high}) on {count_words(self.n_rows, 'row')} that no part of it had seen"
        )
        sign = 1.0 if higher_is_better else -1.0
        ends = sorted(sign * end for end in (self.low, self.high))
        if sign * self.expected > ends[1]:
            ending = f"those runs had promised {expected}, which is more than it held."
        elif sign * self.expected < ends[0]:
            ending = f"those runs had promised {expected} and held more."
        else:
            ending = f"those runs had promised {expected}, which held."
        return f"{opening}; {ending} {self.missing}".strip()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `verdict.json`."""
        return {
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "rows": self.n_rows,
            "asked": self.n_asked,
            "expected": self.expected,
            "missing": self.missing,
            "folds": [asdict(run) for run in self.runs],
        }


def nested_of(
    task: Task,
    runs: Sequence[OuterRun],
    *,
    judged: Sequence[tuple[Array, Array]],
    target: Array,
    groups: Array | None,
    asked: tuple[int, str],
    is_mutual: bool,
) -> Nested | None:
    """The nested score of runs; None of none. `asked` is `n_asked` and `missing`.

    `judged` are the rows that each run predicted, and its predictions. `is_mutual` where rows of one fold also taught the
    models of another.
    """
    if not runs:
        return None
    every = np.concatenate([rows for rows, _ in judged])
    folds = np.repeat(np.arange(len(judged)), [len(rows) for rows, _ in judged])
    metric = evaluation.metric_named(task.metric, task)
    found = evaluation.interval_over_folds(
        metric,
        target[every],
        np.concatenate([predictions for _, predictions in judged]),
        folds=folds,
        groups=None if groups is None else groups[every],
        stretch=evaluation.stretch_of(is_mutual=is_mutual),
    ).bounded(metric)
    return Nested(
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n_rows=len(every),
        n_asked=asked[0],
        runs=tuple(runs),
        missing=asked[1],
    )


def nested_section(nested: Nested | None, *, metric: str, higher_is_better: bool) -> Section | None:
    """The outer folds, one on a line."""
    if nested is None:
        return None
    half = (nested.high - nested.low) / 2 * math.sqrt(max(len(nested.runs), 1))
    heads = [("Outer fold", ""), ("Rows learned from", "n"), ("Rows judged", "n"), ("Candidates", "n"), ("Pick", "")]
    heads += [("Expected", "n"), (metric, "n"), ("Difference", "n"), ("Time", "n")]
    lines = []
    for run in nested.runs:
        gap = (run.score - run.expected) * (1 if higher_is_better else -1)
        cells = [
            cell(str(run.number), "name"),
            cell(f"{run.n_learned:,}", "n", value=run.n_learned),
            cell(f"{run.n_judged:,}", "n", value=run.n_judged),
            cell(f"{run.n_candidates:,}", "n", value=run.n_candidates),
            cell(run.pick),
            cell(written(run.expected, resolution=half), "n", value=run.expected),
            cell(written(run.score, resolution=half), "n", value=run.score),
            cell(signed(gap, resolution=half), "n", value=gap),
            cell(duration_words(run.seconds), "n", value=run.seconds),
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    tells = (
        "Search, choosing, combining and calibrating were repeated on the rows outside of each fold; what that gave has "
        "predicted the rows of the fold. A positive difference is better than expected."
    )
    html = paragraph(nested.words(metric, higher_is_better=higher_is_better)) + paragraph(tells, "tells") + table(heads, lines)
    return Section(anchor="nested", title="The whole run, judged from outside", html=html, data={"nested": nested.to_json()})
