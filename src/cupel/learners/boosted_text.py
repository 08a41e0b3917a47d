"""LightGBM's trees as text, and back: what is read is looked through first, since LightGBM believes every number in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.task import Task, TaskKind

Array = NDArray[Any]
OF_BRANCHES = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
INNER = ("internal_value", "internal_weight", "internal_count")
ORDER = ("num_leaves", "num_cat", *OF_BRANCHES, *OF_LEAVES, *INNER, "is_linear", "shrinkage")
OBJECTIVES = {TaskKind.BINARY: "binary sigmoid:1", TaskKind.REGRESSION: "regression"}
CATEGORICAL = 1


def trees_of(booster: Any) -> str:
    """All trees of a booster, and nothing else of it."""
    text: str = booster.model_to_string(num_iteration=-1)
    return text[text.index("Tree=") : text.index("end of trees")] if "Tree=" in text else ""


def booster_of(trees: str, *, width: int, task: Task) -> Any:
    """A booster of these trees on `width` columns.

    Raises:
        ValueError: they are not what `trees_of` gives for such a task.

    Source: LightGBM's model text, src/boosting/gbdt_model_text.cpp and src/io/tree.cpp (Tree::ToString).
    """
    import lightgbm

    n_outputs = task.n_outputs if task.kind is TaskKind.MULTICLASS else 1
    blocks = ["Tree=" + block for block in trees.split("Tree=")[1:]]
    if not blocks or len(blocks) % n_outputs or "".join(blocks) != trees:
        raise ValueError(f"these are not whole rounds of {n_outputs} trees")
    for number, block in enumerate(blocks):
        _check_tree(block, number, width=width)
    header = {
        "version": "v4",
        "num_class": n_outputs,
        "num_tree_per_iteration": n_outputs,
        "label_index": 0,
        "max_feature_idx": width - 1,
        "objective": OBJECTIVES.get(task.kind, f"multiclass num_class:{n_outputs}"),
        "feature_names": " ".join(f"Column_{column}" for column in range(width)),
        "feature_infos": " ".join(["none"] * width),
        "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }
    lines = "\n".join(f"{name}={value}" for name, value in header.items())
    try:
        return lightgbm.Booster(model_str=f"tree\n{lines}\n\n{trees}end of trees\n\nfeature_importances:\n\nparameters:\n\n")
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from error


def _check_tree(block: str, number: int, *, width: int) -> None:
    """Every list as long as it must be, every column and branch there, and each branch further on than the one it comes from."""
    first, *lines = block.rstrip("\n").split("\n")
    fields = dict(line.partition("=")[::2] for line in lines)
    if first != f"Tree={number}" or tuple(fields) != ORDER or len(lines) != len(ORDER):
        raise ValueError(f"tree {number} does not have the fields of a tree, in their order")
    n_leaves = int(fields["num_leaves"])
    if n_leaves < 1 or (int(fields["num_cat"]), int(fields["is_linear"])) != (0, 0):
        raise ValueError(f"tree {number} is of a kind that is not grown here")
    float(fields["shrinkage"])
    branches = {name: _numbers(fields[name], n_leaves - 1) for name in (*OF_BRANCHES, *INNER)}
    for name in OF_LEAVES:
        if n_leaves > 1 or fields[name]:
            _numbers(fields[name], n_leaves)
    columns, decisions = branches["split_feature"], branches["decision_type"]
    children = np.concatenate([branches["left_child"], branches["right_child"]])
    places = np.tile(np.arange(n_leaves - 1), 2)
    whole = all(np.array_equal(values, np.floor(values)) for values in (columns, decisions, children))
    if not whole or ((columns < 0) | (columns >= width)).any() or (decisions.astype(np.int64) & CATEGORICAL).any():
        raise ValueError(f"tree {number} splits on what is not there")
    if ((children >= 0) & (children <= places)).any() or ((children >= n_leaves - 1) | (children < -n_leaves)).any():
        raise ValueError(f"tree {number} has branches that lead nowhere")


def _numbers(text: str, n_numbers: int) -> Array:
    parts = text.split(" ") if text else []
    if len(parts) != n_numbers:
        raise ValueError(f"{len(parts)} numbers where there should be {n_numbers}")
    return np.array([float(part) for part in parts])
