"""A small network that learns fast: whitened patches, then three groups of two convolutions that begin as identities."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    HALVING,
    Activation,
    MapBatchNorm,
    Network,
    NormedConvolution,
    PatchWhitening,
    PooledDropout,
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
from cupel.modalities.image.growing import cost_of_growing
from cupel.modalities.image.network import PIXELS, TRUNK, Encoder, ImageNetwork, LinearHead, size_of_pictures
from cupel.modalities.image.work import Work, convolution_work, image_cost, image_preset, image_space, linear_work, total

LEAST_SIDE = 4
LEAST_SIDE_TO_POOL = 4
MOST_SIDE_IN_FULL = 20
NORM_MOMENTUM = 0.4
HEAD_FACTOR = 1 / 9
SHARE_OF_WHITENING = 0.3
"""As in the source: a batch makes up 0.4 of what runs, logits are small, and the biases of the whitening learn during the first
part of training only."""

WINDOW = Window()
LONGER = (("full", 48), ("full", 32), ("full", 24), ("half", 32), ("half", 24))
"""Stems and widths for one long run, the dearest first."""
STEMS = {"full": Window(kernel=2, padding=0), "half": Window(kernel=4, stride=2, padding=0)}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Groups of `width`, then `width * growth`, … channels, of `depth` convolutions each; the first of a group pools.

    `stem`: "full" whitens patches of 2 × 2 at every place, "half" of 4 × 4 at every other, which leaves the convolutions a
    quarter of the work; "auto" is "full" up to 20 pixels. `components` eigenvectors are kept (as many as a patch has numbers, at
    most), each as it is and negated. Below 1, `first_side` is the share of their sides that pictures have when training begins.
    `bias_rate` is a factor on the learning rate of the normalisations' biases, 64 in the
    source, which trains by plain gradients; an optimiser that divides by their size needs none.
    """

    width: Annotated[int, Range(16, 128, log=True)] = 24
    growth: Annotated[float, Range(1.0, 4.0)] = 2.0
    n_groups: Annotated[int, Range(1, 3)] = 3
    depth: Annotated[int, Range(2, 3)] = 2
    stem: Annotated[str, Choice("auto", "full", "half")] = "auto"
    components: Annotated[int, Choice(8, 12, 16, 24, 32)] = 16
    activation: Annotated[str, Choice("gelu", "relu", "silu")] = "gelu"
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.0
    augment: Annotated[str, Choice(*AUGMENTATIONS)] = "shift"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", *CHANGING)] = 1.0
    views: Annotated[str, Choice(*VIEWS)] = "one"
    first_side: Annotated[float, Choice(1.0, 0.75, 0.5)] = 1.0
    bias_rate: float = 1.0

    @property
    def widths(self) -> list[int]:
        """Channels of each group, whole eights: so many a processor takes at once."""
        return [8 * max(1, round(self.width * self.growth**number / 8)) for number in range(self.n_groups)]

    def window(self, size: tuple[int, int]) -> Window:
        """What the first convolution sees at once."""
        if self.stem != "auto":
            return STEMS[self.stem]
        return STEMS["full" if min(size) <= MOST_SIDE_IN_FULL else "half"]


@dataclass(frozen=True)
class GroupPlan:
    """One group: channels in and out, convolutions, and the maps that it is given (height, width)."""

    sizes: tuple[int, int]
    depth: int
    before: tuple[int, int]

    @property
    def pools(self) -> bool:
        """Maps of a few pixels keep what they have."""
        return min(self.before) >= LEAST_SIDE_TO_POOL

    @property
    def after(self) -> tuple[int, int]:
        """The maps that it gives."""
        return HALVING.size_after(self.before) if self.pools else self.before

    @property
    def work(self) -> Work:
        """Of all its convolutions."""
        width = self.sizes[1]
        first = convolution_work(self.sizes, WINDOW, before=self.before)
        return total([first, *[convolution_work((width, width), WINDOW, before=self.after)] * (self.depth - 1)])


def plans_of(config: Config, size: tuple[int, int], *, n_channels: int) -> list[GroupPlan]:
    """The groups for pictures of this size."""
    window = config.window(size)
    n_components = min(config.components, n_channels * window.kernel**2)
    plans, before = [], window.size_after(size)
    for n_in, n_out in itertools.pairwise([2 * n_components, *config.widths]):
        plans.append(GroupPlan((n_in, n_out), config.depth, before))
        before = plans[-1].after
    return plans


