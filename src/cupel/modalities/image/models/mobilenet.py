"""MobileNet: little to compute and little to store, for small devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    Activation,
    Network,
    NormedConvolution,
    PooledDropout,
    SqueezeExcite,
    Window,
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
from cupel.modalities.image.network import PIXELS, TRUNK, Encoder, ImageNetwork, LinearHead, size_of_pictures
from cupel.modalities.image.work import Work, convolution_work, image_cost, image_preset, image_space, linear_work, total

LEAST_SIDE = 4
MOST_SIDE_IN_FULL = 20
LEAST_SIDE_TO_HALVE = 4
LAST_FACTOR = 4
SQUEEZE = 4
POINT = Window(kernel=1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """`n_stages` of `depth` blocks, `width` channels in the first and half as many again in each that follows.

    Inside a block there are `expansion` times as many channels. `squeeze` scales them by what the whole picture shows.
    """

    width: Annotated[int, Choice(8, 16, 24, 32, 48)] = 16
    depth: Annotated[int, Range(1, 3)] = 2
    n_stages: Annotated[int, Range(2, 4)] = 3
    expansion: Annotated[int, Choice(2, 3, 4, 6)] = 4
    kernel: Annotated[int, Choice(3, 5)] = 3
    squeeze: Annotated[bool, Choice(False, True)] = False
    activation: Annotated[str, Choice("relu", "silu")] = "relu"
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.1
    augment: Annotated[str, Choice(*AUGMENTATIONS)] = "shift"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", *CHANGING)] = 1.0
    views: Annotated[str, Choice(*VIEWS)] = "one"


@dataclass(frozen=True)
class BlockPlan:
    """One block: channels in, inside and out, its depthwise window, and the maps that it is given (height, width)."""

    n_in: int
    inner: int
    n_out: int
    window: Window
    before: tuple[int, int]
    squeezes: bool

    @property
    def n_squeezed(self) -> int:
        """Neurons between squeeze and excitation."""
        return max(self.inner // SQUEEZE, 4)

    @property
    def after(self) -> tuple[int, int]:
        """The maps that it gives."""
        return self.window.size_after(self.before)

    @property
    def adds(self) -> bool:
        """Whether what comes in can be added to what goes out."""
        return self.window.stride == 1 and self.n_in == self.n_out

    @property
    def work(self) -> Work:
        """Of all its convolutions."""
        works = [
            convolution_work((self.n_in, self.inner), POINT, before=self.before),
            convolution_work((self.inner, self.inner), self.window, before=self.before),
            convolution_work((self.inner, self.n_out), POINT, before=self.after),
        ]
        if self.squeezes:
            gated = Work(values=self.inner * self.after[0] * self.after[1])
            works += [linear_work((self.inner, self.n_squeezed)), linear_work((self.n_squeezed, self.inner)), gated]
        return total(works)


def stem_of(size: tuple[int, int]) -> Window:
    """What the first convolution sees at once: of all but small pictures every other pixel."""
    return Window(stride=1 if min(size) <= MOST_SIDE_IN_FULL else 2)


def plans_of(config: Config, size: tuple[int, int]) -> list[BlockPlan]:
    """All blocks for pictures of this size."""
    before, n_in = stem_of(size).size_after(size), config.width
    plans = []
    for stage in range(config.n_stages):
        n_out = 8 * max(1, round(config.width * 1.5**stage / 8))
        for number in range(config.depth):
            halves = stage > 0 and number == 0 and min(before) >= LEAST_SIDE_TO_HALVE
            inner = n_in * config.expansion
            window = Window(kernel=config.kernel, stride=2 if halves else 1, groups=inner)
            plans.append(BlockPlan(n_in, inner, n_out, window, before, config.squeeze))
            before, n_in = plans[-1].after, n_out
    return plans


class Block(nn.Module):
    """Wider by a convolution of 1 × 1, each channel convolved by itself, narrower again; added to what came in where it fits.

    Source: Sandler et al. 2018, arXiv:1801.04381, section 3.3; squeeze and excitation as in Howard et al. 2019,
    arXiv:1905.02244, section 5.3, with plain gates.
    """

    def __init__(self, plan: BlockPlan, generators: list[torch.Generator], *, activation: str) -> None:
        super().__init__()
        self.expand = NormedConvolution((plan.n_in, plan.inner), generators, window=POINT)
        self.depthwise = NormedConvolution((plan.inner, plan.inner), generators, window=plan.window)
        self.squeeze = SqueezeExcite(plan.inner, generators, n_hidden=plan.n_squeezed) if plan.squeezes else None
        self.project = NormedConvolution((plan.inner, plan.n_out), generators, window=POINT)
        self.activation = Activation(activation)
        self._adds = plan.adds

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Through the block."""
        hidden = self.activation(self.depthwise(self.activation(self.expand(x))))
        if self.squeeze is not None:
            hidden = self.squeeze(hidden)
        projected: Tensor = self.project(hidden)
        return projected + x if self._adds else projected

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        hidden = self.activation.emit(graph, self.expand.emit(graph, x, model=model))
        hidden = self.activation.emit(graph, self.depthwise.emit(graph, hidden, model=model))
        if self.squeeze is not None:
            hidden = self.squeeze.emit(graph, hidden, model=model)
        projected = self.project.emit(graph, hidden, model=model)
        return graph.op("Add", projected, x) if self._adds else projected


