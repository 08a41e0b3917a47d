"""Backbones that Cupel trained itself: the encoder of one of its networks, with what is needed to build it again."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cupel.core.errors import TrainingError, UsageError
from cupel.core.family import Cost, Family
from cupel.core.inputs import InputShape
from cupel.core.layers import PixelScaling
from cupel.core.recipe import Recipe
from cupel.core.task import Task, TaskKind
from cupel.core.trunk import TRUNK, read_trunk
from cupel.core.weights import Weights
from cupel.modalities.image.backbones.backbone import Backbone, begun, finished, tried
from cupel.modalities.image.backbones.transferred import names_of_half
from cupel.modalities.image.network import PIXELS, Encoder, ImageNetwork, LinearHead

ONE_LOOK = {"views": "one", "first_side": 1.0}
"""Of a config: how pretraining looked at pictures, which training on does in its own way."""
ANY_TASK = Task(kind=TaskKind.REGRESSION, target="", metric="rmse")
"""What a network answers does not change its encoder."""


class KnownScaling(PixelScaling):
    """Pixels normalised as the backbone's own training pictures were, whatever pictures come now."""

    def initialise(self, pixels: Tensor) -> None:
        """Nothing: mean and deviation are known."""


@dataclass(frozen=True, eq=False)
class CupelTrunk:
    """Builds the network again, with the weights of `tensors` in each of its models, all of them or half."""

    @functools.cached_property
    def head_factor(self) -> float:
        """As its family builds it."""
        head = self._network([0]).head
        return head.factor if isinstance(head, LinearHead) else 1.0

    def usual_recipe(self, task: Task) -> Recipe | None:
        """That of the first preset of its family."""
        return self._family.portfolio(task)[0].recipe

    def cost(self, n_train: int, *, recipe: Recipe, task: Task) -> Cost | None:
        """That of its family, whose pictures are as large from the first epoch on as in the last, and looked at once."""
        spec, plain = self._family, {name: value for name, value in ONE_LOOK.items() if name in self.config}
        return spec.cost(n_train, self.shape, spec.config(**{**self.config, **plain}), recipe, task)

    family: str
    config: Any
    shape: InputShape
    tensors: Mapping[str, Tensor]

    def __call__(self, seeds: Sequence[int], *, kept: str = "all") -> tuple[PixelScaling, Encoder]:
        """Scaling and encoder, with the weights in them.

        Raises:
            UsageError: the weights do not fit the network.
        """
        network = self._network(seeds)
        scaling = KnownScaling(self.shape.widths[PIXELS], n_models=len(seeds))
        for part, prefix in ((scaling, "scaling."), (network.encoder, "encoder.")):
            own = {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}
            stacked = {name: tensor.expand(len(seeds), *tensor.shape).clone() for name, tensor in own.items()}
            if part is network.encoder and kept == "half":
                begun, half = part.state_dict(), names_of_half(network.encoder)
                stacked = {name: tensor if name in half else begun[name] for name, tensor in stacked.items()}
            try:
                part.load_state_dict(stacked)
            except RuntimeError as error:
                said = " ".join(str(error).split())[:300]
                raise UsageError(
                    f"the weights are not those of {self.family} with {self.config} ({said}); save it anew."
                ) from error
        return scaling, network.encoder

    @property
    def _family(self) -> Family:
        from cupel.modalities.image.models import families

        spec = next((family for family in families() if family.name == self.family), None)
        if spec is None or spec.build is None or not spec.trunk:
            raise UsageError(
                f"it is a {self.family!r}, a network that this version of Cupel does not have; install the one that saved it."
            )
        return spec

    def _network(self, seeds: Sequence[int]) -> ImageNetwork:
        spec = self._family
        assert spec.build is not None, "what has a trunk is a network"
        try:
            network = spec.build(self.shape, n_outputs=1, task=ANY_TASK, config=spec.config(**self.config), seeds=seeds)
        except (TypeError, ValueError, TrainingError) as error:
            raise UsageError(f"{self.family} cannot be built with {self.config} ({error}); save it anew.") from error
        if not isinstance(network, ImageNetwork):
            raise UsageError(
                f"{self.family} is no network whose features can be used; expected one that answers once per picture."
            )
        return network


def is_cupel(weights: Weights) -> bool:
    """Whether a file says that Cupel saved it."""
    return TRUNK in weights.facts


def open_cupel(weights: Weights) -> Backbone:
    """The backbone in a file that `run.backbone.save` wrote.

    Raises:
        UsageError: it is of another kind of data, or damaged.
    """
    try:
        facts, tensors = read_trunk(weights.path)
        trunk = _trunk(facts, {name: torch.from_numpy(array) for name, array in tensors.items()})
        model = _model(trunk)
        (height, width), n_channels = trunk.shape.extents[PIXELS], trunk.shape.widths[PIXELS]
        found, seconds = tried(model, n_channels=n_channels, size=(height, width))
    except UsageError as error:
        raise UsageError(f"the backbone {weights.asked}: {error}") from error
    return Backbone(
        reference=weights.reference,
        name=weights.name,
        model=model,
        width=found.shape[1],
        n_channels=n_channels,
        size=(height, width),
        seconds=seconds,
        n_bytes=sum(file.n_bytes for file in weights.files),
        trunk=trunk,
    )


def _trunk(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> CupelTrunk:
    inputs = facts["inputs"]
    try:
        n_channels, (height, width) = inputs["widths"][PIXELS], inputs["extents"][PIXELS]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"it reads {json.dumps(inputs)[:100]}; expected pictures. It was saved from another kind of data."
        ) from error
    if not all(isinstance(size, int) and 0 < size <= 4096 for size in (n_channels, height, width)) or n_channels not in (1, 3):
        raise UsageError(f"it reads pictures of {n_channels} × {height} × {width}; that cannot be. It is damaged.")
    shape = InputShape({PIXELS: n_channels}, {}, {PIXELS: (height, width)})
    return CupelTrunk(str(facts["family"]), dict(facts["config"]), shape, tensors)


def _model(trunk: CupelTrunk) -> Any:
    scaling, encoder = trunk([0])
    scaling.eval()
    encoder.eval()
    height, width = trunk.shape.extents[PIXELS]
    graph, pixels = begun(trunk.shape.widths[PIXELS], (height, width))
    features = encoder.emit(graph, scaling.emit(graph, pixels, model=0), model=0)
    return finished(graph, features, rank=2)
