"""Every candidate on one line, also the failed ones and why; best first."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from cupel.core.spreadsheets import harmless
from cupel.core.trial import Status, Trial
from cupel.verdict.second_opinion import Opinion
from cupel.verdict.verdict import Score

COLUMNS = (
    "name", "family", "score", "low", "high", "tie_group", "fit_seconds", "latency_ms", "bytes", "status", "reason",
    "estimated_seconds",
    "p_bootstrap", "p_folds",
)  # fmt: skip


def leaderboard(
    trials: Sequence[Trial],
    scores: Mapping[str, Score],
    *,
    tie_groups: Mapping[str, int],
    higher_is_better: bool,
    opinions: Mapping[str, Opinion] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Rows with the keys of `COLUMNS`: usable candidates best first, then those that gave nothing, in the order tried.

    `scores`, `tie_groups` and `opinions`, on the leader against each, are by candidate name; elsewhere the cells are None.
    """
    sign = -1.0 if higher_is_better else 1.0
    usable = [trial for trial in trials if trial.candidate.name in scores]
    usable.sort(key=lambda trial: sign * _orderable(scores[trial.candidate.name].estimate, sign))
    rest = [trial for trial in trials if trial.candidate.name not in scores]
    names = [trial.candidate.name for trial in usable]
    rows = [
        _row(trial, scores[name], tie_groups.get(name), opinions.get(name)) for trial, name in zip(usable, names, strict=True)
    ]
    return rows + [_row(trial, None, None, None) for trial in rest]


def _orderable(score: float, sign: float) -> float:
    return score if np.isfinite(score) else sign * np.inf


def _row(trial: Trial, score: Score | None, tie_group: int | None, opinion: Opinion | None) -> dict[str, Any]:
    latency = trial.latency_ms.get("one")
    return {
        "name": trial.candidate.name,
        "family": trial.candidate.family,
        "score": None if score is None else float(score.estimate),
        "low": None if score is None else float(score.low),
        "high": None if score is None else float(score.high),
        "tie_group": tie_group,
        "fit_seconds": round(float(trial.fit_seconds), 3),
        "latency_ms": None if latency is None else float(latency),
        "bytes": int(trial.n_bytes) or None,
        "status": trial.status.value,
        "reason": trial.reason,
        "estimated_seconds": _estimate(trial),
        "p_bootstrap": None if opinion is None else opinion.p_bootstrap,
        "p_folds": None if opinion is None else opinion.p_folds,
    }


def _estimate(trial: Trial) -> float | None:
    """What a candidate that was skipped was expected to take. What was trained tells `fit_seconds`, and estimates learn from the
    clock: with one beside every line the same run would write another leaderboard each time."""
    return round(float(trial.estimated_seconds), 3) or None if trial.status is Status.SKIPPED else None


def leaderboard_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV with a header. Text that a spreadsheet would run as a formula is given a leading apostrophe."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in COLUMNS])
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return harmless(" ".join(value.splitlines()))
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    return value
