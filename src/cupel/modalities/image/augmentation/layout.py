"""How pictures lie in memory, and what their numbers mean: bytes 0 to 255, or floats 0 to 1."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from cupel.core.errors import DataError
from cupel.modalities.image.resizing import BRIGHTEST


def as_float(pictures: Shaped[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Bytes 0 to 255 as float32 0 to 1, float32 as it is; memory layout stays.

    Divided, not multiplied by 1/255, so that it is bit for bit what `resizing` writes into a packed graph.

    Raises:
        DataError: pictures are neither bytes nor float32.
    """
    if pictures.dtype == torch.uint8:
        return pictures.to(torch.float32).div_(BRIGHTEST)
    if pictures.dtype != torch.float32:
        raise DataError(f"pictures are {pictures.dtype}; expected uint8 from 0 to 255, or float32 from 0 to 1. Convert them.")
    return pictures


def is_channels_last(pictures: Shaped[Tensor, "batch channel height width"]) -> bool:
    """Whether the channels of a pixel lie side by side, and not each channel as a plane.

    With one channel the numbers lie alike in both; then the strides tell what is meant.
    """
    n_channels, width = pictures.shape[1], pictures.shape[3]
    return pictures.stride(1) == 1 and (width == 1 or pictures.stride(3) == n_channels)


def laid_out_like(
    pictures: Shaped[Tensor, "batch channel height width"], example: Shaped[Tensor, "batch channel height width"]
) -> Shaped[Tensor, "batch channel height width"]:
    """The same pictures, channels-last where the example is, in planes otherwise."""
    if not is_channels_last(example):
        return pictures.contiguous()
    n_pictures, n_channels, height, width = pictures.shape
    arranged = pictures.contiguous(memory_format=torch.channels_last)
    # One channel is "contiguous" in either layout, so that its strides would stay those of planes.
    return arranged.as_strided(
        (n_pictures, n_channels, height, width), (n_channels * height * width, 1, n_channels * width, n_channels)
    )
