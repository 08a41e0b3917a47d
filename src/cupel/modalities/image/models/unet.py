"""U-Net: an answer for every pixel, from what is around it near and far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import HALVING, Convolution, Network, NormedConvolution, Window, emit_largest, generators_for, joined
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range, When
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.augmenting import STRONGEST, WEAKEST, augmentation_of
from cupel.modalities.image.network import PIXELS, Encoder, Head, ImageNetwork, size_of_pictures
from cupel.modalities.image.preparation import OnGrid
from cupel.modalities.image.work import STOPS_FROM, Work, convolution_work, image_cost, total

MOST_CHANNELS = 512
LINEAR_GAIN = 1.0
POINT = Window(kernel=1)
WINDOW = Window()


@dataclass(frozen=True, kw_only=True)
class Config:
    """`depth` times the maps are halved and widened, from `width` channels on, and then brought back.

    `augment` is what happens to pictures and masks while training (`AUGMENTATIONS`), so many times as strong as `strength` says.
    """

    width: Annotated[int, Range(8, 64, log=True)] = 16
    depth: Annotated[int, Range(1, 4)] = 3
    augment: Annotated[str, Choice("none", "upright", "turned")] = "upright"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", "upright", "turned")] = 1.0

    @property
    def widths(self) -> list[int]:
        """Channels of each level, the finest first."""
        return [min(8 * max(1, round(self.width / 8)) * 2**level, MOST_CHANNELS) for level in range(self.depth + 1)]

    @property
    def least_side(self) -> int:
        """Pixels that leave two at the coarsest level, so that there is something around each."""
        return int(2 ** (self.depth + 1))


def levels_of(config: Config, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of the maps of each level, the finest first."""
    sizes = [size]
    for _ in range(config.depth):
        sizes.append(HALVING.size_after(sizes[-1]))
    return sizes


class Pair(nn.Module):
    """Two normalised convolutions of 3 × 3, each followed by ReLU."""

    def __init__(self, sizes: tuple[int, int], generators: list[torch.Generator]) -> None:
        super().__init__()
        n_in, n_out = sizes
        self.first = NormedConvolution((n_in, n_out), generators, window=WINDOW)
        self.second = NormedConvolution((n_out, n_out), generators, window=WINDOW)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height width"]:
        """Through both."""
        return functional.relu(self.second(functional.relu(self.first(x))))

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        hidden = graph.op("Relu", self.first.emit(graph, x, model=model))
        return graph.op("Relu", self.second.emit(graph, hidden, model=model))


