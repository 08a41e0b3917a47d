"""A pretrained encoder that is trained on: near its input more slowly, and from its end to its beginning."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.modalities.image.network import Encoder

SHARE_OF_UNFREEZING = 0.5
"""Of training, after which all of it is trained."""


def stages_of(encoder: Encoder) -> list[list[str]]:
    """Names of parameters from input to output, as the encoder's own parts divide them; what belongs to none is in the first."""
    parts, lists = dict[str, list[str]](), _lists(encoder)
    for name, _ in encoder.named_parameters():
        parts.setdefault(_part(name, lists), []).append(name)
    direct = parts.pop("", [])
    found = list(parts.values()) or [[]]
    return [[*direct, *found[0]], *found[1:]]


def names_of_half(encoder: Encoder) -> set[str]:
    """Names of the weights and statistics that belong to the first half of its stages."""
    stages, lists = stages_of(encoder), _lists(encoder)
    first = stages[: max(1, len(stages) // 2)]
    parts = {_part(name, lists) for stage in first for name in stage} | {""}
    return {name for name in encoder.state_dict() if _part(name, lists) in parts}


def _lists(encoder: Encoder) -> set[str]:
    return {name for name, child in encoder.named_children() if isinstance(child, nn.ModuleList)}


def _part(name: str, lists: set[str]) -> str:
    path = name.replace("/", ".").split(".")
    depth = 2 if path[0] in lists or (len(path) > 1 and path[1].isdigit()) else 1
    return ".".join(path[:depth]) if len(path) > 1 else ""


class TransferredEncoder(Encoder):
    """An encoder in stages, each learning at `rate_decay` times the rate of the next; the head behind the last has the full rate.

    With `is_gradual` only the head learns at first, and one stage after another joins it, the last first; what does not learn yet
    keeps the statistics of its normalisations too.
    Sources: Howard and Ruder 2018, arXiv:1801.06146, sections 3.2 and 3.3; here all is trained after half of training.
    """

    def __init__(self, inner: Encoder, *, rate_decay: float, is_gradual: bool) -> None:
        super().__init__()
        self.inner = inner
        self.width = inner.width
        self._rate_decay, self._is_gradual = rate_decay, is_gradual
        self._n_frozen = 0

    @property
    def stages(self) -> list[list[nn.Parameter]]:
        """Parameters from input to output, as `stages_of` divides them."""
        parameters = dict(self.inner.named_parameters())
        return [[parameters[name] for name in stage] for stage in stages_of(self.inner)]

    def rate_factors(self) -> Mapping[nn.Parameter, float]:
        """Smaller towards the input."""
        stages = self.stages
        numbered = itertools.chain.from_iterable(((p, len(stages) - n) for p in stage) for n, stage in enumerate(stages))
        return {parameter: self._rate_decay**distance for parameter, distance in numbered}

    def set_progress(self, fraction: float) -> None:
        """Let those stages learn whose turn has come."""
        stages = self.stages
        n_learning = len(stages) if not self._is_gradual else int(fraction / SHARE_OF_UNFREEZING * (len(stages) + 1))
        self._n_frozen = max(0, len(stages) - n_learning)
        for number, stage in enumerate(stages):
            for parameter in stage:
                parameter.requires_grad_(number >= self._n_frozen)

    def train(self, mode: bool = True) -> TransferredEncoder:
        """As any module; parts of which nothing learns yet stay as they are at prediction."""
        super().train(mode)
        for module in self.inner.modules():
            own = list(module.parameters())
            if mode and own and not any(parameter.requires_grad for parameter in own):
                module.eval()
        return self

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """What the encoder gives."""
        features: Tensor = self.inner(maps)
        return features

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """What the encoder writes."""
        return self.inner.emit(graph, x, model=model)
