"""Missing numbers from the training rows that are nearest in the numbers that are present."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cupel.core.graph import Graph
from cupel.modalities.tabular.preparation.missing import Mask, Matrix, location_and_scale

MAX_REFERENCES = 256
N_NEIGHBOURS = 5
TIE_BREAK = 1e-9  # well above the rounding of a distance, well below any difference that matters
N_CHUNK = 8192
FARTHEST = 100.0  # standard deviations; keeps rounding far below TIE_BREAK
NOTHING_SHARED = 1e12


@dataclass(frozen=True, eq=False)
class NeighbourFill:
    """Mean of the `N_NEIGHBOURS` nearest of at most `MAX_REFERENCES` training rows, the column mean where those lack it too.

    Distances are Euclidean over standardised numbers present in both rows, scaled up for those that are not.
    `references` are standardised, 0 where missing, shape (references, columns); `known` is 1.0 where present.

    Source: Troyanskaya et al. 2001, doi:10.1093/bioinformatics/17.6.520, KNNimpute, with distances over gaps as in
    scikit-learn's `nan_euclidean_distances`; we bound the references so that a packed model stays small and quick.
    """

    mean: Matrix
    scale: Matrix
    references: Matrix
    known: Matrix

    @classmethod
    def fit(cls, values: Matrix, present: Mask, *, seed: int) -> NeighbourFill:
        """Choose references: the training rows with fewest gaps, at random among equals, each once."""
        mean, scale = location_and_scale(values, present)
        standard = _standardised(values, present, mean, scale)
        shuffled = np.random.default_rng(seed).permutation(len(values))
        gaps = (~present[shuffled]).sum(axis=1)
        order = shuffled[np.argsort(gaps, kind="stable")][: 4 * MAX_REFERENCES]
        candidates = np.concatenate([standard[order], present[order]], axis=1)
        _, first = np.unique(candidates, axis=0, return_index=True)
        chosen = order[np.sort(first)[:MAX_REFERENCES]]
        return cls(mean, scale, standard[chosen], present[chosen].astype(np.float64))

    def apply(self, values: Matrix, present: Mask) -> Matrix:
        """Values with gaps replaced; only rows with gaps are computed."""
        filled = np.where(present, values, self.mean)
        gappy = np.flatnonzero(~present.all(axis=1))
        for start in range(0, len(gappy), N_CHUNK):
            rows = gappy[start : start + N_CHUNK]
            filled[rows] = np.where(present[rows], values[rows], self._guess(values[rows], present[rows]))
        return filled

    def _guess(self, values: Matrix, present: Mask) -> Matrix:
        here = present.astype(np.float64)
        standard = _standardised(values, present, self.mean, self.scale)
        shared = here @ self.known.T
        squares = (standard**2) @ self.known.T + here @ (self.references**2).T - 2.0 * (standard @ self.references.T)
        distances = squares / np.maximum(shared, 0.5) + np.where(shared > 0.5, self._tie_break, self._tie_break + NOTHING_SHARED)
        nth = np.partition(distances, self._n_neighbours - 1, axis=1)[:, self._n_neighbours - 1 : self._n_neighbours]
        near = (distances <= nth).astype(np.float64)
        guess = (near @ self.references) / np.maximum(near @ self.known, 0.5)
        return np.asarray(guess * self.scale + self.mean)

    @property
    def _tie_break(self) -> Matrix:
        return TIE_BREAK * np.arange(len(self.references), dtype=np.float64)

    @property
    def _n_neighbours(self) -> int:
        return min(N_NEIGHBOURS, len(self.references))

    def emit(self, graph: Graph, values: str, present: str) -> str:
        """The same in a graph; for all rows, since a graph cannot skip some."""

        def constant(array: Matrix | float) -> str:
            return graph.constant(np.asarray(array, np.float64))

        known_or_mean = graph.op("Where", present, values, constant(self.mean))
        scaled = graph.op("Div", graph.op("Sub", known_or_mean, constant(self.mean)), constant(self.scale))
        standard = graph.op("Clip", scaled, constant(-FARTHEST), constant(FARTHEST))
        here = graph.cast(present, np.float64)
        known = constant(np.ascontiguousarray(self.known.T))
        shared = graph.op("MatMul", here, known)
        own = graph.op("MatMul", graph.op("Mul", standard, standard), known)
        theirs = graph.op("MatMul", here, constant(np.ascontiguousarray((self.references**2).T)))
        cross = graph.op("MatMul", standard, constant(np.ascontiguousarray(-2.0 * self.references.T)))
        squares = graph.op("Add", graph.op("Add", own, theirs), cross)
        shared_enough = graph.op("Greater", shared, constant(0.5))
        far = graph.op("Where", shared_enough, constant(self._tie_break), constant(self._tie_break + NOTHING_SHARED))
        distances = graph.op("Add", graph.op("Div", squares, graph.op("Max", shared, constant(0.5))), far)
        nearest = graph.constant(np.array([self._n_neighbours], np.int64))
        smallest, _ = graph.ops("TopK", distances, nearest, n_outputs=2, axis=1, largest=0, sorted=1)
        nth = graph.columns(smallest, [self._n_neighbours - 1])
        near = graph.cast(graph.op("LessOrEqual", distances, nth), np.float64)
        total = graph.op("MatMul", near, constant(self.references))
        count = graph.op("Max", graph.op("MatMul", near, constant(self.known)), constant(0.5))
        guess = graph.op("Add", graph.op("Mul", graph.op("Div", total, count), constant(self.scale)), constant(self.mean))
        return graph.op("Where", present, values, guess)


def _standardised(values: Matrix, present: Mask, mean: Matrix, scale: Matrix) -> Matrix:
    """Distance from the mean in standard deviations, 0 where missing."""
    return np.asarray(np.clip((np.where(present, values, mean) - mean) / scale, -FARTHEST, FARTHEST))
