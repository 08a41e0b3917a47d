"""scikit-learn's trees as arrays, and back: what is read is looked through first, since trees are followed without a look."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def arrays_of(forest: Any) -> dict[str, Array]:
    """All trees of a fitted forest, end to end."""
    states = [tree.tree_.__getstate__() for tree in forest.estimators_]
    return {
        # As bytes, one by one: joined as they are, they would lose the gaps between their fields.
        "nodes": np.concatenate([np.ascontiguousarray(state["nodes"]).view(np.uint8) for state in states]),
        "values": np.concatenate([state["values"] for state in states]),
        "counts": np.array([state["node_count"] for state in states], np.int64),
        "depths": np.array([state["max_depth"] for state in states], np.int64),
    }


def put_back(forest: Any, arrays: Mapping[str, Array]) -> None:
    """Give a forest these trees; it has been fitted with one tree, to a few rows of the same columns and classes.

    Raises:
        ValueError: they are no trees for it.
    """
    pattern = forest.estimators_[0]
    kind, arguments, _ = pattern.tree_.__reduce__()
    state = pattern.tree_.__getstate__()
    counts, values = arrays["counts"], np.ascontiguousarray(arrays["values"], np.float64)
    itemsize = state["nodes"].dtype.itemsize
    if arrays["nodes"].dtype != np.uint8 or (counts < 1).any() or arrays["nodes"].shape != (int(counts.sum()) * itemsize,):
        raise ValueError("nodes are not as many as they should be")
    nodes = np.ascontiguousarray(arrays["nodes"]).view(state["nodes"].dtype)
    if values.shape != (len(nodes), *state["values"].shape[1:]) or not np.isfinite(values).all():
        raise ValueError("values are not as many as they should be, or not finite")
    trees = []
    for start, count, depth in zip(np.cumsum(counts) - counts, counts.tolist(), arrays["depths"].tolist(), strict=True):
        own = slice(start, start + count)
        _check(nodes[own], n_features=forest.n_features_in_)
        tree = copy.copy(pattern)
        tree.tree_ = kind(*arguments)
        tree.tree_.__setstate__(
            {"max_depth": depth, "node_count": count, "nodes": nodes[own].copy(), "values": values[own].copy()}
        )
        trees.append(tree)
    forest.estimators_ = trees
    forest.set_params(n_estimators=len(trees))


def _check(nodes: Array, *, n_features: int) -> None:
    """Every branch leads further on, to a node that is there; every column is there."""
    left, right, places = nodes["left_child"], nodes["right_child"], np.arange(len(nodes))
    leaf = left == -1
    for child in (left, right):
        if ((child <= places) | (child >= len(nodes)))[~leaf].any():
            raise ValueError("a branch leads nowhere")
    if ((nodes["feature"] < 0) | (nodes["feature"] >= n_features))[~leaf].any():
        raise ValueError("a branch asks for a column that is not there")
