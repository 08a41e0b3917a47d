"""The report's pictures of predictions: what the pick answers, beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.evaluation import CalibrationCurve
from cupel.verdict.drawings import Axis, Drawing, Plot, around
from cupel.verdict.pictures import cut
from cupel.verdict.words import count_words

Array = NDArray[Any]
MAX_COUNTED = 10
N_CELLS = 40


def lines(curves: Sequence[Mapping[str, Any]], *, x: str, y: str, diagonal: bool = False, level: float | None = None) -> str:
    """Curves in the unit square. Each has `x`, `y`, `name` and `style`; several thin ones are drawn under a main one."""
    plot = Plot(Axis(low=0, high=1, name=x), Axis(low=0, high=1, name=y), label=f"{y} against {x}", height=340)
    if diagonal:
        plot.path([plot.at(0, 0), plot.at(1, 1)], "guide")
    if level is not None:
        plot.path([plot.at(0, level), plot.at(1, level)], "guide")
    for curve in curves:
        plot.path(plot.points(curve["x"], curve["y"]), curve["style"], title=str(curve["name"]))
    return plot.svg()


def calibration(curve: CalibrationCurve) -> str:
    """Stated against observed share, dots sized by how many rows they stand for."""
    plot = Plot(
        Axis(low=0, high=1, name="probability given"),
        Axis(low=0, high=1, name="share that came true"),
        label="calibration",
        height=340,
    )
    plot.path([plot.at(0, 0), plot.at(1, 1)], "guide")
    plot.path(plot.points(curve.stated.tolist(), curve.observed.tolist()), "line deep thin")
    largest = max(curve.counts.tolist(), default=1)
    for p, share, count in zip(curve.stated, curve.observed, curve.counts, strict=True):
        title = f"given {p:.3f}, came true {share:.3f}, {int(count):,} rows"
        plot.dot(plot.at(float(p), float(share)), 2.5 + 5.5 * float(np.sqrt(count / largest)), "mark deep", title=title)
    return plot.svg()


def histograms(groups: Sequence[tuple[str, str, Array]], edges: Array, *, x: str) -> str:
    """Histograms over the same bins, one on another; each group is (name, style, counts), drawn as shares of its own rows."""
    shares = [(name, style, counts / max(counts.sum(), 1)) for name, style, counts in groups]
    top = max((float(share.max()) for _, _, share in shares if len(share)), default=1.0) or 1.0
    plot = Plot(
        Axis(low=float(edges[0]), high=float(edges[-1]), name=x, grid=False),
        Axis(low=0, high=top * 1.06, name="share of rows", n_ticks=4, written=lambda share: f"{100 * share:.3g}%"),
        label=f"distribution of {x}",
    )
    for name, style, share in shares:
        for (
            left,
            right,
            value,
        ) in zip(edges[:-1], edges[1:], share, strict=True):
            if value > 0:
                (x0, y0), (x1, y1) = plot.at(float(left), float(value)), plot.at(float(right), 0.0)
                plot.rect((x0, y0), (x1 - x0 - 0.6, y1 - y0), f"area {style}", opacity=0.5, title=f"{name}: {100 * value:.1f}%")
    return plot.svg()


def confusion(matrix: Array, classes: Sequence[str]) -> str:
    """True classes in rows, predictions in columns; colour is the share of the row, counts are written where they fit.

    A cell's key is "row,column", both counted from 0.
    """
    n_classes = len(classes)
    left, top, width = 132.0, 26.0, 560.0
    cell = min((width - left - 8) / n_classes, 84.0)
    drawing = Drawing(left + cell * n_classes + 8, top + cell * n_classes + 60, label="confusion matrix")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = "label small" if n_classes <= 16 else "tick tiny"
    for i, name in enumerate(classes):
        y = top + cell * i
        drawing.text((left - 8, y + cell / 2 + 4), cut(name, 18), size, anchor="end")
        for j, other in enumerate(classes):
            if not matrix[i, j]:
                continue
            title = f"true {name}, predicted {other}: {count_words(int(matrix[i, j]), 'row')} ({100 * shares[i, j]:.1f}%)"
            style = "area right" if i == j else "area wrong"
            shade = 0.08 + 0.82 * float(shares[i, j])
            drawing.rect((left + cell * j, y), (cell - 1, cell - 1), style, opacity=shade, title=title, key=f"{i},{j}")
            if n_classes <= MAX_COUNTED:
                ink = "count onfill" if shares[i, j] > 0.55 else "count"
                drawing.text((left + cell * (j + 0.5), y + cell / 2 + 4), f"{int(matrix[i, j]):,}", ink, anchor="middle")
    _column_names(drawing, classes, left=left, top=top, cell=cell, style=size)
    drawing.text((left - 8, 16), "true ↓", "name", anchor="end")
    drawing.text((left + cell * n_classes / 2, 16), "predicted →", "name", anchor="middle")
    return drawing.svg()


def _column_names(drawing: Drawing, classes: Sequence[str], *, left: float, top: float, cell: float, style: str) -> None:
    bottom = top + cell * len(classes)
    longest = max(len(name) for name in classes)
    turned = longest * 7 > cell
    for j, name in enumerate(classes):
        x = left + cell * (j + 0.5)
        if turned:
            drawing.text((x + 4, bottom + 6), cut(name, 8), style, anchor="end", turned=True)
        else:
            drawing.text((x, bottom + 16), name, style, anchor="middle")


def density(x: Array, y: Array, *, names: tuple[str, str], diagonal: bool) -> str:
    """How many rows fall where, as squares whose depth grows with the logarithm of their number."""
    both = np.concatenate([x, y]) if diagonal else x
    x_low, x_high = around(_inner(both).tolist(), margin=0.03)
    y_low, y_high = (x_low, x_high) if diagonal else around(_inner(y).tolist(), margin=0.03)
    plot = Plot(
        Axis(low=x_low, high=x_high, name=names[0]),
        Axis(low=y_low, high=y_high, name=names[1]),
        label=f"{names[1]} against {names[0]}",
        height=340,
    )
    counts, x_edges, y_edges = np.histogram2d(
        np.clip(x, x_low, x_high), np.clip(y, y_low, y_high), bins=N_CELLS, range=((x_low, x_high), (y_low, y_high))
    )
    largest = np.log1p(counts.max()) if counts.size else 1.0
    for i, j in zip(*np.nonzero(counts), strict=True):
        (x0, y0), (x1, y1) = plot.at(x_edges[i], y_edges[j + 1]), plot.at(x_edges[i + 1], y_edges[j])
        shade = 0.15 + 0.85 * float(np.log1p(counts[i, j]) / largest)
        plot.rect((x0, y0), (x1 - x0, y1 - y0), "area deep", opacity=shade, title=f"{int(counts[i, j]):,} rows")
    if diagonal:
        plot.path([plot.at(x_low, x_low), plot.at(x_high, x_high)], "guide")
    elif y_low < 0 < y_high:
        plot.path([plot.at(x_low, 0), plot.at(x_high, 0)], "guide")
    return plot.svg()


def _inner(values: Array) -> Array:
    """The values without the outermost half percent on each side, which would squeeze all others together."""
    low, high = np.quantile(values, [0.005, 0.995])
    kept: Array = values[(values >= low) & (values <= high)]
    return kept if len(kept) else values


def small_histogram(counts: Sequence[int], *, label: str) -> str:
    """A column's distribution, the size of a word."""
    drawing = Drawing(120, 26, label=label)
    highest = max(counts, default=0)
    if not highest:
        return drawing.svg()
    step = 118 / len(counts)
    for number, count in enumerate(counts):
        if count:
            tall = max(24 * count / highest, 1.0)
            drawing.rect(
                (1 + step * number, 25 - tall), (max(step - 0.8, 0.6), tall), "area ink", opacity=0.6, title=f"{count:,}"
            )
    return drawing.svg()