class Group(nn.Module):
    """Convolution, pooling, normalisation, activation; then convolution, normalisation, activation once or twice.

    With three convolutions what the first gave is added to what goes into the last activation. All begin as identities, as far
    as the channels go.
    """

    def __init__(self, plan: GroupPlan, generators: list[torch.Generator], *, activation: str) -> None:
        super().__init__()
        inner = [(plan.sizes[1], plan.sizes[1])] * (plan.depth - 1)
        self.layers = nn.ModuleList(
            [
                NormedConvolution(sizes, generators, window=WINDOW, has_scale=False, pools=plan.pools and number == 0)
                for number, sizes in enumerate([plan.sizes, *inner])
            ]
        )
        for layer in self.normed:
            layer.convolution.become_identity()
            layer.norm.momentum = NORM_MOMENTUM
        self.activation = Activation(activation)
        self._adds = plan.depth > 2

    @property
    def normed(self) -> list[NormedConvolution]:
        """The layers, as what they are."""
        return [layer for layer in self.layers if isinstance(layer, NormedConvolution)]

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Through all layers."""
        first = x = self.activation(self.layers[0](x))
        for layer in self.layers[1:-1]:
            x = self.activation(layer(x))
        x = self.layers[-1](x)
        activated: Tensor = self.activation(x + first if self._adds else x)
        return activated

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        head, *middle, last = self.normed
        first = x = self.activation.emit(graph, head.emit(graph, x, model=model))
        for layer in middle:
            x = self.activation.emit(graph, layer.emit(graph, x, model=model))
        x = last.emit(graph, x, model=model)
        return self.activation.emit(graph, graph.op("Add", x, first) if self._adds else x)


class Airbench(Encoder):
    """Whitened patches, activation, groups, and the largest of each channel over all positions.

    Source: Jordan 2024, arXiv:2404.00498, section 3. Departures: patches of 4 × 4 at every other pixel and narrow groups,
    for processors; groups stop pooling when little is left; the largest is taken over all positions that remain.
    """

    def __init__(self, size: tuple[int, int], config: Config, *, n_channels: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        window, plans = config.window(size), plans_of(config, size, n_channels=n_channels)
        self.whitening = PatchWhitening(n_channels, n_models=len(generators), window=window, n_components=config.components)
        self.activation = Activation(config.activation)
        self._bias_rate = config.bias_rate
        self.groups = nn.ModuleList([Group(plan, generators, activation=config.activation) for plan in plans])
        self.width = plans[-1].sizes[1]

    def rate_factors(self) -> dict[nn.Parameter, float]:
        """Biases of normalisations learn at a rate of their own."""
        layers = [module for module in self.modules() if isinstance(module, MapBatchNorm)]
        return {} if self._bias_rate == 1 else {layer.bias: self._bias_rate for layer in layers}

    def initialise(self, maps: Float[Tensor, "row side height width"]) -> None:
        """Take eigenvectors of patches."""
        self.whitening.initialise(maps)

    def set_progress(self, fraction: float) -> None:
        """Settle the biases of the whitening after a while: without them a fifth of a step's work is saved."""
        self.whitening.bias.requires_grad_(fraction < SHARE_OF_WHITENING)

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """The largest of each channel."""
        x = self.activation(self.whitening(maps))
        for group in self.groups:
            x = group(x)
        return unfolded(x.amax(dim=(2, 3)), n_channels=self.width)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        x = self.activation.emit(graph, self.whitening.emit(graph, x, model=model))
        for group in self.groups:
            assert isinstance(group, Group), "groups are groups"
            x = group.emit(graph, x, model=model)
        return emit_pooled(graph, x, kind="GlobalMaxPool")


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed.

    Raises:
        TrainingError: the pictures are too small.
    """
    del task
    size = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name)
    generators = generators_for(seeds)
    encoder = Airbench(size, config, n_channels=shape.widths[PIXELS], generators=generators)
    dropout = PooledDropout(config.dropout, seeds=seeds)
    head = LinearHead((encoder.width, n_outputs), generators, dropout=dropout, factor=HEAD_FACTOR)
    views = views_of(config.views, augment=config.augment)
    network = ImageNetwork(shape, encoder, head=head, seeds=seeds, augment=augmentation_of(config), views=views)
    return network.grow_from(config.first_side)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """The whitening is not trained: its gradients are not worked out, a third of the work."""
    size, n_channels = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name), shape.widths[PIXELS]
    window, plans = config.window(size), plans_of(config, size, n_channels=n_channels)
    stem = convolution_work((n_channels, plans[0].sizes[0]), window, before=size)
    head = linear_work((plans[-1].sizes[1], task.n_outputs))
    work = total([Work(products=stem.products / 3, values=stem.values, layers=1), *[plan.work for plan in plans], head])
    whole = image_cost(n_train, recipe, work=work, picture_values=n_channels * size[0] * size[1], n_views=n_views_of(config))
    return cost_of_growing(whole, config.first_side, size=size)


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=1.5e-2,
    weight_decay=0.02,
    schedule="one-cycle",
    batch_size=256,
    epochs=0,
    most_epochs=64,
    patience=16,
    label_smoothing=0.1,
    ema=0.99,
)
DEFAULT = image_preset(Config(), RECIPE)
"""By AdamW, whose steps do not hang on the size of the loss; what was compared stands in docs/log.md."""

BY_GRADIENTS = image_preset(
    Config(bias_rate=64.0),
    replace(RECIPE, optimizer="sgd", learning_rate=0.6, momentum=0.85, weight_decay=1.3e-3, label_smoothing=0.2),
)
"""As in the source, whose rate comes to 0.4 at 256 samples a step."""


def portfolio(task: Task) -> Sequence[Preset]:
    """The default, the same with pictures mirrored, which is right for most but signs; for classes also what the source does."""
    presets = (DEFAULT, image_preset(Config(augment="objects"), RECIPE))
    return (*presets, BY_GRADIENTS) if task.is_classification else presets


def longer(preset: Preset) -> Sequence[Preset]:
    """The preset with wider groups behind whitened patches at every place, then at every other, for twice the epochs.

    A picture is looked at in all its views. The rate falls with the root of the width. The schedule is followed to its end
    whatever the rows that would stop it say, so they are learned from.
    """
    assert preset.recipe is not None, "a network has a recipe"
    rate, width = preset.recipe.learning_rate, preset.config.width
    return [
        replace(
            preset,
            config=replace(preset.config, stem=stem, width=wide, views="all"),
            recipe=replace(
                preset.recipe, epochs_share=2.0, learning_rate=rate * min(1.0, width / wide) ** 0.5, stops_from=sys.maxsize
            ),
        )
        for stem, wide in LONGER
    ]


def space(task: Task) -> Space:
    """Network and recipe."""
    return image_space(DEFAULT, Range(1e-3, 3e-2, log=True), task=task)


spec = Family(
    name="Airbench",
    source="Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    hurries=True,
    folds_apart=True,
    joins=True,
    trunk=TRUNK,
    longer=longer,
    build=build,
)
