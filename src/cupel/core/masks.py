"""Masks: a class for every pixel, as answers of a task, as predictions, and in the few points by which they are judged.

A prediction for a mask is a row of class * height * width probabilities, as an array (classes, height, width) lies in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.finding import Finding
from cupel.core.task import Task

Array = NDArray[Any]
Labels = NDArray[np.uint8]
MAPS = "maps"
"""The output of a packed graph that holds probabilities in the picture's own size, (rows, classes, height, width)."""
VOID = 255
"""The label of pixels that have none: they are neither learned from nor judged."""
MOST_CLASSES = 100
LARGEST_SIDE, SMALLEST_SIDE = 256, 16
GRAIN = 8
"""Sides of a grid are multiples of it, so that they can be halved three times."""
PIXELS_PER_EPOCH = 32_000_000
"""What an epoch may cost: 500 pictures of 256 x 256 are 33 million."""
FEW_POINTS = (10, 10)
"""Down and across, evenly spaced: what a small model says of them tells what a change to the data does."""
MANY_CLASSES = 8
"""Beyond it probabilities, of which every pixel has as many, take more memory than pictures do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """A column of masks as it was read.

    `labels` are uint8 arrays (height, width) of class indices or `VOID`, None where a mask is missing. `classes` are the names of
    the classes, in order: grey levels or indices of a palette as numbers ("0", "255"), colours as "#rrggbb". `names` are the
    files that masks came from, as in `ReadColumn`.
    """

    labels: Array
    classes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    names: Array | None = None


def grid_of(sizes: Sequence[tuple[int, int]], *, n_classes: int) -> tuple[int, int]:
    """Height and width at which masks of these sizes are learned: the median, each side a multiple of 8, 256 at most.

    Of many pictures, or many classes, the grid is smaller, so that an epoch looks at no more than `PIXELS_PER_EPOCH`.
    """
    affordable = PIXELS_PER_EPOCH / len(sizes) * min(1.0, MANY_CLASSES / n_classes)
    height, width = np.median(np.array(sizes, np.float64).reshape(-1, 2), axis=0).tolist()
    scale = min(1.0, LARGEST_SIDE / max(height, width), math.sqrt(affordable / (height * width)))
    sides = [max(SMALLEST_SIDE, round(side * scale / GRAIN) * GRAIN) for side in (height, width)]
    return sides[0], sides[1]


def on_grid(labels: Labels, grid: tuple[int, ...]) -> Labels:
    """The labels of the pixels that lie nearest to the middle of each cell of a grid: no label is ever mixed with another."""
    rows, columns = (nearest(had, wanted) for had, wanted in zip(labels.shape, grid, strict=True))
    return np.ascontiguousarray(labels[rows][:, columns])


def nearest(had: int, wanted: int) -> NDArray[np.int64]:
    """Of so many places those that lie nearest to the middles of as many equal parts as are wanted."""
    return (2 * np.arange(wanted, dtype=np.int64) + 1) * had // (2 * wanted)


def judged_answers(task: Task, target: Array) -> Array:
    """Answers as they are compared with out-of-fold predictions: of masks (rows, points), all others as they are."""
    if not task.grid:
        return target
    rows, columns = (np.array(places, np.int64) for places in task.lattice)
    return np.ascontiguousarray(target[:, rows][:, :, columns].reshape(len(target), -1))


def judged_predictions(task: Task, predictions: Array) -> Array:
    """Predictions (rows, outputs) as they are kept out of fold: of masks (rows, classes * points), all others as they are."""
    if not task.grid:
        return predictions
    rows, columns = (np.array(places, np.int64) for places in task.lattice)
    maps = predictions.reshape(len(predictions), len(task.classes), *task.grid)
    return np.ascontiguousarray(maps[:, :, rows][:, :, :, columns].reshape(len(predictions), -1))


def at_few_points(target: Array) -> Array:
    """Of masks (rows, height, width) the labels at 10 by 10 points, shape (rows, points)."""
    rows, columns = (nearest(had, wanted) for had, wanted in zip(target.shape[1:], FEW_POINTS, strict=True))
    return np.ascontiguousarray(target[:, rows][:, :, columns].reshape(len(target), -1))


def shares_of(task: Task, target: Array) -> NDArray[np.float64]:
    """How much of each mask (rows, height, width) each class covers, shape (rows, classes); void counts nothing."""
    flat = target.reshape(len(target), -1)
    counts = np.stack([(flat == klass).sum(axis=1) for klass in range(len(task.classes))], axis=1)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
