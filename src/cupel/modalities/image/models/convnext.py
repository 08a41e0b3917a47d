"""ConvNeXt: wide depthwise convolutions, and between them two layers that see one position each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    Convolution,
    LayerNorm,
    MapLayerNorm,
    Network,
    PooledDropout,
    StochasticDepth,
    Window,
    emit_activation,
    emit_pooled,
    generators_for,
    rising_rates,
    unfolded,
)
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range, When
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.image.augmenting import (
    AUGMENTATIONS,
    CHANGING,
    STRONGEST,
    VIEWS,
    WEAKEST,
    augmentation_of,
    n_views_of,
    views_of,
)
from cupel.modalities.image.network import PIXELS, TRUNK, Encoder, ImageNetwork, LinearHead, size_of_pictures
from cupel.modalities.image.work import Work, convolution_work, image_cost, image_preset, image_space, linear_work, total

LEAST_SIDE = 8
MOST_SIDE_OF_PATCHES_OF_TWO = 48
LINEAR_GAIN = 1.0
POINT = Window(kernel=1)
HALVING_PATCH = Window(kernel=2, stride=2, padding=0)


@dataclass(frozen=True, kw_only=True)
class Config:
    """`n_stages` of `depth` blocks, `width` channels in the first and twice as many in each that follows.

    The first layer cuts pictures into patches of 2 × 2, larger pictures into 4 × 4. `kernel` is that of the depthwise
    convolutions, `layer_scale` what factors on the branches begin with.
    """

    width: Annotated[int, Choice(16, 24, 32, 48, 64, 96)] = 32
    depth: Annotated[int, Range(1, 3)] = 2
    n_stages: Annotated[int, Range(1, 3)] = 2
    kernel: Annotated[int, Choice(3, 5, 7)] = 7
    expansion: Annotated[int, Range(2, 4)] = 4
    layer_scale: Annotated[float, Range(1e-6, 1.0, log=True)] = 1e-2
    stochastic_depth: Annotated[float, Range(0.0, 0.3)] = 0.05
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.0
    augment: Annotated[str, Choice(*AUGMENTATIONS)] = "shift"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", *CHANGING)] = 1.0
    views: Annotated[str, Choice(*VIEWS)] = "one"


def patch_of(size: tuple[int, int]) -> Window:
    """The patches that pictures of this size are cut into."""
    side = 2 if min(size) <= MOST_SIDE_OF_PATCHES_OF_TWO else 4
    return Window(kernel=side, stride=side, padding=0)


def stages_of(config: Config, size: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
    """Channels of each stage and its maps (height, width); no stage is left with less than one pixel."""
    stages, size = [], patch_of(size).size_after(size)
    for number in range(config.n_stages):
        if number:
            size = HALVING_PATCH.size_after(size)
        if min(size) < 1:
            break
        stages.append((config.width * 2**number, size))
    return stages


class Block(nn.Module):
    """`x + scale * point(gelu(point(norm(depthwise(x)))))`; scale (M, channel).

    Source: Liu et al. 2022, arXiv:2201.03545, section 2.6; the scale Touvron et al. 2021, arXiv:2103.17239, section 2.
    Departure: it begins larger, since networks here are a few blocks deep and trained for a few epochs.
    """

    def __init__(
        self, width: int, config: Config, *, rate: float, generators: list[torch.Generator], seeds: Sequence[int]
    ) -> None:
        super().__init__()
        n_models = len(generators)
        hidden = width * config.expansion
        around = Window(kernel=config.kernel, groups=width)
        self.depthwise = Convolution((width, width), generators, window=around, has_bias=True, gain=LINEAR_GAIN)
        self.norm = MapLayerNorm(width, n_models=n_models)
        self.first = Convolution((width, hidden), generators, window=POINT, has_bias=True)
        self.second = Convolution((hidden, width), generators, window=POINT, has_bias=True, gain=LINEAR_GAIN)
        self.scale = nn.Parameter(torch.full((n_models, width), config.layer_scale))
        self.depth = StochasticDepth(rate, seeds=seeds)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side height width"]:
        """The input and what is added to it."""
        hidden = functional.gelu(self.first(self.norm(self.depthwise(x))))
        added = self.second(hidden) * self.scale.view(-1, 1, 1)
        return x + self.depth.of_maps(added, n_models=len(self.scale))

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        hidden = self.first.emit(
            graph, self.norm.emit(graph, self.depthwise.emit(graph, x, model=model), model=model), model=model
        )
        added = self.second.emit(graph, emit_activation(graph, "gelu", hidden), model=model)
        scale = self.scale[model].detach().cpu().numpy().astype(np.float32).reshape(-1, 1, 1)
        return graph.op("Add", x, graph.op("Mul", added, graph.constant(scale)))


class Reduction(nn.Module):
    """Normalisation, then a convolution that makes one position of each patch."""

    def __init__(self, sizes: tuple[int, int], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.norm = MapLayerNorm(sizes[0], n_models=len(generators))
        self.convolution = Convolution(sizes, generators, window=HALVING_PATCH, has_bias=True, gain=LINEAR_GAIN)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Maps of half the size."""
        reduced: Tensor = self.convolution(self.norm(x))
        return reduced

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        return self.convolution.emit(graph, self.norm.emit(graph, x, model=model), model=model)


