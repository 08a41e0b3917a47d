"""The operations that policies choose from, with their strengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cupel.modalities.image.augmentation.colour import adjust_colour, posterise, solarise, stretch_contrast
from cupel.modalities.image.augmentation.filtering import sharpen

Painting = Callable[[Tensor, Tensor], Tensor]
"""Pictures (B, C, H, W) and strengths (B,), as pictures."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: how strong it is at the most in RandAugment and in TrivialAugment, and whether it goes both ways.

    `paint` changes colours; operations without it move the picture, and are done by the policy, all as one.
    """

    name: str
    moderate: float = 0.0
    wide: float = 0.0
    is_signed: bool = False
    paint: Painting | None = None


def _brighten(pictures: Tensor, strengths: Tensor) -> Tensor:
    return adjust_colour(pictures, brightness=1 + strengths)


def _contrast(pictures: Tensor, strengths: Tensor) -> Tensor:
    return adjust_colour(pictures, contrast=1 + strengths)


def _saturate(pictures: Tensor, strengths: Tensor) -> Tensor:
    return adjust_colour(pictures, saturation=1 + strengths)


def _sharpen(pictures: Tensor, strengths: Tensor) -> Tensor:
    return sharpen(pictures, 1 + strengths)


def _posterise(pictures: Tensor, strengths: Tensor) -> Tensor:
    return posterise(pictures, 8 - strengths.round().long())


def _solarise(pictures: Tensor, strengths: Tensor) -> Tensor:
    return solarise(pictures, 256 / 255 * (1 - strengths))  # at 0 not even white is inverted


def _stretch_contrast(pictures: Tensor, strengths: Float[Tensor, " batch"]) -> Tensor:
    del strengths
    return stretch_contrast(pictures)


IDENTITY = Operation(name="identity")
ROTATE = Operation(name="rotate", moderate=30.0, wide=135.0, is_signed=True)
SHEAR_X = Operation(name="shear x", moderate=0.3, wide=0.99, is_signed=True)
SHEAR_Y = Operation(name="shear y", moderate=0.3, wide=0.99, is_signed=True)
TRANSLATE_X = Operation(name="translate x", moderate=0.3, wide=1 / 3, is_signed=True)
TRANSLATE_Y = Operation(name="translate y", moderate=0.3, wide=1 / 3, is_signed=True)

OPERATIONS = (
    IDENTITY,
    ROTATE,
    SHEAR_X,
    SHEAR_Y,
    TRANSLATE_X,
    TRANSLATE_Y,
    Operation(name="brightness", moderate=0.9, wide=0.99, is_signed=True, paint=_brighten),
    Operation(name="contrast", moderate=0.9, wide=0.99, is_signed=True, paint=_contrast),
    Operation(name="saturation", moderate=0.9, wide=0.99, is_signed=True, paint=_saturate),
    Operation(name="sharpness", moderate=0.9, wide=0.99, is_signed=True, paint=_sharpen),
    Operation(name="posterise", moderate=4.0, wide=6.0, paint=_posterise),
    Operation(name="solarise", moderate=1.0, wide=1.0, paint=_solarise),
    Operation(name="stretch contrast", paint=_stretch_contrast),
)
"""Those of the papers but Equalize, which needs a histogram of every picture.

Angles in degrees, shears as slopes, translations as shares of the side (the papers have pixels of their data sets), bits that
are dropped, else a change of a factor.
"""

MOVING = tuple(place for place, operation in enumerate(OPERATIONS) if operation.paint is None and operation is not IDENTITY)


def strongest(*, wide: bool, device: torch.device) -> Float[Tensor, " operation"]:
    """The largest strength of each operation."""
    values = [operation.wide if wide else operation.moderate for operation in OPERATIONS]
    return torch.tensor(values, device=device)


def signed(*, device: torch.device) -> Tensor:
    """Which operations go both ways, (operations,)."""
    return torch.tensor([operation.is_signed for operation in OPERATIONS], device=device)