class MobileNet(Encoder):
    """Stem, blocks, a last convolution of 1 × 1 to more channels, and the mean of each over all positions.

    Source: Sandler et al. 2018, arXiv:1801.04381, section 4. Departure: fewer and narrower stages, for small pictures.
    """

    def __init__(self, size: tuple[int, int], config: Config, *, n_channels: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        plans = plans_of(config, size)
        self.stem = NormedConvolution((n_channels, config.width), generators, window=stem_of(size))
        self.blocks = nn.ModuleList([Block(plan, generators, activation=config.activation) for plan in plans])
        self.width = LAST_FACTOR * plans[-1].n_out
        self.last = NormedConvolution((plans[-1].n_out, self.width), generators, window=POINT)
        self.activation = Activation(config.activation)

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """The mean of each channel."""
        x = self.activation(self.stem(maps))
        for block in self.blocks:
            x = block(x)
        x = self.activation(self.last(x))
        return unfolded(x.mean(dim=(2, 3)), n_channels=self.width)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        x = self.activation.emit(graph, self.stem.emit(graph, x, model=model))
        for block in self.blocks:
            assert isinstance(block, Block), "blocks are blocks"
            x = block.emit(graph, x, model=model)
        x = self.activation.emit(graph, self.last.emit(graph, x, model=model))
        return emit_pooled(graph, x, kind="GlobalAveragePool")


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed.

    Raises:
        TrainingError: the pictures are too small.
    """
    del task
    size = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name)
    generators = generators_for(seeds)
    encoder = MobileNet(size, config, n_channels=shape.widths[PIXELS], generators=generators)
    head = LinearHead((encoder.width, n_outputs), generators, dropout=PooledDropout(config.dropout, seeds=seeds))
    views = views_of(config.views, augment=config.augment)
    return ImageNetwork(shape, encoder, head=head, seeds=seeds, augment=augmentation_of(config), views=views)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers."""
    size, n_channels = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name), shape.widths[PIXELS]
    plans = plans_of(config, size)
    stem = convolution_work((n_channels, config.width), stem_of(size), before=size)
    width = LAST_FACTOR * plans[-1].n_out
    last = convolution_work((plans[-1].n_out, width), POINT, before=plans[-1].after)
    work = total([stem, *[plan.work for plan in plans], last, linear_work((width, task.n_outputs))])
    return image_cost(n_train, recipe, work=work, picture_values=n_channels * size[0] * size[1], n_views=n_views_of(config))


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=4e-3,
    weight_decay=0.02,
    schedule="cosine",
    warmup=0.05,
    batch_size=128,
    epochs=0,
    most_epochs=64,
    patience=16,
    label_smoothing=0.1,
    ema=0.99,
)
DEFAULT = image_preset(Config(), RECIPE)


def portfolio(task: Task) -> Sequence[Preset]:
    """The default, and one with gates."""
    del task
    return (DEFAULT, image_preset(Config(squeeze=True, activation="silu", width=24), RECIPE))


def space(task: Task) -> Space:
    """Network and recipe."""
    return image_space(DEFAULT, Range(5e-4, 2e-2, log=True), task=task)


spec = Family(
    name="MobileNet",
    source="Sandler et al. 2018, MobileNetV2: Inverted residuals and linear bottlenecks, arXiv:1801.04381.",
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
