"""ResNet: convolutions that add to what they are given, over maps that halve from stage to stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    Network,
    NormedConvolution,
    PooledDropout,
    Window,
    emit_largest,
    emit_pooled,
    generators_for,
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
from cupel.modalities.image.growing import cost_of_growing
from cupel.modalities.image.network import PIXELS, TRUNK, Encoder, ImageNetwork, LinearHead, size_of_pictures
from cupel.modalities.image.work import Work, convolution_work, image_cost, image_preset, image_space, linear_work, total

LEAST_SIDE = 4
MOST_SIDE_IN_FULL = 64
EXPANSION = 4
POINT = Window(kernel=1)
POOLING = Window(kernel=3, stride=2)
LARGE_STEM = Window(kernel=7, stride=2)


@dataclass(frozen=True, kw_only=True)
class Config:
    """`n_stages` of `depth` blocks, `width` channels in the first and twice as many in each that follows.

    A "basic" block is two convolutions of 3 × 3; a "bottleneck" one of 3 × 3 between two of 1 × 1, four times as wide outside.
    Below 1, `first_side` is the share of their sides that pictures have when training begins.
    """

    block: Annotated[str, Choice("basic", "bottleneck")] = "basic"
    width: Annotated[int, Range(16, 64, log=True)] = 32
    depth: Annotated[int, Range(1, 3)] = 1
    n_stages: Annotated[int, Range(2, 4)] = 3
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.0
    augment: Annotated[str, Choice(*AUGMENTATIONS)] = "shift"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", *CHANGING)] = 1.0
    views: Annotated[str, Choice(*VIEWS)] = "one"
    first_side: Annotated[float, Choice(1.0, 0.75, 0.5)] = 1.0


@dataclass(frozen=True)
class BlockPlan:
    """One block: its convolutions as (channels in and out, window), and the maps that it is given (height, width)."""

    layers: tuple[tuple[tuple[int, int], Window], ...]
    before: tuple[int, int]

    @property
    def sizes(self) -> tuple[int, int]:
        """Channels that enter and leave the block."""
        return self.layers[0][0][0], self.layers[-1][0][1]

    @property
    def stride(self) -> int:
        """How far one output is from the next, in what comes in."""
        return max(window.stride for _, window in self.layers)

    @property
    def shortcut(self) -> Window | None:
        """What the input goes through before it is added; None where it is added as it is."""
        changes = self.stride > 1 or self.sizes[0] != self.sizes[1]
        return Window(kernel=1, stride=self.stride) if changes else None

    @property
    def after(self) -> tuple[int, int]:
        """The maps that it gives."""
        size = self.before
        for _, window in self.layers:
            size = window.size_after(size)
        return size

    @property
    def work(self) -> Work:
        """Of all its convolutions."""
        works, size = [], self.before
        for sizes, window in self.layers:
            works.append(convolution_work(sizes, window, before=size))
            size = window.size_after(size)
        if self.shortcut is not None:
            works.append(convolution_work(self.sizes, self.shortcut, before=self.before))
        return total(works)


def stem_of(size: tuple[int, int]) -> Window:
    """What the first convolution sees at once; that of large pictures is followed by pooling."""
    return LARGE_STEM if min(size) > MOST_SIDE_IN_FULL else Window()


def plans_of(config: Config, size: tuple[int, int]) -> list[BlockPlan]:
    """All blocks for pictures of this size."""
    stem = stem_of(size)
    before = stem.size_after(size) if stem.stride == 1 else POOLING.size_after(stem.size_after(size))
    plans, n_in = [], config.width
    for stage in range(config.n_stages):
        inner = config.width * 2**stage
        for number in range(config.depth):
            strided = Window(stride=2 if stage and not number else 1)
            layers = _layers(config.block, (n_in, inner), strided)
            plans.append(BlockPlan(layers, before))
            before, n_in = plans[-1].after, plans[-1].sizes[1]
    return plans


def _layers(block: str, sizes: tuple[int, int], strided: Window) -> tuple[tuple[tuple[int, int], Window], ...]:
    n_in, inner = sizes
    if block == "basic":
        return ((n_in, inner), strided), ((inner, inner), Window())
    return ((n_in, inner), POINT), ((inner, inner), strided), ((inner, EXPANSION * inner), POINT)


class Block(nn.Module):
    """`relu(shortcut(x) + norm(conv(… relu(norm(conv(x))))))`; the last normalisation begins at zero: a block adds nothing yet.

    Source of the zero: Goyal et al. 2017, arXiv:1706.02677, section 5.1.
    """

    def __init__(self, plan: BlockPlan, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([NormedConvolution(sizes, generators, window=window) for sizes, window in plan.layers])
        scale = self.normed[-1].norm.scale
        assert scale is not None, "a block's normalisations have scales"
        nn.init.zeros_(scale)
        shortcut = plan.shortcut
        self.shortcut = None if shortcut is None else NormedConvolution(plan.sizes, generators, window=shortcut)

    @property
    def normed(self) -> list[NormedConvolution]:
        """The layers, as what they are."""
        return [layer for layer in self.layers if isinstance(layer, NormedConvolution)]

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """The input and what is added to it."""
        kept = x if self.shortcut is None else self.shortcut(x)
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        added: Tensor = self.layers[-1](x)
        return functional.relu(added + kept)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        kept = x if self.shortcut is None else self.shortcut.emit(graph, x, model=model)
        *first, last = self.normed
        for layer in first:
            x = graph.op("Relu", layer.emit(graph, x, model=model))
        return graph.op("Relu", graph.op("Add", last.emit(graph, x, model=model), kept))


class ResNet(Encoder):
    """Stem, blocks, and the mean of each channel over all positions.

    Pictures of up to 64 pixels keep their resolution through a stem of 3 × 3; larger ones are reduced to a quarter by 7 × 7 at
    every other pixel and pooling.
    Source: He et al. 2015, arXiv:1512.03385, sections 3.3 and 4.2.
    """

    def __init__(self, size: tuple[int, int], config: Config, *, n_channels: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        window, plans = stem_of(size), plans_of(config, size)
        self.stem = NormedConvolution((n_channels, config.width), generators, window=window)
        self._pools = window.stride > 1
        self.blocks = nn.ModuleList([Block(plan, generators) for plan in plans])
        self.width = plans[-1].sizes[1]

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """The mean of each channel."""
        x = functional.relu(self.stem(maps))
        if self._pools:
            x = functional.max_pool2d(x, POOLING.kernel, POOLING.stride, POOLING.margin)
        for block in self.blocks:
            x = block(x)
        return unfolded(x.mean(dim=(2, 3)), n_channels=self.width)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        x = graph.op("Relu", self.stem.emit(graph, x, model=model))
        if self._pools:
            x = emit_largest(graph, x, window=POOLING)
        for block in self.blocks:
            assert isinstance(block, Block), "blocks are blocks"
            x = block.emit(graph, x, model=model)
        return emit_pooled(graph, x, kind="GlobalAveragePool")


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed.

    Raises:
        TrainingError: the pictures are too small.
    """
    del task
    size = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name)
    generators = generators_for(seeds)
    encoder = ResNet(size, config, n_channels=shape.widths[PIXELS], generators=generators)
    head = LinearHead((encoder.width, n_outputs), generators, dropout=PooledDropout(config.dropout, seeds=seeds))
    views = views_of(config.views, augment=config.augment)
    network = ImageNetwork(shape, encoder, head=head, seeds=seeds, augment=augmentation_of(config), views=views)
    return network.grow_from(config.first_side)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers."""
    size, n_channels = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name), shape.widths[PIXELS]
    plans = plans_of(config, size)
    stem = convolution_work((n_channels, config.width), stem_of(size), before=size)
    work = total([stem, *[plan.work for plan in plans], linear_work((plans[-1].sizes[1], task.n_outputs))])
    whole = image_cost(n_train, recipe, work=work, picture_values=n_channels * size[0] * size[1], n_views=n_views_of(config))
    return cost_of_growing(whole, config.first_side, size=size)


RECIPE = Recipe(
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
    batch_size=128,
    epochs=0,
    most_epochs=64,
    patience=16,
    label_smoothing=0.1,
    ema=0.99,
)
DEFAULT = image_preset(Config(), RECIPE)
"""One block a stage and three stages (ResNet-8), twice as wide as the paper's for small pictures: a processor does few wide
layers faster than many narrow ones."""


def portfolio(task: Task) -> Sequence[Preset]:
    """The default, and one of twice the depth."""
    del task
    return (DEFAULT, image_preset(Config(depth=2, width=48), RECIPE))


def space(task: Task) -> Space:
    """Network and recipe."""
    return image_space(DEFAULT, Range(0.01, 0.5, log=True), task=task)


spec = Family(
    name="ResNet",
    source="He et al. 2015, Deep residual learning for image recognition, arXiv:1512.03385.",
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
