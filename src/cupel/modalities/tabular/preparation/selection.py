"""Which prepared columns are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.form import Form
from cupel.core.inputs import Inputs
from cupel.core.labels import filled
from cupel.core.task import Task

Array = NDArray[Any]

MOST_COMMON_SHARE = 0.995
N_BINS = 16
MAX_ROWS = 20_000
N_TREES = 40


def fit_selection(
    choice: str, inputs: Inputs, *, keep: float, task: Task, target: Array, seed: int
) -> Mapping[str, NDArray[np.int64]]:
    """Positions of the kept columns, sorted, for each block that loses some.

    "variance" drops columns of which more than 99.5 % is one value, among numbers and indicators. The others keep the
    best `keep` share of each block, rounded up: a number that does not depend on the values, so that folds agree.
    """
    if choice == "none":
        return {}
    if choice == "variance":
        kept = {name: _varying(block) for name, block in inputs.blocks.items() if block.dtype == np.float32}
    else:
        rows = np.arange(inputs.n_samples)
        if len(rows) > MAX_ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
        blocks = {name: block[rows] for name, block in inputs.blocks.items()}
        if choice == "mutual-information":
            scores = _shared_information(blocks, target[rows], task)
        else:
            scores = _tree_importance(blocks, target[rows], task, seed=seed)
        kept = {name: _best(values, keep) for name, values in scores.items()}
    return {name: columns for name, columns in kept.items() if len(columns) < inputs.blocks[name].shape[1]}


def selected(inputs: Inputs, kept: Mapping[str, NDArray[np.int64]]) -> Inputs:
    """The inputs with the kept columns only."""
    blocks = {name: block[:, kept[name]] if name in kept else block for name, block in inputs.blocks.items()}
    cardinalities = {
        name: tuple(sizes[column] for column in kept[name]) if name in kept else sizes
        for name, sizes in inputs.cardinalities.items()
    }
    return Inputs(blocks, cardinalities)


def _best(scores: Array, keep: float) -> NDArray[np.int64]:
    ranked = np.argsort(-scores, kind="stable")[: math.ceil(keep * len(scores))]
    return np.sort(ranked)


def _varying(block: Array) -> NDArray[np.int64]:
    if block.shape[1] == 0 or len(block) == 0:
        return np.arange(block.shape[1])
    ordered = np.sort(block, axis=0)  # NaN last
    middle = ordered[(len(block) - 1) // 2]  # a value that fills more than half of a column is its median
    share = ((block == middle) | (np.isnan(block) & np.isnan(middle))).mean(axis=0)
    return np.flatnonzero(share <= MOST_COMMON_SHARE)


def _shared_information(blocks: Mapping[str, Array], target: Array, task: Task) -> dict[str, Array]:
    """Mutual information with the target, in nats, over at most 16 equally filled bins, its bias taken off.

    Source: Miller 1955 for the bias, (a - 1) (b - 1) / 2n.
    """
    outcomes = _outcomes(target, task)
    scores = {}
    for name, block in blocks.items():
        columns = [block[:, column] for column in range(block.shape[1])]
        binned = columns if block.dtype == np.int64 else [_binned(column) for column in columns]
        each = [[_mutual_information(column, outcome) for outcome in outcomes] for column in binned]
        scores[name] = np.mean(each, axis=1) if each else np.empty(0)
    return scores


def _outcomes(target: Array, task: Task) -> list[NDArray[np.int64]]:
    """Classes, values in bins, or each label with what is unknown as a state of its own."""
    if task.form is Form.LABELS:
        return list(np.nan_to_num(target, nan=2.0).astype(np.int64).T)
    return [target.astype(np.int64) if task.is_classification else _binned(target)]


def _binned(values: Array) -> NDArray[np.int64]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return np.zeros(len(values), np.int64)
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, N_BINS + 1)[1:-1], method="lower"))
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="left"), len(edges) + 1)


def _mutual_information(first: Array, second: Array) -> float:
    _, first = np.unique(first, return_inverse=True)
    _, second = np.unique(second, return_inverse=True)
    n_first, n_second = int(first.max()) + 1, int(second.max()) + 1
    joint = np.bincount(first * n_second + second, minlength=n_first * n_second).reshape(n_first, n_second) / len(first)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    information = float((joint[filled] * np.log(joint[filled] / independent[filled])).sum())
    return information - (n_first - 1) * (n_second - 1) / (2 * len(first))


def _tree_importance(blocks: Mapping[str, Array], target: Array, task: Task, *, seed: int) -> dict[str, Array]:
    """Impurity decrease in a small forest of extremely randomised trees; indices of categories are by frequency."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    matrix = np.concatenate([block.astype(np.float32) for block in blocks.values()], axis=1)
    matrix = np.where(np.isnan(matrix), np.float32(-1e9), matrix)
    kind = ExtraTreesClassifier if task.is_classification else ExtraTreesRegressor
    forest = kind(N_TREES, max_depth=10, min_samples_leaf=5, max_features=0.5, random_state=seed, n_jobs=1)
    target = filled(target) if task.form is Form.LABELS else target
    importances = forest.fit(matrix, target).feature_importances_
    ends = np.cumsum([block.shape[1] for block in blocks.values()])
    return dict(zip(blocks, np.split(importances, ends[:-1]), strict=True))
