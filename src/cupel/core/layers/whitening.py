"""A first layer that is not trained: it takes away what neighbouring pixels tell of one another."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph
from cupel.core.layers.convolution import Window, convolved, emit_convolution

EPSILON = 5e-4
MOST_PATCHES = 100_000


class PatchWhitening(nn.Module):
    """A convolution whose outputs have mean 0, deviation 1 and no correlation over the patches of the training pictures.

    The kernels are the eigenvectors of the patches' covariance with the largest eigenvalues, `n_components` of them, each
    divided by its root; each comes twice, the second time negated, since a rectifier follows. weight (M, 2 components, kernel,
    kernel, channel) is set by `initialise` and not trained; bias (M, 2 components) is.
    Source: Jordan 2024, arXiv:2404.00498, section 3.2; after Page 2019, "How to train your ResNet". Departures: the biases
    begin where the mean is taken out, and the last eigenvectors may be left out.
    """

    weight: Tensor

    def __init__(self, n_channels: int, *, n_models: int, window: Window, n_components: int) -> None:
        super().__init__()
        self.window = window
        self.n_components = min(n_components, n_channels * window.kernel**2)
        self.register_buffer("weight", torch.zeros(n_models, 2 * self.n_components, window.kernel, window.kernel, n_channels))
        self.bias = nn.Parameter(torch.zeros(n_models, 2 * self.n_components))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "row side height width"]) -> None:
        """Set weights and biases by the patches of these folded maps, of no more than some 100,000."""
        n_models, kernel = len(self.weight), self.window.kernel
        for model, maps in enumerate(x.chunk(n_models, dim=1)):
            n_positions = maps[0, 0].numel() // self.window.stride**2 + 1
            few = maps[: max(1, MOST_PATCHES // n_positions)].contiguous()
            patches = functional.unfold(few, kernel, stride=self.window.stride).transpose(1, 2).flatten(0, 1).double()
            mean = patches.mean(dim=0)
            centred = patches - mean
            values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
            leading = _signed(vectors.T.flip(0)[: self.n_components])
            scales = (values.flip(0)[: self.n_components].clamp_min(0.0) + EPSILON).rsqrt()
            kernels = leading * scales[:, None]
            both = torch.cat([kernels, -kernels])
            shaped = both.view(len(both), -1, kernel, kernel).permute(0, 2, 3, 1)
            self.weight[model].copy_(shaped)
            self.bias[model].copy_(-(both @ mean))

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Whitened patches."""
        return convolved(x, (self.weight, self.bias), window=self.window)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """One Conv."""
        weight, bias = (tensor[model].detach().cpu().numpy().astype(np.float32) for tensor in (self.weight, self.bias))
        return emit_convolution(graph, x, parameters=(weight, bias), window=self.window)


def _signed(vectors: Tensor) -> Tensor:
    """Eigenvectors (rows) with their largest component positive: which of the two signs is found is chance."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return vectors * largest.sign()
