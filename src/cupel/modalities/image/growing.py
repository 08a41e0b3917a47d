"""Small pictures first: training begins with them reduced, where a step costs less, and ends with them whole."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Shaped
from torch import Tensor
from torch.nn import functional

from cupel.core.family import Cost

WHOLE_FROM = 0.7
"""The share of training after which pictures are whole: statistics and the last steps belong to what is predicted on."""
LEAST_SIDE, GRAIN = 16, 4
"""Sides are not reduced below the one, and to multiples of the other."""
LARGEST_BYTE = 255.0
N_LOOKS = 20
"""How finely a cost is added up over training."""


class Growing:
    """Reduces the pictures of training batches: to the share `first` of each side at first, to nothing at the end.

    Source: Tan and Le 2021, arXiv:2104.00298, section 4 (progressive learning), here without changing the augmentation.
    """

    def __init__(self, first: float) -> None:
        self._first = first
        self.share = first

    def set_progress(self, fraction: float) -> None:
        """Told how much of training is done, 0 to 1."""
        self.share = share_at(fraction, self._first)

    def reduced(
        self, pixels: Shaped[Tensor, "model batch channel height width"]
    ) -> Shaped[Tensor, "model batch channel height_now width_now"]:
        """Means over areas, as floats from 0 to 1; pictures that are small already, or whole by now, as they are."""
        before = (int(pixels.shape[3]), int(pixels.shape[4]))
        size = (side_at(before[0], self.share), side_at(before[1], self.share))
        if size == before:
            return pixels
        values = pixels if pixels.is_floating_point() else pixels.float() / LARGEST_BYTE
        return functional.adaptive_avg_pool2d(values.flatten(0, 1), size).view(*pixels.shape[:3], *size)


def share_at(fraction: float, first: float) -> float:
    """The share of each side when so much of training is done."""
    return first + (1 - first) * min(1.0, fraction / WHOLE_FROM)


def side_at(side: int, share: float) -> int:
    """What a side is reduced to."""
    reduced = max(LEAST_SIDE, GRAIN * round(side * share / GRAIN))
    return min(side, reduced)


def cost_of_growing(cost: Cost, first: float, *, size: tuple[int, int]) -> Cost:
    """What is left of a cost; memory is needed for whole pictures in the end."""
    shares = [share_at(number / N_LOOKS, first) for number in range(N_LOOKS)]
    areas = [side_at(size[0], share) * side_at(size[1], share) for share in shares]
    return replace(cost, seconds=cost.seconds * sum(areas) / (N_LOOKS * size[0] * size[1]))
