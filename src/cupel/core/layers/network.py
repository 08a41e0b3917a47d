"""The promise that every network keeps: several models stacked in one module, trained together, leaving one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.layers.dropout import PooledDropout
from cupel.core.layers.normalisation import BatchNorm, MapBatchNorm

UNDECAYED = ("bias", "scale", "strength")
NO_MATRICES = (*UNDECAYED, "phase")
"""What names of parameters end in that are no weights, whatever their shape."""


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that share factors on the recipe's learning rate and weight decay."""

    parameters: tuple[nn.Parameter, ...]
    learning_rate_factor: float = 1.0
    weight_decay_factor: float = 1.0


def generators_for(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator of random numbers per stacked model."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def add_member_axis(graph: Graph, outputs: str) -> str:
    """(rows, output) as (1, rows, output)."""
    return graph.op("Unsqueeze", outputs, graph.constant(np.array([0], np.int64)))


class Network(nn.Module):
    """M models of the same shape in one module (one per fold), so that one step trains them all.

    Every parameter's and buffer's first axis is M, so an elementwise optimiser treats the models independently, and the
    best weights of each can be kept on their own. No computation mixes models or rows (so no batch normalisation over rows at
    prediction). Random numbers come from generators seeded per model, never from global state.
    """

    n_models: int
    n_looks: int = 1
    """How often a row is looked at when it is predicted for."""

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model member batch output"]:
        """Logits or values. Each block has shape (M, B, width). `member` is 1, or the size of an ensemble inside the model.

        The loss is the mean of the members' losses; predictions average the members' probabilities (or values).
        """
        raise NotImplementedError

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Set weights that depend on data, from a sample of training rows (M, N, width); most networks need none."""

    def remember(self, blocks: Mapping[str, Tensor], target: Tensor, *, sizes: Sequence[int]) -> None:
        """Be shown the training rows, for networks that look them up to predict; most need none.

        Blocks are (M, N, width) and targets (M, N), of labels (M, N, labels), as the loss sees them; of model m the first
        `sizes[m]` rows are real. What is kept goes into buffers that are not persistent: whoever takes one model out of a stack
        shows it its rows again.
        """

    def set_rows(self, rows: Tensor) -> None:
        """Told before every step which training rows (M, B) the batch holds, so that none is looked up as its own answer."""

    def changed(
        self, blocks: Mapping[str, Tensor], target: Shaped[Tensor, "model batch ..."], *, n_outputs: int
    ) -> tuple[dict[str, Tensor], Shaped[Tensor, "model batch ..."]]:
        """A training batch as the network wants it: augmented. Targets of classes may become probabilities (M, B, outputs)."""
        del n_outputs
        return dict(blocks), target

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, grouped by the factors on learning rate and weight decay.

        By default biases and factors (parameters whose name ends in bias, scale or strength) are not decayed.
        """
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            (free if name.endswith(UNDECAYED) else decayed).append(parameter)
        return [
            ParameterGroup(tuple(decayed)),
            ParameterGroup(tuple(free), weight_decay_factor=0.0),
        ]

    def weight_matrices(self) -> list[nn.Parameter]:
        """What a recipe's penalties are on: per model at least two axes, and neither biases nor factors by name.

        Biases of members have an axis more than others, so the shape alone does not tell.
        """
        named = self.named_parameters()
        return [parameter for name, parameter in named if parameter.ndim >= 3 and not name.endswith(NO_MATRICES)]

    def judged(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model member batch output"]:
        """What epochs are compared by: what is predicted, or, where that takes several looks at each row, by one of them."""
        outputs: Tensor = self(blocks)
        return outputs

    def set_progress(self, fraction: float) -> None:
        """Told before every epoch how much of training is done, 0 to 1, for what is scheduled inside the network (dropout)."""

    def set_epoch(self, number: int) -> None:
        """Told before every epoch which one it is, from 0, for what takes turns."""

    def normalisations(self) -> list[BatchNorm | MapBatchNorm]:
        """Layers whose statistics run along while training."""
        return [module for module in self.modules() if isinstance(module, BatchNorm | MapBatchNorm)]

    @torch.no_grad()
    def renew_statistics(self, blocks: Mapping[str, Tensor]) -> None:
        """Set running statistics to what these rows (M, N, width) give with the weights as they are, dropout off."""
        self.eval()
        layers = self.normalisations()
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.train()
            layer.momentum = 1.0
        self(blocks)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.eval()
            layer.momentum = momentum

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the stacked models only, in the given order."""
        chosen = torch.as_tensor(models, dtype=torch.int64, device=next(self.parameters()).device)
        with torch.no_grad():
            for module in self.modules():
                for parameter in module.parameters(recurse=False):
                    parameter.data, parameter.grad = parameter.data.index_select(0, chosen), None
                for name, buffer in module.named_buffers(recurse=False):
                    setattr(module, name, buffer.index_select(0, chosen))
        self.keep_generators(models)
        self.n_models = len(models)

    def keep_generators(self, models: Sequence[int]) -> None:
        """Go on with the random numbers of some of the stacked models only; part of `keep`."""
        for module in self.modules():
            if isinstance(module, PooledDropout):
                module.keep(models)

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """Write one of the stacked models into a graph: blocks (rows, width) in, logits (member, rows, output) out."""
        raise NotImplementedError