class ConvNext(Encoder):
    """Patches, normalisation, stages of blocks with a reduction between each two, the mean over positions, normalisation."""

    def __init__(
        self, size: tuple[int, int], config: Config, *, n_channels: int, generators: list[torch.Generator], seeds: Sequence[int]
    ) -> None:
        super().__init__()
        stages = stages_of(config, size)
        first = (n_channels, config.width)
        self.patches = Convolution(first, generators, window=patch_of(size), has_bias=True, gain=LINEAR_GAIN)
        self.patch_norm = MapLayerNorm(config.width, n_models=len(generators))
        rates = rising_rates(config.stochastic_depth, n_blocks=len(stages) * config.depth)
        layers: list[nn.Module] = []
        for number, (width, _) in enumerate(stages):
            if number:
                layers.append(Reduction((stages[number - 1][0], width), generators))
            own = rates[number * config.depth : (number + 1) * config.depth]
            layers += [Block(width, config, rate=rate, generators=generators, seeds=seeds) for rate in own]
        self.layers = nn.ModuleList(layers)
        self.width = stages[-1][0]
        self.norm = LayerNorm(self.width, n_models=len(generators))

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """Normalised means of the channels."""
        x = self.patch_norm(self.patches(maps))
        for layer in self.layers:
            x = layer(x)
        features: Tensor = self.norm(unfolded(x.mean(dim=(2, 3)), n_channels=self.width))
        return features

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        x = self.patch_norm.emit(graph, self.patches.emit(graph, x, model=model), model=model)
        for layer in self.layers:
            assert isinstance(layer, Block | Reduction), "layers are blocks and what stands between stages"
            x = layer.emit(graph, x, model=model)
        return self.norm.emit(graph, emit_pooled(graph, x, kind="GlobalAveragePool"), model=model)


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed.

    Raises:
        TrainingError: the pictures are too small.
    """
    del task
    size = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name)
    generators = generators_for(seeds)
    encoder = ConvNext(size, config, n_channels=shape.widths[PIXELS], generators=generators, seeds=seeds)
    head = LinearHead((encoder.width, n_outputs), generators, dropout=PooledDropout(config.dropout, seeds=seeds))
    views = views_of(config.views, augment=config.augment)
    return ImageNetwork(shape, encoder, head=head, seeds=seeds, augment=augmentation_of(config), views=views)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers."""
    size, n_channels = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name), shape.widths[PIXELS]
    works = [convolution_work((n_channels, config.width), patch_of(size), before=size)]
    stages = stages_of(config, size)
    for number, (width, maps) in enumerate(stages):
        if number:
            works.append(convolution_work((stages[number - 1][0], width), HALVING_PATCH, before=stages[number - 1][1]))
        works += [_block_work(width, config, maps=maps)] * config.depth
    works.append(linear_work((stages[-1][0], task.n_outputs)))
    n_values = n_channels * size[0] * size[1]
    return image_cost(n_train, recipe, work=total(works), picture_values=n_values, n_views=n_views_of(config))


def _block_work(width: int, config: Config, *, maps: tuple[int, int]) -> Work:
    hidden = width * config.expansion
    return total(
        [
            convolution_work((width, width), Window(kernel=config.kernel, groups=width), before=maps),
            convolution_work((width, hidden), POINT, before=maps),
            convolution_work((hidden, width), POINT, before=maps),
        ]
    )


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.05,
    schedule="cosine",
    warmup=0.1,
    batch_size=128,
    epochs=0,
    most_epochs=64,
    patience=16,
    label_smoothing=0.1,
    gradient_clip=1.0,
    ema=0.99,
)
DEFAULT = image_preset(Config(), RECIPE)


def portfolio(task: Task) -> Sequence[Preset]:
    """The default."""
    del task
    return (DEFAULT,)


def space(task: Task) -> Space:
    """Network and recipe."""
    return image_space(DEFAULT, Range(3e-4, 1e-2, log=True), task=task)


spec = Family(
    name="ConvNeXt",
    source="Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    hurries=True,
    folds_apart=True,
    trunk=TRUNK,
    build=build,
)
