"""Rectangles in pictures, one for each, as what they cover."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cupel.modalities.image.augmentation.draws import Draws


@dataclass(frozen=True, eq=False)
class Boxes:
    """Rectangles within pictures of `height` x `width`: rows from `top` up to `bottom`, columns from `left` up to `right`.

    The upper ends are not among them, as in a slice.
    """

    height: int
    width: int
    top: Int[Tensor, " batch"]
    bottom: Int[Tensor, " batch"]
    left: Int[Tensor, " batch"]
    right: Int[Tensor, " batch"]

    @classmethod
    def around_points(cls, draws: Draws, side_shares: Float[Tensor, " batch"], *, height: int, width: int) -> Boxes:
        """Of the picture's shape, with sides that share of its own, around points anywhere; what sticks out is cut off."""
        tall, wide = (side_shares * height).round().long(), (side_shares * width).round().long()
        top, left = draws.whole(0, height - 1) - tall // 2, draws.whole(0, width - 1) - wide // 2
        bottom, right = (top + tall).clamp(max=height), (left + wide).clamp(max=width)
        return cls(height, width, top.clamp(min=0), bottom, left.clamp(min=0), right)

    @classmethod
    def within(cls, draws: Draws, *, area: tuple[float, float], aspect: tuple[float, float], height: int, width: int) -> Boxes:
        """Anywhere inside, with a share of the area, and a ratio of height to width, from these ranges (the ratio's logarithm).

        Sides that would not fit are as long as the picture's.
        """
        pixels = draws.uniform(*area) * (height * width)
        ratio = draws.uniform(math.log(aspect[0]), math.log(aspect[1])).exp()
        tall = (pixels * ratio).sqrt().round().long().clamp(1, height)
        wide = (pixels / ratio).sqrt().round().long().clamp(1, width)
        top = (draws.uniform(0, 1) * (height - tall + 1)).long().clamp(max=height - 1)
        left = (draws.uniform(0, 1) * (width - wide + 1)).long().clamp(max=width - 1)
        return cls(height, width, top, top + tall, left, left + wide)

    def shares(self) -> Float[Tensor, " batch"]:
        """How much of its picture each covers."""
        return (self.bottom - self.top) * (self.right - self.left) / (self.height * self.width)

    def cover(self) -> Bool[Tensor, "batch 1 height width"]:
        """Which pixels are inside."""
        rows = torch.arange(self.height, device=self.top.device)
        columns = torch.arange(self.width, device=self.top.device)
        in_rows = (rows >= self.top[:, None]) & (rows < self.bottom[:, None])
        in_columns = (columns >= self.left[:, None]) & (columns < self.right[:, None])
        return in_rows[:, None, :, None] & in_columns[:, None, None, :]
