"""Flips and shifts by whole pixels: pictures are looked up, nothing is interpolated, bytes stay bytes."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from cupel.core.errors import UsageError

PADDINGS = ("reflect", "zeros")
"""What lies outside of a picture: its mirror image (edge pixels come twice), or black."""


def shift(
    pictures: Shaped[Tensor, "batch channel height width"],
    *,
    down: Int[Tensor, " batch"] | None = None,
    right: Int[Tensor, " batch"] | None = None,
    mirrored: Bool[Tensor, " batch"] | None = None,
    upturned: Bool[Tensor, " batch"] | None = None,
    padding: str = "reflect",
) -> Shaped[Tensor, "batch channel height width"]:
    """Pictures flipped (`mirrored` left to right, `upturned` top to bottom), then moved, each by its own numbers; in planes.

    Any element type, so also label maps.

    Raises:
        UsageError: the padding is not one of `PADDINGS`.
    """
    n_pictures, n_channels, height, width = pictures.shape
    rows, from_rows = _sources(height, down, upturned, pictures)
    columns, from_columns = _sources(width, right, mirrored, pictures)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(n_pictures, 1, height * width)
    flat = pictures.reshape(n_pictures, n_channels, height * width)
    moved = flat.gather(2, places.expand_as(flat)).view(n_pictures, n_channels, height, width)
    if padding == "zeros":
        is_inside = from_rows[:, None, :, None] & from_columns[:, None, None, :]
        return moved.masked_fill_(~is_inside, 0)
    if padding != "reflect":
        raise UsageError(f"padding is {padding!r}; expected one of {', '.join(PADDINGS)}.")
    return moved


def _sources(size: int, moved: Tensor | None, flipped: Tensor | None, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """For each picture and each place along an axis: where its pixel comes from (reflected), and whether from inside."""
    places = torch.arange(size, device=pictures.device).expand(len(pictures), size)
    if moved is not None:
        places = places - moved[:, None]
    reflected = places.remainder(2 * size)
    reflected = torch.minimum(reflected, 2 * size - 1 - reflected)
    if flipped is not None:
        reflected = torch.where(flipped[:, None], size - 1 - reflected, reflected)
    return reflected, (places >= 0) & (places < size)


def alternating_flip(rows: Int[Tensor, " batch"], *, epoch: int, seed: int) -> Bool[Tensor, " batch"]:
    """Which pictures are mirrored: each every other epoch, a random half in the first.

    So two epochs show every picture both ways, where a random flip would show half of them the same way twice. `rows` are
    the pictures' numbers in the training set.

    Source: Jordan 2024, arXiv:2404.00498, section 3.6: parity of a hash of the picture's number plus the epoch.
    """
    mixed = (rows.to(torch.int64) * 0x9E3779B1 + seed % (1 << 31)) & 0xFFFFFFFF  # all stays below 2^63
    for _ in range(2):
        mixed = (((mixed >> 16) ^ mixed) * 0x45D9F3B) & 0xFFFFFFFF
    return (((mixed >> 16) ^ mixed) + epoch) % 2 == 1
