"""Reads the cells of a comparison and writes them out: a table a budget, ranks, paired wins, costs, and a picture."""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

from benchmarks.tables import TABLES, Table
from benchmarks.tabular.systems import SYSTEMS
from cupel import data, evaluation
from cupel.data.duplicates import find_duplicates

Array = NDArray[Any]
TIE = 0.025
"""A table is won where the loser is better in at most this share of resamples of the test rows: 95% on both sides."""
OURS = ("cupel", "cupel, deep only")
RIVAL = "AutoGluon best_quality"


@dataclass(frozen=True, eq=False)
class Cell:
    """One system's run on one table: predictions of the test rows, their score, and what they took."""

    facts: dict[str, Any]
    target: Array
    predictions: Array | None
    score: float | None

    @property
    def seconds(self) -> float:
        return float(self.facts.get("seconds") or np.nan)


def report(work: Path, out: Path, *, note: str = "") -> None:
    """Write the comparison of all cells that are there, and the picture beside it."""
    cells = dict(_cells(work))
    if not cells:
        raise SystemExit(f"there are no results in {work}; run first")
    budgets = sorted({budget for _, _, budget in cells if budget is not None})
    lines = [*_head(cells, work), *([note] if note else []), ""]
    for budget in budgets:
        lines += [*_at(cells, budget), ""]
    picture = out.with_suffix(".svg")
    picture.write_text(_picture(cells, budgets))
    lines += [f"![mean normalised score against the budget]({picture.name})", ""]
    out.write_text("\n".join(lines))
    print(f"{out} and {picture}")


Key = tuple[str, str, float | None]


def _cells(work: Path) -> Iterable[tuple[Key, Cell]]:
    tables, untimed = {table.name: table for table in TABLES}, {s.name for s in SYSTEMS if not s.keeps_time}
    for path in sorted((work / "cells").glob("*/*/*/facts.json")):
        facts = json.loads(path.read_text())
        table = tables[facts["table"]]
        folder = work / "tables" / table.name
        truth = polars.read_csv(folder / "truth.csv", infer_schema=False)[table.target].to_list()
        rows = np.flatnonzero(~is_repeated(folder))
        target, predictions, score = _judged(table, truth, path.parent / "predictions.csv", rows, failed="failed" in facts)
        key = (table.name, facts["system"], None if facts["system"] in untimed else float(facts["budget"]))
        yield key, Cell(facts, target, predictions, score)


@functools.cache
def is_repeated(folder: Path) -> Array:
    """Which test rows are copies of a training row, as `find_duplicates` counts them.

    Whoever learns rows by heart would win by them: on wine_white a third of the test rows, on which one system's error is half
    of another's, while on all other rows it is larger.
    """
    train, test = (polars.read_csv(folder / f"{part}.csv", infer_schema=False) for part in ("train", "test"))
    twins = find_duplicates(data.read(polars.concat([train.select(test.columns), test]))).twins
    return np.isin(twins[len(train) :], twins[: len(train)])


def _judged(
    table: Table, truth: Sequence[str], path: Path, rows: Array, *, failed: bool
) -> tuple[Array, Array | None, float | None]:
    """Target, predictions and score of these test rows."""
    classes = sorted(set(truth))
    target = np.array([float(value) for value in truth]) if table.is_regression else np.array([classes.index(v) for v in truth])
    target = target[rows]
    if failed or not path.exists():
        return target, None, None
    frame = polars.read_csv(path, infer_schema_length=None)
    if table.is_regression:
        predictions = frame["prediction"].cast(polars.Float64).to_numpy()[rows, None]
    else:
        names = [_column_of(frame, label) for label in classes]
        predictions = frame.select(names).to_numpy().astype(float)[rows]
        predictions = predictions / predictions.sum(axis=1, keepdims=True)
    return target, predictions, evaluation.score(table.metric, target, predictions)


def _column_of(frame: polars.DataFrame, label: str) -> str:
    """The column of a class; some systems write the class 1 as True or 1.0."""
    for written in (label, f"{label}.0", {"0": "False", "1": "True"}.get(label, label)):
        if f"probability_{written}" in frame.columns:
            return f"probability_{written}"
    raise SystemExit(f"no column for the class {label!r}; there are {frame.columns}")


def _better(table: Table, score: float) -> float:
    return score if table.metric == "roc_auc" else -score


def _head(cells: dict[Key, Cell], work: Path) -> list[str]:
    machine = next(iter(cells.values())).facts["machine"]
    copies = {name: int(is_repeated(work / "tables" / name).sum()) for name in sorted({key[0] for key in cells})}
    listed = ", ".join(f"{name} {count:,}" for name, count in copies.items() if count)
    return [
        "# Tables: Cupel and its peers at equal time",
        "",
        f"{datetime.date.today()}, {machine['processor']}, {machine['cores']} cores. Every system gets the same file, the same",
        "cores and the same seconds, and predicts rows that nobody has seen: ROC-AUC for two classes, log loss for more,",
        "RMSE for numbers. Best of a row in bold; † failed, or gave nothing. Won, tied, lost: Cupel against the system, by a",
        "paired bootstrap over the test rows (95%). Systems that cannot be told a time stand in every table with what they took.",
        f"Test rows that are copies of a training row are not judged ({listed or 'none'}): they reward learning by heart.",
    ]


