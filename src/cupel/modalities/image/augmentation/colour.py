"""Colour: brightness, contrast, saturation, posterising, solarising, stretching; floats 0 to 1 in, floats 0 to 1 out.

Hue is left as it is: turning it is dear, and what a thing is often shows in it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cupel.modalities.image.resizing import BRIGHTEST, LUMINANCE


def adjust_colour(
    pictures: Float[Tensor, "batch channel height width"],
    *,
    brightness: Float[Tensor, " batch"] | None = None,
    contrast: Float[Tensor, " batch"] | None = None,
    saturation: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch channel height width"]:
    """Pictures with the three multiplied, in this order; 1 changes nothing, 0 leaves black, flat grey, and grey.

    Contrast is about the mean luminance of each picture. The three are linear, so they are one pass, clipped once at the end
    (and not after each, as Pillow's `ImageEnhance` would). Pictures of one channel have no saturation.
    """
    ones = torch.ones(len(pictures), device=pictures.device)
    bright = ones if brightness is None else brightness
    sharp = ones if contrast is None else contrast
    full = ones if saturation is None or pictures.shape[1] == 1 else saturation
    adjusted = pictures * _per_picture(full * sharp * bright)
    if contrast is not None:
        mean = luminance(pictures.mean(dim=(2, 3), keepdim=True))
        adjusted.add_(_per_picture((1 - sharp) * bright) * mean)
    if full is not ones:
        adjusted.add_(_per_picture((1 - full) * sharp * bright) * luminance(pictures))
    return adjusted.clamp_(0, 1)


def luminance(pictures: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch 1 height width"]:
    """How bright each pixel looks; of other than three channels the mean."""
    n_channels = pictures.shape[1]
    if n_channels == 1:
        return pictures
    weights = LUMINANCE if n_channels == len(LUMINANCE) else (1 / n_channels,) * n_channels
    grey = pictures[:, :1] * weights[0]
    for channel in range(1, n_channels):
        grey = grey.add_(pictures[:, channel : channel + 1], alpha=weights[channel])
    return grey


def posterise(
    pictures: Float[Tensor, "batch channel height width"], bits: Int[Tensor, " batch"]
) -> Float[Tensor, "batch channel height width"]:
    """Only the highest `bits` (1 to 8) of each value; with 8 the picture as it is, also what lies between two levels."""
    step = _per_picture(2.0 ** (8 - bits))
    levels = pictures.mul(BRIGHTEST).add_(0.01)  # what was a whole number of levels must not fall below it
    coarse = levels.div_(step).floor_().mul_(step).div_(BRIGHTEST)
    return torch.where(_per_picture(bits >= 8), pictures, coarse)


def solarise(
    pictures: Float[Tensor, "batch channel height width"], threshold: Float[Tensor, " batch"]
) -> Float[Tensor, "batch channel height width"]:
    """Values from the threshold on inverted; above 1 none are."""
    return torch.where(pictures >= _per_picture(threshold), 1 - pictures, pictures)


def stretch_contrast(pictures: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
    """Each channel of each picture from 0 to 1; one that is flat stays."""
    lowest, highest = pictures.amin(dim=(2, 3), keepdim=True), pictures.amax(dim=(2, 3), keepdim=True)
    reach = highest - lowest
    is_flat = reach <= 0
    stretched = (pictures - torch.where(is_flat, 0.0, lowest)).div_(torch.where(is_flat, 1.0, reach))
    return stretched.clamp_(0, 1)


def _per_picture(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None]
