"""Decision trees as one ONNX node, comparing exactly as the library that grew them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cupel.core.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of a tree. A leaf has `left` None and a `value`; a branch goes left where feature ≤ threshold.

    `missing_left` says where NaN goes.
    """

    feature: int = 0
    threshold: float = 0.0
    missing_left: bool = False
    left: int | None = None
    right: int | None = None
    value: float = 0.0


Tree = Sequence[Node]


def from_lightgbm(booster: Any, *, n_trees: int) -> list[Tree]:
    """The first trees of a LightGBM booster without native categories; inputs must be rounded to float32."""
    info = booster.dump_model(num_iteration=-1)["tree_info"][:n_trees]
    return [_flattened(tree["tree_structure"]) for tree in info]


def _flattened(root: Mapping[str, Any]) -> list[Node]:
    order: list[Mapping[str, Any]] = []
    position: dict[int, int] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        position[id(node)] = len(order)
        order.append(node)
        if "split_feature" in node:
            waiting += [node["right_child"], node["left_child"]]
    return [_node(node, position) for node in order]


def _node(node: Mapping[str, Any], position: Mapping[int, int]) -> Node:
    if "split_feature" not in node:
        return Node(value=float(node["leaf_value"]))
    threshold = float(node["threshold"])
    # Without missing values in training LightGBM reads NaN as zero at prediction.
    missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
    return Node(
        feature=int(node["split_feature"]),
        threshold=threshold,
        missing_left=missing_left,
        left=position[id(node["left_child"])],
        right=position[id(node["right_child"])],
    )


def emit_trees(graph: Graph, matrix: str, trees: Sequence[Tree], *, n_targets: int) -> str:
    """Sum of trees, float32 (rows, targets); tree i adds to target i modulo `n_targets`. `matrix` is float32.

    ONNX compares in float32 while thresholds are double. Rounded down to float32, every threshold divides the float32
    numbers exactly as the double did.
    """
    rows = [(number, index, node) for number, tree in enumerate(trees) for index, node in enumerate(tree)]
    leaves = [(number, index, node) for number, index, node in rows if node.left is None]
    return graph.op(
        "TreeEnsembleRegressor",
        matrix,
        domain="ai.onnx.ml",
        n_targets=n_targets,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=[number for number, _, _ in rows],
        nodes_nodeids=[index for _, index, _ in rows],
        nodes_featureids=[node.feature for _, _, node in rows],
        nodes_values=list(_rounded_down([node.threshold for _, _, node in rows])),
        nodes_modes=["LEAF" if node.left is None else "BRANCH_LEQ" for _, _, node in rows],
        nodes_truenodeids=[node.left or 0 for _, _, node in rows],
        nodes_falsenodeids=[node.right or 0 for _, _, node in rows],
        nodes_missing_value_tracks_true=[int(node.missing_left) for _, _, node in rows],
        target_treeids=[number for number, _, _ in leaves],
        target_nodeids=[index for _, index, _ in leaves],
        target_ids=[number % n_targets for number, _, _ in leaves],
        target_weights=[node.value for _, _, node in leaves],
    )


def _rounded_down(thresholds: Sequence[float]) -> Iterator[float]:
    largest = float(np.finfo(np.float32).max)  # LightGBM divides missing from present at the largest double
    exact = np.clip(np.asarray(thresholds, np.float64), -largest, largest)
    nearest = exact.astype(np.float32)
    below = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return (float(value) for value in below)
