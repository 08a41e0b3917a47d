"""A network of networks: each reads a part, and what they find is put together before the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cupel.core.errors import TrainingError
from cupel.core.graph import Graph
from cupel.core.layers import HiddenLayers, Linear, Network, ParameterGroup, PooledDropout, add_member_axis, generators_for
from cupel.modalities.mixed.preparation import blocks_of_part


class JoinedNetworks(Network):
    """The sum of what each part answers by itself, and of what hidden layers make of the features of all parts.

    Each part is a network of the part's own family, built with `n_outputs + n_features` outputs: the first are its answer, the
    others its features. The last layer of what joins them starts at zero, so that training begins with the sum. `paces` are
    factors on learning rate and weight decay, by part: families differ in what they learn well with.

    Source: the sum of a direct and a deep way is that of Cheng et al. 2016, arXiv:1606.07792, section 3.3, here for parts.
    """

    def __init__(
        self,
        parts: Sequence[Network],
        *,
        n_outputs: int,
        widths: tuple[int, int],
        dropout: float,
        paces: Sequence[tuple[float, float]],
        seeds: Sequence[int],
    ) -> None:
        super().__init__()
        self.n_models = len(seeds)
        self._n_outputs, self._paces = n_outputs, paces
        self.parts = nn.ModuleList(parts)
        generators = generators_for(seeds)
        n_features, width = widths
        self.dropout = PooledDropout(dropout, seeds=seeds)
        self.hidden = HiddenLayers([n_features * len(parts), width], generators, activation="gelu", dropout=self.dropout)
        self.output = Linear((width, n_outputs), generators)
        with torch.no_grad():
            self.output.weight.zero_()
            self.output.bias.zero_()

    @property
    def networks(self) -> list[Network]:
        """The parts, as what they are."""
        return [part for part in self.parts if isinstance(part, Network)]

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Let each part see its own rows."""
        for place, part in enumerate(self.networks):
            part.initialise(blocks_of_part(blocks, place))

    def set_progress(self, fraction: float) -> None:
        """Tell the parts."""
        for part in self.networks:
            part.set_progress(fraction)

    def set_epoch(self, number: int) -> None:
        """Tell the parts."""
        for part in self.networks:
            part.set_epoch(number)

    def set_rows(self, rows: Tensor) -> None:
        """Tell the parts."""
        for part in self.networks:
            part.set_rows(rows)

    def changed(
        self, blocks: Mapping[str, Tensor], target: Shaped[Tensor, "model batch ..."], *, n_outputs: int
    ) -> tuple[dict[str, Tensor], Shaped[Tensor, "model batch ..."]]:
        """Each part's blocks as it wants them.

        Raises:
            TrainingError: a part mixes samples with one another, of which the other parts would know nothing.
        """
        found: dict[str, Tensor] = {}
        for place, part in enumerate(self.networks):
            own, wanted = part.changed(blocks_of_part(blocks, place), target, n_outputs=n_outputs)
            if wanted is not target:
                raise TrainingError("one part of a joined network mixes samples with one another; choose a change that does not.")
            found |= {f"{place}/{name}": block for name, block in own.items()}
        return found, target

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values."""
        return self._joined([part(blocks_of_part(blocks, place)) for place, part in enumerate(self.networks)])

    def judged(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """By what the parts are judged by."""
        return self._joined([part.judged(blocks_of_part(blocks, place)) for place, part in enumerate(self.networks)])

    def _joined(self, said: Sequence[Tensor]) -> Tensor:
        features = torch.cat([each[:, 0, :, self._n_outputs :] for each in said], dim=-1)  # (M, B, part * feature)
        together: Tensor = self.output(self.hidden(features))[:, None]
        return together + torch.stack([each[..., : self._n_outputs] for each in said]).sum(dim=0)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Those of the parts, and what joins them."""
        weights = [module.weight for module in self._joining()]
        biases = [module.bias for module in self._joining()]
        return [
            *(
                replace(
                    group,
                    learning_rate_factor=rate * group.learning_rate_factor,
                    weight_decay_factor=decay * group.weight_decay_factor,
                )
                for part, (rate, decay) in zip(self.networks, self._paces, strict=True)
                for group in part.parameter_groups()
            ),
            ParameterGroup(tuple(weights)),
            ParameterGroup(tuple(biases), weight_decay_factor=0.0),
        ]

    def _joining(self) -> list[Linear]:
        return [module for module in (*self.hidden.layers, self.output) if isinstance(module, Linear)]

    @torch.no_grad()
    def renew_statistics(self, blocks: Mapping[str, Tensor]) -> None:
        """Part by part: what joins them keeps none."""
        self.eval()
        for place, part in enumerate(self.networks):
            part.renew_statistics(blocks_of_part(blocks, place))

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the models; the parts hold as many."""
        super().keep(models)
        for part in self.networks:
            part.n_models = self.n_models

    def keep_generators(self, models: Sequence[int]) -> None:
        """Each part's own, and those of the dropout between the layers that join them."""
        for part in self.networks:
            part.keep_generators(models)
        self.dropout.keep(models)

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators."""
        said = [part.emit(graph, blocks_of_part(blocks, place), model=model) for place, part in enumerate(self.networks)]
        member = graph.constant(np.array([0], np.int64))
        rows = [graph.op("Squeeze", each, member) for each in said]  # (rows, output + feature)
        features = graph.concat([_columns(graph, each, self._n_outputs, None) for each in rows])
        answer = self.output.emit(graph, self.hidden.emit(graph, features, model=model), model=model)
        for each in rows:
            answer = graph.op("Add", answer, _columns(graph, each, 0, self._n_outputs))
        return add_member_axis(graph, answer)


def _columns(graph: Graph, tensor: str, start: int, stop: int | None) -> str:
    """Columns of a (rows, width) tensor from `start` to before `stop`, or to the end."""
    ends = (start, np.iinfo(np.int64).max if stop is None else stop, 1)
    return graph.op("Slice", tensor, *(graph.constant(np.array([end], np.int64)) for end in ends))
