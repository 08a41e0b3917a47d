"""Begins a network from the weights that another one ended with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cupel.core.errors import TrainingError

Array = NDArray[Any]
_SNAPSHOT = re.compile(r"snapshot_([0-9]+)\.(.+)", re.DOTALL)


def started_from(weights: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The weights whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def warm_state(weights: Mapping[str, Array], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of one model, each tensor (1, ...), with the values of `weights`, which lack that first axis.

    Of several snapshots the last one is taken.

    Raises:
        TrainingError: a tensor is missing, foreign, of another shape, or not finite: the network is another one.
    """
    matched = [_SNAPSHOT.fullmatch(name) for name in weights]
    numbers = [int(match[1]) for match in matched if match]
    weights = started_from(weights, f"snapshot_{max(numbers)}.") if numbers else weights
    differing = [
        name
        for name in {**state, **weights}
        if name not in state or name not in weights or tuple(state[name].shape[1:]) != np.shape(weights[name])
    ]
    if differing:
        raise TrainingError(
            f"a warm start needs weights of the same shapes, and {len(differing)} of {len(state)} differ ({differing[0]}): the "
            f"data have other levels or bins than those that it was trained on. Start cold."
        )
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise TrainingError("a warm start needs finite weights, and those that were kept are not. Start cold.")
    return {name: torch.from_numpy(np.array(weights[name]))[None].to(tensor.dtype) for name, tensor in state.items()}
