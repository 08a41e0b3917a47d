"""Which parts of a picture an answer rests on: what becomes of it when they are covered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.feeds import feeds_of
from cupel.core.modality import GraphInput

Array = NDArray[Any]
Predict = Callable[[Mapping[str, Array]], Array]
"""Predictions (rows, outputs) for the tensors of a packed graph, by input name."""

N_CELLS = 8
CELLS_COVERED = 2
GREY = 128
PICTURES_A_CALL = 17


@dataclass(frozen=True, eq=False)
class Occlusion:
    """How far an output falls where its row's picture is covered, cell by cell; positive where it rests on what is there.

    `plain` is the output for the whole picture. Each cell of `drops` is the mean over all squares that covered it, from -1
    to 1 for probabilities. Cells are of equal height and of equal width, few for a picture of few pixels.
    """

    row: int
    output: int
    plain: float
    drops: Float[Array, "down across"]


def occluded(
    wanted: Sequence[tuple[int, int, Predict]],
    dataset: Dataset,
    *,
    inputs: Sequence[GraphInput],
    seconds: float,
    column: str,
) -> list[Occlusion]:
    """Maps of rows, one after another, as long as there is time: grey squares of a quarter of each side slide over the picture.

    `wanted` holds rows, the output that is looked at, and how a model that has not seen the row predicts. `column` is the
    one whose pictures are covered; rows without a picture are passed over, as are all where no graph input reads the column.

    Source: Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2.
    """
    until = time.monotonic() + seconds
    read = next((graph_input.name for graph_input in inputs if column in graph_input.columns), None)
    maps: list[Occlusion] = []
    if read is None:
        return maps
    for row, output, predict in wanted:
        picture = dataset.columns[column][row]
        if picture is None:
            continue
        asked = _Asked(read, feeds_of(dataset, np.array([row]), inputs), predict, output)
        found = _map(picture, asked.said, until=until)
        if found is None:
            break
        maps.append(Occlusion(row, output, *found))
    return maps


@dataclass(frozen=True, eq=False)
class _Asked:
    """A row whose picture can be exchanged: in which graph input, with what in the others, who is asked and for what."""

    read: str
    feeds: Mapping[str, Array]
    predict: Predict
    output: int

    def said(self, pictures: Sequence[Array]) -> Array:
        """The output for each picture, shape (pictures,)."""
        call = {name: np.repeat(cells, len(pictures), axis=0) for name, cells in self.feeds.items()}
        for place, covered in enumerate(pictures):
            call[self.read][place, 0] = covered
        return np.asarray(self.predict(call), np.float64)[:, self.output]


def _map(picture: Array, said_of: Callable[[Sequence[Array]], Array], *, until: float) -> tuple[float, Array] | None:
    """The output for the whole picture and the drops by cell; None where time ran out."""
    edges = [_edges(extent) for extent in picture.shape[:2]]
    squares = [(top, left) for top in _starts(edges[0]) for left in _starts(edges[1])]
    covered = [_covered(picture, edges, square) for square in squares]
    said: list[float] = []
    for first in range(0, 1 + len(covered), PICTURES_A_CALL):
        if time.monotonic() >= until:
            return None
        said += said_of([picture, *covered][first : first + PICTURES_A_CALL]).tolist()
    sums, counts = (np.zeros((len(edges[0]) - 1, len(edges[1]) - 1)) for _ in range(2))
    for (top, left), value in zip(squares, said[1:], strict=True):
        part = np.s_[top : top + CELLS_COVERED, left : left + CELLS_COVERED]
        sums[part] += said[0] - value
        counts[part] += 1
    return said[0], sums / counts


def _edges(extent: int) -> list[int]:
    """Where cells begin and the last one ends: eight, or as many as there are pixels."""
    n_cells = min(N_CELLS, extent)
    return [math.floor(cell * extent / n_cells + 0.5) for cell in range(n_cells + 1)]


def _starts(edges: Sequence[int]) -> range:
    """Cells at which a square may begin."""
    return range(max(1, len(edges) - CELLS_COVERED))


def _covered(picture: Array, edges: Sequence[Sequence[int]], square: tuple[int, int]) -> Array:
    covered = np.array(picture)
    ends = [min(start + CELLS_COVERED, len(each) - 1) for start, each in zip(square, edges, strict=True)]
    covered[edges[0][square[0]] : edges[0][ends[0]], edges[1][square[1]] : edges[1][ends[1]]] = GREY
    return covered
