"""Parts of pictures taken away, so that no single part is relied on."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cupel.modalities.image.augmentation.boxes import Boxes
from cupel.modalities.image.augmentation.draws import Draws

AREA = (0.02, 1 / 3)
ASPECT = (0.3, 1 / 0.3)


def cut_out(
    pictures: Float[Tensor, "batch channel height width"], draws: Draws, *, side_share: float
) -> Float[Tensor, "batch channel height width"]:
    """Pictures without a rectangle of the picture's shape, whose sides are this share of its own; it may stick out.

    It is filled with the picture's mean colour, where the paper has zeros after subtracting the mean of all pictures.

    Source: DeVries and Taylor 2017, arXiv:1708.04552.
    """
    n_pictures, _, height, width = pictures.shape
    shares = torch.full((n_pictures,), side_share, device=pictures.device)
    boxes = Boxes.around_points(draws, shares, height=height, width=width)
    return torch.where(boxes.cover(), pictures.mean(dim=(2, 3), keepdim=True), pictures)


def erase(
    pictures: Float[Tensor, "batch channel height width"], draws: Draws, *, probability: float
) -> Float[Tensor, "batch channel height width"]:
    """Some of the pictures with a rectangle of noise in them.

    The noise is drawn once for the batch, and each rectangle shows another part of it: drawing it for every picture would
    take longer than all the rest. A rectangle that does not fit is made to, where the paper draws anew.

    Source: Zhong et al. 2017, arXiv:1708.04896, algorithm 1 (areas of 2% up to a third; RE-R, random values).
    """
    _, n_channels, height, width = pictures.shape
    is_erased = draws.chance(probability)
    boxes = Boxes.within(draws, area=AREA, aspect=ASPECT, height=height, width=width)
    noise = draws.noise(n_channels, height, width)
    return torch.where(boxes.cover() & is_erased[:, None, None, None], noise, pictures)