class Rise(nn.Module):
    """Coarse maps made narrower and twice as large, beside the finer ones of the same level, then a pair of convolutions.

    Each coarse position is repeated, over as many fine ones as there are: sides may be odd.
    """

    def __init__(self, sizes: tuple[int, int], generators: list[torch.Generator], *, size: tuple[int, int]) -> None:
        super().__init__()
        coarse, fine = sizes
        self._n_channels, self._size = fine, size
        self.narrow = NormedConvolution((coarse, fine), generators, window=POINT)
        self.pair = Pair((2 * fine, fine), generators)

    def forward(
        self, x: Float[Tensor, "row coarse height width"], fine: Float[Tensor, "row fine height_after width_after"]
    ) -> Float[Tensor, "row fine height_after width_after"]:
        """Maps of the finer level."""
        raised = functional.interpolate(self.narrow(x), size=self._size, mode="nearest")
        mixed: Tensor = self.pair(joined([raised, fine], n_channels=self._n_channels))
        return mixed

    def emit(self, graph: Graph, maps: tuple[str, str], *, model: int) -> str:
        """The same from plain operators, of coarse and fine maps."""
        coarse, fine = maps
        sizes = graph.constant(np.array(self._size, np.int64))
        raised = graph.op(
            "Resize",
            self.narrow.emit(graph, coarse, model=model),
            "",
            "",
            sizes,
            axes=[2, 3],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return self.pair.emit(graph, graph.concat([raised, fine]), model=model)


class UNet(Encoder):
    """Features of every pixel, maps of `width` channels as large as the picture.

    Source: Ronneberger et al. 2015, arXiv:1505.04597. Departures: maps keep their size in convolutions, which are normalised;
    coarse maps are repeated instead of convolved upwards.
    """

    def __init__(self, size: tuple[int, int], config: Config, *, n_channels: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        widths, sizes = config.widths, levels_of(config, size)
        self.width = widths[0]
        self.falls = nn.ModuleList([Pair(pair, generators) for pair in zip([n_channels, *widths], widths, strict=False)])
        self.rises = nn.ModuleList(
            [Rise((widths[level + 1], widths[level]), generators, size=sizes[level]) for level in reversed(range(config.depth))]
        )

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height width"]:
        """Down, keeping each level, and up again."""
        kept = [self.falls[0](maps)]
        for fall in self.falls[1:]:
            kept.append(fall(functional.max_pool2d(kept[-1], HALVING.kernel)))
        x: Tensor = kept.pop()
        for rise in self.rises:
            x = rise(x, kept.pop())
        return x

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        kept: list[str] = []
        for fall in self.falls:
            assert isinstance(fall, Pair), "down go pairs"
            kept.append(fall.emit(graph, emit_largest(graph, kept[-1], window=HALVING) if kept else x, model=model))
        x = kept.pop()
        for rise in self.rises:
            assert isinstance(rise, Rise), "up go rises"
            x = rise.emit(graph, (x, kept.pop()), model=model)
        return x


class MaskHead(Head):
    """Logits of every pixel by a convolution of 1 × 1, flattened.

    That of class k, row y and column x stands at (k * height + y) * width + x.
    """

    def __init__(self, sizes: tuple[int, int], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.output = Convolution(sizes, generators, window=POINT, has_bias=True, gain=LINEAR_GAIN)

    def forward(self, features: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row output"]:
        """From folded maps."""
        logits: Tensor = self.output(features)
        n_models, n_answers = self.output.weight.shape[:2]
        by_model = logits.reshape(len(logits), n_models, n_answers, -1)  # (B, M, K, H * W)
        return by_model.flatten(2).transpose(0, 1)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        return graph.op("Flatten", self.output.emit(graph, x, model=model), axis=1)


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed; it gives a logit for each of the task's classes at every pixel of the grid.

    Raises:
        TrainingError: the pictures are too small.
    """
    del n_outputs
    size = size_of_pictures(shape, least=config.least_side, name=spec.name)
    generators = generators_for(seeds)
    encoder = UNet(size, config, n_channels=shape.widths[PIXELS], generators=generators)
    head = MaskHead((encoder.width, len(task.classes)), generators)
    return ImageNetwork(shape, encoder, head=head, seeds=seeds, augment=augmentation_of(config))


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers."""
    size, n_channels = size_of_pictures(shape, least=config.least_side, name=spec.name), shape.widths[PIXELS]
    widths, sizes = config.widths, levels_of(config, size)
    works = [_pair_work(pair, maps) for pair, maps in zip(zip([n_channels, *widths], widths, strict=False), sizes, strict=True)]
    for level in range(config.depth):
        works.append(convolution_work((widths[level + 1], widths[level]), POINT, before=sizes[level + 1]))
        works.append(_pair_work((2 * widths[level], widths[level]), sizes[level]))
        works.append(Work(values=3.0 * widths[level] * sizes[level][0] * sizes[level][1]))
    works.append(convolution_work((widths[0], len(task.classes)), POINT, before=size))
    return image_cost(n_train, recipe, work=total(works), picture_values=n_channels * size[0] * size[1])


def _pair_work(sizes: tuple[int, int], maps: tuple[int, int]) -> Work:
    n_out = sizes[1]
    return convolution_work(sizes, WINDOW, before=maps) + convolution_work((n_out, n_out), WINDOW, before=maps)


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=1e-3,
    schedule="cosine",
    warmup=0.05,
    batch_size=8,
    epochs=0,
    most_epochs=64,
    patience=32,
    stops_from=STOPS_FROM,
    ema=0.99,
)
DEFAULT = Preset(config=Config(), preparation=OnGrid(), recipe=RECIPE)


def portfolio(task: Task) -> Sequence[Preset]:
    """The default; for pictures that have no above and below; a wider and deeper one; as deep as the grid allows."""
    depth = min(4, int(math.log2(min(task.grid))) - 1)
    turned, wide = Config(depth=min(3, depth), augment="turned"), Config(width=32, depth=depth, augment="turned")
    configs = (replace(turned, augment="upright"), turned, wide)
    return tuple(replace(DEFAULT, config=config) for config in configs)


def space(task: Task) -> Space:
    """Network and recipe."""
    recipe: dict[str, Range | Choice | None] = {
        "learning_rate": Range(3e-4, 1e-2, log=True),
        "weight_decay": Range(1e-5, 0.1, log=True),
        "ema": Choice(0.0, 0.9, 0.99),
    }
    depths = Range(1, min(4, int(math.log2(min(task.grid))) - 1))
    return Space.around(replace(DEFAULT, config=portfolio(task)[0].config), config={"depth": depths}, recipe=recipe)


spec = Family(
    name="U-Net",
    source="Ronneberger et al. 2015, U-Net: Convolutional networks for biomedical image segmentation, arXiv:1505.04597.",
    tasks=frozenset({TaskKind.SEGMENTATION}),
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    folds_apart=True,
    build=build,
)
