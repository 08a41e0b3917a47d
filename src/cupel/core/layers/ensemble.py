"""Several networks of one kind per model, trained side by side and averaged at prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from cupel.core.graph import Graph
from cupel.core.layers.network import Network, ParameterGroup

SEEDS_BETWEEN_MEMBERS = 1_000_003


class Ensemble(Network):
    """E members per model: a network of M * E models whose tensors are held as (M, E, …).

    Members see the same batches and differ in their seeds; the first has the model's own. Trained by the mean of their losses,
    each by its own gradient alone: with an elementwise optimiser they are as if trained apart, but they stop as one.
    """

    def __init__(self, build: Callable[[Sequence[int]], Network], *, n_members: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models, self._n_members = len(seeds), n_members
        self.inner = build([seed + SEEDS_BETWEEN_MEMBERS * member for seed in seeds for member in range(n_members)])
        self._matrices = self.inner.weight_matrices()  # asked before members' axes make matrices of vectors
        for module in self.inner.modules():
            for parameter in module.parameters(recurse=False):
                parameter.data = self._by_model(parameter.data)
            for name, buffer in list(module.named_buffers(recurse=False)):
                setattr(module, name, self._by_model(buffer))

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model member batch output"]:
        """Logits or values of every member."""
        flat = {name: tensor.flatten(0, 1) for name, tensor in self._tensors()}
        outputs: Tensor = functional_call(self.inner, flat, (self._for_members(blocks),))
        return self._by_model(outputs).flatten(1, 2)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Let every member see the rows."""
        self._flattened(lambda: self.inner.initialise(self._for_members(blocks)))

    def set_progress(self, fraction: float) -> None:
        """Tell the members."""
        self.inner.set_progress(fraction)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Those of the members."""
        return self.inner.parameter_groups()

    def weight_matrices(self) -> list[nn.Parameter]:
        """Those of the members."""
        return self._matrices

    def keep_generators(self, models: Sequence[int]) -> None:
        """Go on with the random numbers of some models' members only."""
        self.inner.keep_generators([model * self._n_members + member for model in models for member in range(self._n_members)])

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """All members of the model, one after another."""
        places = range(model * self._n_members, (model + 1) * self._n_members)
        members = self._flattened(lambda: [self.inner.emit(graph, blocks, model=place) for place in places])
        return graph.concat(members, axis=0)

    def _by_model(self, tensor: Tensor) -> Tensor:
        """(M * E, …) as (M, E, …)."""
        return tensor.view(-1, self._n_members, *tensor.shape[1:])

    def _tensors(self) -> list[tuple[str, Tensor]]:
        return [*self.inner.named_parameters(), *self.inner.named_buffers()]

    def _for_members(self, blocks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each model's rows for each of its members, (M * E, B, width)."""
        return {name: block.repeat_interleave(self._n_members, dim=0) for name, block in blocks.items()}

    def _flattened(self, action: Callable[[], Any]) -> Any:
        """Do something while the members' tensors have their one axis of models; what is set in place stays."""
        flat = {f"network.{name}": tensor.detach().flatten(0, 1) for name, tensor in self._tensors()}
        return functional_call(_Doing(self.inner, action), flat, ())


class _Doing(nn.Module):
    """Something done with a network as a module's forward, which is all that `functional_call` calls."""

    def __init__(self, network: Network, action: Callable[[], Any]) -> None:
        super().__init__()
        self.network, self._action = network, action

    def forward(self) -> Any:
        with torch.no_grad():
            return self._action()
