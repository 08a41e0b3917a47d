"""Ends training: large matrices become numbers that half precision holds, so that they are packed in half the bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cupel.core.half_precision import rounded
from cupel.core.layers.convolution import NormedConvolution
from cupel.core.layers.network import NO_MATRICES, Network
from cupel.core.layers.normalisation import MapBatchNorm

UNROUNDED = (*NO_MATRICES, "frequency")
"""What names of parameters end in that stay in single precision, whatever their shape."""


@torch.no_grad()
def round_weights(network: Network) -> None:
    """Bring each model's large weight matrices to the nearest numbers that half precision holds.

    Where a normalisation will be multiplied into a convolution, it is the product that becomes such numbers. Statistics,
    biases and factors stay as they are, and matrices that would be off by more than `half_precision.rounded` allows.
    """
    norms = {part.convolution.weight: part.norm for part in network.modules() if isinstance(part, NormedConvolution)}
    for name, parameter in network.named_parameters():
        if parameter.ndim >= 3 and not name.endswith(UNROUNDED):
            _round(parameter, norms.get(parameter))


def _round(weights: Tensor, norm: MapBatchNorm | None) -> None:
    """Round the weights of each model; with a normalisation, their products with its factors."""
    for model in range(len(weights)):
        own = weights[model].cpu().numpy()
        factor = np.ones(1) if norm is None else norm.affine(model)[0].reshape(-1, 1, 1, 1)
        nearest = rounded((own * factor).astype(np.float32))
        if nearest is not None:
            is_read = factor != 0
            weights[model] = torch.from_numpy(np.where(is_read, nearest / np.where(is_read, factor, 1.0), own))
