"""Missing numbers guessed from the other numbers by random forests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph
from cupel.modalities.tabular.preparation.missing import Mask, Matrix, location_and_scale

N_TREES = 8  # a power of two: see LEAF_STEPS
LEAF_STEPS = 4096
N_ROUNDS = 2
MAX_ROWS = 5000
MAX_COLUMNS = 20
MIN_OBSERVED = 20
FARTHEST = 64.0  # standard deviations

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ForestFill:
    """Gaps filled with the mean, then `N_ROUNDS` times with forests that read the other columns.

    `rounds` holds, per round, pairs of a column and its trees. Leaves are whole multiples of 1 / `LEAF_STEPS`
    standard deviations: sums of them are exact in float32 in any order, so the graph gives the same bits and the next
    round's comparisons cannot fall to different sides.

    Source: Stekhoven and Bühlmann 2012, doi:10.1093/bioinformatics/btr597 (missForest). We keep each round's forests, since
    rows arrive one by one at prediction, and bound rounds, trees and rows so that a packed model stays small.
    """

    mean: Matrix
    scale: Matrix
    rounds: tuple[tuple[tuple[int, tuple[Any, ...]], ...], ...]

    @classmethod
    def fit(cls, values: Matrix, present: Mask, *, seed: int) -> ForestFill:
        """Grow forests for the columns with most gaps, at most `MAX_COLUMNS`; the rest get their mean."""
        mean, scale = location_and_scale(values, present)
        rows = np.arange(len(values))
        if len(rows) > MAX_ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
        start = _standardised(values[rows], present[rows], mean, scale)
        n_gaps, n_observed = (~present).sum(axis=0), present[rows].sum(axis=0)
        ranked = np.argsort(-n_gaps, kind="stable")[:MAX_COLUMNS]
        columns = [int(column) for column in ranked if n_gaps[column] > 0 and n_observed[column] >= MIN_OBSERVED]
        rounds: list[tuple[tuple[int, tuple[Any, ...]], ...]] = []
        filled = start
        for _ in range(N_ROUNDS if columns else 0):
            forests = tuple((column, _grow(filled, present[rows, column], column, seed=seed)) for column in columns)
            rounds.append(forests)
            filled = np.where(present[rows], start, _predict(forests, filled))
        return cls(mean, scale, tuple(rounds))

    def apply(self, values: Matrix, present: Mask) -> Matrix:
        """Values with gaps replaced; only rows with gaps are computed."""
        filled = np.where(present, values, self.mean)
        rows = np.flatnonzero(~present.all(axis=1))
        if len(rows) and self.rounds:
            start = _standardised(values[rows], present[rows], self.mean, self.scale)
            guess = start
            for forests in self.rounds:
                guess = np.where(present[rows], start, _predict(forests, guess))
            filled[rows] = np.where(present[rows], values[rows], guess.astype(np.float64) * self.scale + self.mean)
        return filled

    def emit(self, graph: Graph, values: str, present: str) -> str:
        """The same in a graph: one TreeEnsembleRegressor per round."""
        mean = graph.constant(self.mean)
        if not self.rounds:
            return graph.op("Where", present, values, mean)
        scale = graph.constant(self.scale)
        limits = (graph.constant(-FARTHEST, np.float64), graph.constant(FARTHEST, np.float64))
        standard = graph.op("Div", graph.op("Sub", graph.op("Where", present, values, mean), mean), scale)
        start = guess = graph.cast(graph.op("Clip", standard, *limits), np.float32)
        for forests in self.rounds:
            trees = graph.op("TreeEnsembleRegressor", guess, domain="ai.onnx.ml", **_attributes(forests, len(self.mean)))
            guess = graph.op("Where", present, start, trees)
        restored = graph.op("Add", graph.op("Mul", graph.cast(guess, np.float64), scale), mean)
        return graph.op("Where", present, values, restored)


def _standardised(values: Matrix, present: Mask, mean: Matrix, scale: Matrix) -> Float32:
    standard = (np.where(present, values, mean) - mean) / scale
    return np.clip(standard, -FARTHEST, FARTHEST).astype(np.float32)


def _grow(filled: Float32, observed: NDArray[np.bool_], column: int, *, seed: int) -> tuple[Any, ...]:
    from sklearn.ensemble import RandomForestRegressor

    others = filled[observed].copy()
    others[:, column] = 0.0  # a constant is never split on
    forest = RandomForestRegressor(N_TREES, max_depth=10, min_samples_leaf=5, max_features=0.5, random_state=seed, n_jobs=1)
    forest.fit(others, filled[observed, column])
    return tuple(estimator.tree_ for estimator in forest.estimators_)


def _leaf_values(tree: Any) -> Float32:
    steps = np.round(tree.value.reshape(-1) * LEAF_STEPS)
    return np.asarray(steps / (LEAF_STEPS * N_TREES), np.float32)


def _predict(forests: tuple[tuple[int, tuple[Any, ...]], ...], filled: Float32) -> Float32:
    guess = np.zeros_like(filled)
    for column, trees in forests:
        for tree in trees:
            guess[:, column] += _leaf_values(tree)[tree.apply(filled)]
    return guess


def _attributes(forests: tuple[tuple[int, tuple[Any, ...]], ...], n_targets: int) -> dict[str, Any]:
    """The trees of all columns as attributes of one ONNX node; a column's trees add to its own target."""
    nodes: dict[str, list[Any]] = {name: [] for name in _NODE_FIELDS}
    leaves: dict[str, list[Any]] = {name: [] for name in ("ids", "nodeids", "treeids", "weights")}
    all_trees = [(column, tree) for column, trees in forests for tree in trees]
    for number, (column, tree) in enumerate(all_trees):
        is_leaf = tree.children_left < 0
        ids = np.arange(tree.node_count)
        nodes["treeids"] += [number] * tree.node_count
        nodes["nodeids"] += ids.tolist()
        nodes["featureids"] += np.where(is_leaf, 0, tree.feature).tolist()
        nodes["values"] += np.where(is_leaf, 0.0, _rounded_down(tree.threshold)).tolist()
        nodes["modes"] += np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist()
        nodes["truenodeids"] += np.where(is_leaf, 0, tree.children_left).tolist()
        nodes["falsenodeids"] += np.where(is_leaf, 0, tree.children_right).tolist()
        leaves["treeids"] += [number] * int(is_leaf.sum())
        leaves["nodeids"] += ids[is_leaf].tolist()
        leaves["ids"] += [column] * int(is_leaf.sum())
        leaves["weights"] += _leaf_values(tree)[is_leaf].tolist()
    attributes: dict[str, Any] = {f"nodes_{name}": listed for name, listed in nodes.items()}
    attributes |= {f"target_{name}": listed for name, listed in leaves.items()}
    return attributes | {"n_targets": n_targets, "aggregate_function": "SUM", "post_transform": "NONE"}


_NODE_FIELDS = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")


def _rounded_down(thresholds: Matrix) -> Float32:
    """The largest float32 not above each threshold: float32 inputs then compare as they do with the double."""
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