def _at(cells: dict[Key, Cell], budget: float) -> list[str]:
    names = [s.name for s in SYSTEMS if any(key[1] == s.name and key[2] in (budget, None) for key in cells)]
    found = {
        (table.name, name): cells.get((table.name, name, budget)) or cells.get((table.name, name, None))
        for table in TABLES
        for name in names
    }
    tables = [table for table in TABLES if any((table.name, name, budget) in cells for name in names)]
    complete = [table for table in tables if all(found[table.name, name] for name in names)]
    lines = [f"## {budget:g} seconds a table", "", f"| table | metric | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    lines += [_row(table, names, found) for table in tables]
    lines += [
        _summary("mean rank", names, _mean_ranks(complete, names, found), digits=2),
        _summary("mean normalised score", names, _normalised(complete, names, found), digits=3),
        *[_duel(ours, names, tables, found) for ours in OURS if ours in names],
        _costs("seconds, median", names, tables, lambda cell: cell.seconds, found),
        _costs("seconds, most", names, tables, lambda cell: cell.seconds, found, most=True),
        _costs("one row, ms, median", names, tables, lambda cell: (cell.facts.get("latency_ms") or {}).get("one"), found),
        _costs(
            "a thousand rows, ms, median", names, tables, lambda cell: (cell.facts.get("latency_ms") or {}).get("thousand"), found
        ),
        _costs("MB, median", names, tables, lambda cell: (cell.facts.get("bytes") or np.nan) / 1e6, found),
    ]
    lines += ["", *_promises(names, tables, found)]
    if len(complete) < len(tables):
        lines += ["", f"Ranks and normalised scores are over the {len(complete)} tables on which every system was run."]
    return lines


def _row(table: Table, names: Sequence[str], found: dict[tuple[str, str], Cell | None]) -> str:
    scores = {name: cell.score for name in names if (cell := found[table.name, name]) is not None and cell.score is not None}
    best = max(scores.values(), key=lambda score: _better(table, score), default=None)
    shown = []
    for name in names:
        cell = found[table.name, name]
        words = "" if cell is None else "†" if cell.score is None else _number(cell.score)
        shown.append(f"**{words}**" if name in scores and scores[name] == best else words)
    return f"| {table.name} | {table.metric.replace('_', ' ')} | {' | '.join(shown)} |"


def _number(score: float) -> str:
    return f"{score:,.0f}" if abs(score) >= 1000 else f"{score:.4g}" if abs(score) >= 1 else f"{score:.4f}"


def _summary(title: str, names: Sequence[str], values: dict[str, float], *, digits: int) -> str:
    return f"| *{title}* | | {' | '.join(f'{values[name]:.{digits}f}' if name in values else '' for name in names)} |"


def _score_matrix(tables: Sequence[Table], names: Sequence[str], found: dict[tuple[str, str], Cell | None]) -> Array:
    """Larger is better, shape (tables, systems); NaN where a system failed."""
    matrix = np.full((len(tables), len(names)), np.nan)
    for row, table in enumerate(tables):
        for column, name in enumerate(names):
            cell = found[table.name, name]
            if cell is not None and cell.score is not None:
                matrix[row, column] = _better(table, cell.score)
    return matrix


def _mean_ranks(tables: Sequence[Table], names: Sequence[str], found: dict[tuple[str, str], Cell | None]) -> dict[str, float]:
    """1 is best; who failed is last."""
    matrix = np.nan_to_num(_score_matrix(tables, names, found), nan=-np.inf)
    above = (matrix[:, None, :] > matrix[:, :, None]).sum(axis=2)
    equal = (matrix[:, None, :] == matrix[:, :, None]).sum(axis=2)
    ranks = above + (equal + 1) / 2
    return dict(zip(names, ranks.mean(axis=0), strict=True)) if len(tables) else {}


def _normalised(tables: Sequence[Table], names: Sequence[str], found: dict[tuple[str, str], Cell | None]) -> dict[str, float]:
    """1 for the best of a table, 0 for the worst and for who failed."""
    if not tables:
        return {}
    matrix = _score_matrix(tables, names, found)
    low, high = np.nanmin(matrix, axis=1, keepdims=True), np.nanmax(matrix, axis=1, keepdims=True)
    scaled = np.nan_to_num((matrix - low) / np.where(high > low, high - low, 1.0), nan=0.0)
    scaled[np.broadcast_to(high == low, scaled.shape)] = 1.0
    return dict(zip(names, scaled.mean(axis=0), strict=True))


def _duel(ours: str, names: Sequence[str], tables: Sequence[Table], found: dict[tuple[str, str], Cell | None]) -> str:
    """Won, tied and lost tables against every other system, and on how many ours is ahead at all."""
    shown = []
    for name in names:
        won = tied = lost = ahead = 0
        for table in tables:
            mine, other = found[table.name, ours], found[table.name, name]
            if name == ours or mine is None or other is None or mine.predictions is None or other.predictions is None:
                continue
            assert mine.score is not None
            assert other.score is not None
            ahead += _better(table, mine.score) > _better(table, other.score)
            worse = evaluation.paired_difference(
                table.metric, mine.target, mine.predictions, other.predictions, n_resamples=1000
            ).probability_worse
            won, tied, lost = won + (worse <= TIE), tied + (TIE < worse < 1 - TIE), lost + (worse >= 1 - TIE)
        total = won + tied + lost
        shown.append("" if not total else f"{won}, {tied}, {lost}; ahead on {ahead} of {total}")
    return f"| *{ours}: won, tied, lost* | | {' | '.join(shown)} |"


def _costs(title: str, names: Sequence[str], tables: Sequence[Table], value: Any, found: Any, *, most: bool = False) -> str:
    shown = []
    for name in names:
        values = [value(cell) for table in tables if (cell := found[table.name, name]) is not None and cell.score is not None]
        known = [float(v) for v in values if v is not None and np.isfinite(v)]
        shown.append("" if not known else f"{(max(known) if most else float(np.median(known))):.4g}")
    return f"| *{title}* | | {' | '.join(shown)} |"


def _promises(names: Sequence[str], tables: Sequence[Table], found: dict[tuple[str, str], Cell | None]) -> list[str]:
    """Where the test score lay against the interval that the verdict had stated."""
    lines = []
    for name in (name for name in OURS if name in names):
        places = []
        for table in tables:
            cell = found[table.name, name]
            expected = None if cell is None else cell.facts.get("expected")
            if cell is None or cell.score is None or not expected:
                continue
            low, high = sorted(_better(table, float(expected[end])) for end in ("low", "high"))
            score = _better(table, cell.score)
            places.append("worse" if score < low else "better" if score > high else "within")
        within, better, worse = (places.count(place) for place in ("within", "better", "worse"))
        lines.append(
            f"{name}: the test score lay within the 95% interval that its verdict had stated on {within} tables, was better on "
            f"{better} and worse on {worse}. (The interval is of the folds' models; what is packed is their mean, and the test "
            "part has luck of its own.)"
        )
    return lines


# The picture

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 60, 20, 220, 50
COLOURS = ("#b3541e", "#e39a5c", "#1f5fa8", "#9aa5b1", "#5b6b7b", "#3a8f6b", "#8a5fb0", "#c2a32f", "#b04f7a")


def _picture(cells: dict[Key, Cell], budgets: Sequence[float]) -> str:
    """Mean normalised score of all systems, over the tables that all of them ran at every budget, against seconds."""
    names = [s.name for s in SYSTEMS if any(key[1] == s.name for key in cells)]
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for budget in budgets:
        present = [n for n in names if any(key[1] == n and key[2] in (budget, None) for key in cells)]
        found = {(t.name, n): cells.get((t.name, n, budget)) or cells.get((t.name, n, None)) for t in TABLES for n in present}
        tables = [table for table in TABLES if all(found[table.name, name] for name in present)]
        for name, score in _normalised(tables, present, found).items():
            points[name].append((budget, score))
    low, high = np.log(min(budgets)) - 0.2, np.log(max(budgets)) + 0.2
    bottom = min([0.5, *(score for line in points.values() for _, score in line)])

    def x(seconds: float) -> float:
        return LEFT + (np.log(seconds) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(score: float) -> float:
        return TOP + (1 - (score - bottom) / (1 - bottom)) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    foot = HEIGHT - BOTTOM + 20
    parts += [f'<text x="{x(budget):.0f}" y="{foot}" text-anchor="middle" fill="#555">{budget:g} s</text>' for budget in budgets]
    for score in np.linspace(bottom, 1, 5):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(score):.1f}" y2="{y(score):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(score) + 4:.1f}" text-anchor="end" fill="#555">{score:.2f}</text>')
    lines = [(name, line, COLOURS[names.index(name)]) for name, line in points.items() if line]
    heights = _apart([y(line[-1][1]) for _, line, _ in lines])
    for (name, line, colour), height in zip(lines, heights, strict=True):
        path = " ".join(f"{x(seconds):.1f},{y(score):.1f}" for seconds, score in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="4" fill="{colour}"/>' for s, v in line]
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{height + 4:.1f}" fill="{colour}">{name} {line[-1][1]:.2f}</text>')
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 8}" fill="#333">mean normalised score (1: best of a table) by seconds given</text>'
    )
    return "\n".join([*parts, "</svg>\n"])


def _apart(heights: Sequence[float], gap: float = 17.0) -> list[float]:
    """Heights of labels, moved down where they would overlap."""
    placed: list[float] = [0.0] * len(heights)
    last = -np.inf
    for index in np.argsort(heights):
        last = max(heights[index], last + gap)
        placed[index] = float(last)
    return placed
