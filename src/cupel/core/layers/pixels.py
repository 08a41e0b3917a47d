"""Where pictures enter a network: scaled, normalised, the channels of all models side by side."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.layers.convolution import folded

LARGEST_BYTE = 255.0
NARROWEST = 1e-3
"""Deviation, of a range of 1, below which a channel counts as empty: dividing by less would only make noise loud."""


class PixelScaling(nn.Module):
    """Each channel to mean 0 and deviation 1 over the training pictures; mean and deviation (M, channel) are not trained.

    Bytes are taken as 0 to 255 and scaled to 0…1, floats are taken as they are. `unit` (M, 1) is what bytes are multiplied by
    where the training pictures are bytes, else 1: a packed graph is given what training was given.
    """

    mean: Tensor
    deviation: Tensor
    unit: Tensor

    def __init__(self, n_channels: int, *, n_models: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_models, n_channels))
        self.register_buffer("deviation", torch.ones(n_models, n_channels))
        self.register_buffer("unit", torch.ones(n_models, 1))

    @torch.no_grad()
    def initialise(self, pixels: Shaped[Tensor, "model row channel height width"]) -> None:
        """Take the statistics of these pictures."""
        values = _from_zero_to_one(pixels)
        self.mean.copy_(values.mean(dim=(1, 3, 4), dtype=torch.float64))
        self.deviation.copy_(values.double().std(dim=(1, 3, 4), correction=0))
        self.deviation[self.deviation < NARROWEST] = 1.0
        self.unit.fill_(1.0 if pixels.is_floating_point() else 1 / LARGEST_BYTE)

    def forward(self, pixels: Shaped[Tensor, "model row channel height width"]) -> Float[Tensor, "row side height width"]:
        """Normalised and folded."""
        unit = 1.0 if pixels.is_floating_point() else 1 / LARGEST_BYTE
        factor, shift = unit / self.deviation, -self.mean / self.deviation
        channels_last = folded(pixels).permute(0, 2, 3, 1).float()
        return torch.addcmul(shift.flatten(), channels_last, factor.flatten()).permute(0, 3, 1, 2)

    def emit(self, graph: Graph, pixels: str, *, model: int) -> str:
        """The same from plain operators, (rows, channels, height, width) of the training pictures' type to float32."""
        mean, deviation, unit = (
            tensor[model].detach().cpu().double().numpy() for tensor in (self.mean, self.deviation, self.unit)
        )
        factor = (unit / deviation).astype(np.float32).reshape(-1, 1, 1)
        shift = (-mean / deviation).astype(np.float32).reshape(-1, 1, 1)
        scaled = graph.op("Mul", graph.cast(pixels, np.float32), graph.constant(factor))
        return graph.op("Add", scaled, graph.constant(shift))


def _from_zero_to_one(pixels: Tensor) -> Tensor:
    return pixels if pixels.is_floating_point() else pixels.float() / LARGEST_BYTE
