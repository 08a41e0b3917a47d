"""How pictures become patches for a transformer: cut out, cut out with shifted copies, or by convolutions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph
from cupel.core.layers import Convolution, NormedConvolution, Window, joined
from cupel.modalities.image.work import Work, convolution_work, total

PATCH_SIDES = ((20, 2), (64, 4))
LARGEST_PATCH = 8
STEP = Window(stride=2)
POINT = Window(kernel=1)
LINEAR_GAIN = 1.0
SHIFTS = ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""In halves of a patch, down and to the right."""


@dataclass(frozen=True)
class StemPlan:
    """Convolutions as (channels in and out, window), in order, and the maps that they are given (height, width)."""

    layers: tuple[tuple[tuple[int, int], Window], ...]
    before: tuple[int, int]

    @property
    def after(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        size = self.before
        for _, window in self.layers:
            size = window.size_after(size)
        return size

    @property
    def work(self) -> Work:
        """Of all convolutions."""
        works, size = [], self.before
        for sizes, window in self.layers:
            works.append(convolution_work(sizes, window, before=size))
            size = window.size_after(size)
        return total(works)


def stem_plan(size: tuple[int, int], *, kind: str, sizes: tuple[int, int]) -> StemPlan:
    """The stem of a kind, from the channels of pictures to the width of tokens.

    Patches are of 2 × 2 pixels up to 20 pixels, of 4 × 4 up to 64, else of 8 × 8.
    """
    side = next((side for limit, side in PATCH_SIDES if min(size) <= limit), LARGEST_PATCH)
    n_in, width = sizes
    if kind == "convolution":
        n_steps = side.bit_length() - 1
        widths = [n_in, *(max(16, width // 2 ** (n_steps - 1 - step)) for step in range(n_steps))]
        steps = tuple((pair, STEP) for pair in itertools.pairwise(widths))
        return StemPlan((*steps, ((widths[-1], width), POINT)), size)
    n_copies = len(SHIFTS) if kind == "shifted-patch" else 1
    return StemPlan((((n_in * n_copies, width), Window(kernel=side, stride=side, padding=0)),), size)


class PatchStem(nn.Module):
    """One linear map of the numbers of each patch."""

    def __init__(self, plan: StemPlan, generators: list[torch.Generator]) -> None:
        super().__init__()
        ((sizes, window),) = plan.layers
        self.convolution = Convolution(sizes, generators, window=window, has_bias=True, gain=LINEAR_GAIN)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Tokens where patches were."""
        tokens: Tensor = self.convolution(x)
        return tokens

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """One Conv."""
        return self.convolution.emit(graph, x, model=model)


class ShiftedPatches(nn.Module):
    """One linear map of the numbers of each patch, and of what stands half a patch away from it in the four diagonals.

    Source: Lee et al. 2021, arXiv:2112.13492, section 3.1. Departure: nothing is normalised before the map; pixels are already.
    """

    def __init__(self, plan: StemPlan, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.patches = PatchStem(plan, generators)
        self._n_channels = plan.layers[0][0][0] // len(SHIFTS)
        self._half = plan.layers[0][1].kernel // 2

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Tokens where patches were."""
        copies = [functional.pad(x, (right, -right, down, -down)) for down, right in self._shifts()]
        tokens: Tensor = self.patches(joined(copies, n_channels=self._n_channels))
        return tokens

    def _shifts(self) -> list[tuple[int, int]]:
        return [(down * self._half, right * self._half) for down, right in SHIFTS]

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """Pad shifts, a negative number of rows or columns taking away."""
        copies = []
        for down, right in self._shifts():
            pads = np.array([0, 0, down, right, 0, 0, -down, -right], np.int64)
            copies.append(graph.op("Pad", x, graph.constant(pads)) if pads.any() else x)
        return self.patches.emit(graph, graph.concat(copies), model=model)


class ConvolvedPatches(nn.Module):
    """Normalised convolutions of 3 × 3 at every other position until patches are reached, then one of 1 × 1.

    Source: Xiao et al. 2021, arXiv:2106.14881, section 4.
    """

    def __init__(self, plan: StemPlan, generators: list[torch.Generator]) -> None:
        super().__init__()
        *steps, (sizes, window) = plan.layers
        self.steps = nn.ModuleList([NormedConvolution(pair, generators, window=step) for pair, step in steps])
        self.last = Convolution(sizes, generators, window=window, has_bias=True, gain=LINEAR_GAIN)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Tokens where patches were."""
        for step in self.steps:
            x = functional.relu(step(x))
        tokens: Tensor = self.last(x)
        return tokens

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        for step in self.steps:
            assert isinstance(step, NormedConvolution), "steps are convolutions"
            x = graph.op("Relu", step.emit(graph, x, model=model))
        return self.last.emit(graph, x, model=model)
