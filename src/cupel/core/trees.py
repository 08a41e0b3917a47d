"""Decision trees as ONNX, deciding every row as the library that grew them does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph

Array = NDArray[Any]
LARGEST = float(np.finfo(np.float32).max)
TREES_PER_NODE = 128
_OF_BRANCHES = ("decision_type", "threshold", "left_child", "right_child", "split_feature")
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_TYPE, _MISSING_IS_NAN = 1, 2, 12, 8


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees to be summed, as flat arrays with one entry per node, all nodes of a tree together.

    `tree` is the node's tree, `node` its number within it (0 is the root). A branch goes `left` where feature ≤
    threshold, and, for a missing value, where `missing_left`; else `right` (both numbers within the tree). A leaf has `left`
    -1 and adds `leaf_weight` to the output `leaf_target`; `leaf_position` is its place in the flat arrays. Every leaf
    of a tree is listed for every output that the tree adds to.
    """

    tree: Array
    node: Array
    feature: Array
    threshold: Array
    left: Array
    right: Array
    missing_left: Array
    leaf_position: Array
    leaf_target: Array
    leaf_weight: Array

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return int(self.tree[-1]) + 1 if len(self.tree) else 0

    @classmethod
    def joined(cls, parts: Sequence[_Tree]) -> Trees:
        """Trees one after another."""
        sizes = np.array([len(part.feature) for part in parts], np.int64)
        starts = np.cumsum(sizes) - sizes
        return cls(
            tree=np.repeat(np.arange(len(parts)), sizes),
            node=np.arange(sizes.sum()) - np.repeat(starts, sizes),
            feature=np.concatenate([part.feature for part in parts]),
            threshold=np.concatenate([part.threshold for part in parts]),
            left=np.concatenate([part.left for part in parts]),
            right=np.concatenate([part.right for part in parts]),
            missing_left=np.concatenate([part.missing_left for part in parts]),
            leaf_position=np.concatenate([start + part.leaf for start, part in zip(starts, parts, strict=True)]),
            leaf_target=np.concatenate([part.target for part in parts]),
            leaf_weight=np.concatenate([part.weight for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class _Tree:
    """One tree; `leaf` holds node numbers, the other arrays are as in `Trees`."""

    feature: Array
    threshold: Array
    left: Array
    right: Array
    missing_left: Array
    leaf: Array
    target: Array
    weight: Array


def from_lightgbm(booster: Any, *, n_rounds: int) -> Trees:
    """The first rounds of a LightGBM booster that was trained on float32-rounded numbers without native categories.

    Tree i adds to output i modulo the number of classes; sums are LightGBM's raw scores.

    Source: LightGBM's model text, src/io/tree.cpp (Tree::ToString), decision types include/LightGBM/tree.h.
    """
    n_targets = booster.num_model_per_iteration()
    text = booster.model_to_string(num_iteration=n_rounds, importance_type="split")
    blocks = [_fields(block) for block in text.split("\nTree=")[1:]]
    branches = {name: _numbers([block.get(name, "") for block in blocks]) for name in _OF_BRANCHES}
    decision = branches["decision_type"].astype(np.int64)
    if (decision & _CATEGORICAL).any():
        raise NotImplementedError("a LightGBM tree splits on native categories; prepare them as ordinal numbers.")
    # Where no value was missing in training LightGBM reads NaN as zero at prediction.
    knows_missing = (decision & _MISSING_TYPE) == _MISSING_IS_NAN
    branches["missing_left"] = np.where(knows_missing, (decision & _DEFAULT_LEFT) > 0, branches["threshold"] >= 0.0)
    weight = _numbers([block["leaf_value"] for block in blocks])
    n_leaves = np.array([block["leaf_value"].count(" ") + 1 for block in blocks])
    ends = np.cumsum(n_leaves)
    return Trees.joined(
        [
            _of_lightgbm(
                {name: values[end - n - number : end - number - 1] for name, values in branches.items()},
                weight[end - n : end],
                target=number % n_targets,
            )
            for number, (end, n) in enumerate(zip(ends.tolist(), n_leaves.tolist(), strict=True))
        ]
    )


def _fields(block: str) -> dict[str, str]:
    lines = block.split("\n\n", 1)[0].splitlines()[1:]
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _of_lightgbm(branches: Mapping[str, Array], weight: Array, *, target: int) -> _Tree:
    n_leaves, n_branches = len(weight), len(weight) - 1
    children = [branches[name].astype(np.int64) for name in ("left_child", "right_child")]
    left, right = (np.where(child >= 0, child, n_branches + ~child) for child in children)
    none = np.full(n_leaves, -1)
    return _Tree(
        feature=np.concatenate([branches["split_feature"].astype(np.int64), np.zeros(n_leaves, np.int64)]),
        threshold=np.concatenate([branches["threshold"], np.zeros(n_leaves)]),
        left=np.concatenate([left, none]),
        right=np.concatenate([right, none]),
        missing_left=np.concatenate([branches["missing_left"], np.zeros(n_leaves, np.bool_)]),
        leaf=n_branches + np.arange(n_leaves),
        target=np.full(n_leaves, target),
        weight=weight,
    )


def _numbers(texts: Sequence[str]) -> NDArray[np.float64]:
    """All numbers of many texts, at once: a thousand trees are as many small arrays otherwise."""
    text = " ".join(texts).strip()  # of blanks alone NumPy reads one number, -1
    return np.fromstring(text, dtype=np.float64, sep=" ")


def from_sklearn_forest(forest: Any) -> Trees:
    """A fitted scikit-learn forest (random or extra trees); sums are its mean over trees: values or class probabilities.

    Leaves of a regressor with several outputs add to each of them; so do those of a classifier, to each class.
    """
    return Trees.joined([_of_sklearn(estimator.tree_, len(forest.estimators_)) for estimator in forest.estimators_])


def _of_sklearn(tree: Any, n_trees: int) -> _Tree:
    is_leaf = tree.children_left < 0
    leaf = np.flatnonzero(is_leaf)
    weight = tree.value[leaf].reshape(len(leaf), -1)
    if tree.max_n_classes > 1 or tree.n_classes[0] > 1:
        weight = weight / weight.sum(axis=1, keepdims=True)
    n_targets = weight.shape[1]
    return _Tree(
        feature=np.where(is_leaf, 0, tree.feature),
        threshold=np.where(is_leaf, 0.0, tree.threshold),
        left=np.where(is_leaf, -1, tree.children_left),
        right=np.where(is_leaf, -1, tree.children_right),
        missing_left=np.asarray(tree.missing_go_to_left, np.bool_) & ~is_leaf,
        leaf=np.repeat(leaf, n_targets),
        target=np.tile(np.arange(n_targets), len(leaf)),
        weight=weight.reshape(-1) / n_trees,
    )


def emit_trees(graph: Graph, matrix: str, trees: Trees, *, n_targets: int) -> str:
    """Sums of trees, a double tensor (rows, targets); `matrix` is a float32 tensor (rows, features), NaN is missing.

    ONNX compares in float32 while thresholds are double. Rounded down to float32, every threshold divides the float32
    numbers exactly as the double did. Leaves are added in float32 too, so only `TREES_PER_NODE` trees (per target) are summed
    at a time and those sums added in double: of 2,000 trees the largest error falls from 5e-5 to 4e-6 (raw scores up to 25).
    Each tree's mean leaf is added in double as well, so that a target far from zero costs no digits.
    """
    trees, offset = _centred(trees, n_targets)
    step = TREES_PER_NODE * n_targets
    sums = [graph.constant(offset[None, :])] + [
        graph.cast(_emit_part(graph, matrix, trees, (first, first + step), n_targets), np.float64)
        for first in range(0, trees.n_trees, step)
    ]
    return graph.op("Sum", *sums)


def _centred(trees: Trees, n_targets: int) -> tuple[Trees, NDArray[np.float64]]:
    """The same trees with the mean of each tree's leaves taken out, and what was taken out of each target."""
    owner = trees.tree[trees.leaf_position] * n_targets + trees.leaf_target
    n_owners = trees.n_trees * n_targets
    total = np.bincount(owner, weights=trees.leaf_weight, minlength=n_owners)
    mean = total / np.maximum(np.bincount(owner, minlength=n_owners), 1)
    return replace(trees, leaf_weight=trees.leaf_weight - mean[owner]), mean.reshape(-1, n_targets).sum(axis=0)


def _emit_part(graph: Graph, matrix: str, trees: Trees, between: tuple[int, int], n_targets: int) -> str:
    first, last = (int(place) for place in np.searchsorted(trees.tree, between))
    leaves = slice(*(int(place) for place in np.searchsorted(trees.leaf_position, (first, last))))
    nodes, position = slice(first, last), trees.leaf_position[leaves]
    is_leaf = trees.left[nodes] < 0
    return graph.op(
        "TreeEnsembleRegressor",
        matrix,
        domain="ai.onnx.ml",
        n_targets=n_targets,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=trees.tree[nodes],
        nodes_nodeids=trees.node[nodes],
        nodes_featureids=trees.feature[nodes],
        nodes_values=rounded_down(trees.threshold[nodes]),
        nodes_modes=np.where(is_leaf, np.bytes_(b"LEAF"), np.bytes_(b"BRANCH_LEQ")),
        nodes_truenodeids=np.maximum(trees.left[nodes], 0),
        nodes_falsenodeids=np.maximum(trees.right[nodes], 0),
        nodes_missing_value_tracks_true=trees.missing_left[nodes].astype(np.int64),
        target_treeids=trees.tree[position],
        target_nodeids=trees.node[position],
        target_ids=trees.leaf_target[leaves],
        target_weights=trees.leaf_weight[leaves],
    )


def rounded_down(thresholds: Array) -> NDArray[np.float32]:
    """The largest float32 not above each threshold; those beyond float32 (LightGBM's "is present") become its largest."""
    exact = np.clip(thresholds, -LARGEST, LARGEST)
    rounded = exact.astype(np.float32)
    too_large = rounded > exact
    rounded[too_large] = np.nextafter(rounded[too_large], np.float32(-np.inf))
    return rounded
