"""Test-time augmentation: a few fixed views of a picture, whose predictions are averaged, here and in a packed graph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from cupel.core.graph import Graph
from cupel.modalities.image.augmentation.config import Augmentation

FARTHEST = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to look at a picture: flipped, then moved by whole pixels, the edge repeated where it was.

    `weight` is its share of the mean; those of a list of views sum to 1.
    """

    mirrored: bool = False
    upturned: bool = False
    down: int = 0
    right: int = 0
    weight: float = 1.0

    def __call__(self, pictures: Shaped[Tensor, "batch channel height width"]) -> Shaped[Tensor, "batch channel height width"]:
        """The view of each picture."""
        flipped = [axis for axis, is_flipped in ((2, self.upturned), (3, self.mirrored)) if is_flipped]
        seen = pictures.flip(flipped) if flipped else pictures
        for axis, steps in ((2, self.down), (3, self.right)):
            if steps:
                places = torch.arange(seen.shape[axis], device=seen.device) - steps
                seen = seen.index_select(axis, places.clamp(0, seen.shape[axis] - 1))
        return seen

    def emit(self, graph: Graph, pictures: str) -> str:
        """The same from plain operators, for pictures (rows, channels, height, width) of any size."""
        flipped = [axis for axis, is_flipped in ((2, self.upturned), (3, self.mirrored)) if is_flipped]
        if flipped:
            pictures = _slice(graph, pictures, [(axis, FARTHEST, -FARTHEST, -1) for axis in flipped])
        moved = [(axis, steps) for axis, steps in ((2, self.down), (3, self.right)) if steps]
        if not moved:
            return pictures
        before, after = np.zeros(4, np.int64), np.zeros(4, np.int64)
        for axis, steps in moved:
            before[axis], after[axis] = max(steps, 0), max(-steps, 0)
        wide = graph.op("Pad", pictures, graph.constant(np.concatenate([before, after])), mode="edge")
        kept = [(axis, 0, -steps, 1) if steps > 0 else (axis, -steps, FARTHEST, 1) for axis, steps in moved]
        return _slice(graph, wide, kept)


def _slice(graph: Graph, tensor: str, parts: list[tuple[int, int, int, int]]) -> str:
    """Parts of a tensor, each (axis, start, end, step)."""
    axes, starts, ends, steps = (graph.constant(np.array(numbers, np.int64)) for numbers in zip(*parts, strict=True))
    return graph.op("Slice", tensor, starts, ends, axes, steps)


def views(config: Augmentation) -> tuple[View, ...]:
    """What training made the network used to, and no more: flips where it flipped, steps of a pixel where it translated.

    The unmoved views weigh as much as the moved ones together.
    Source: Jordan 2024, arXiv:2404.00498, section 3.5 (mirrored, one pixel up and left, one down and right).
    """
    flipped = [View()]
    if config.flip != "none":
        flipped.append(View(mirrored=True))
    if config.flip == "both":
        flipped += [View(upturned=True), View(mirrored=True, upturned=True)]
    if not config.translate:
        return tuple(replace(view, weight=1 / len(flipped)) for view in flipped)
    still = [replace(view, weight=1 / (2 * len(flipped))) for view in flipped]
    moved = [replace(view, down=step, right=step, weight=1 / (4 * len(flipped))) for step in (-1, 1) for view in flipped]
    return (*still, *moved)
