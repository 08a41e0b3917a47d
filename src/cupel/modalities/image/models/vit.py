"""A small vision transformer: patches as tokens that look at one another, with what helps it on few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    Attention,
    LayerNorm,
    Linear,
    Network,
    PooledDropout,
    StochasticDepth,
    emit_activation,
    generators_for,
    rising_rates,
    why_heads_differ,
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
from cupel.modalities.image.patches import ConvolvedPatches, PatchStem, ShiftedPatches, StemPlan, stem_plan
from cupel.modalities.image.work import Work, image_cost, image_preset, image_space, linear_work, total

LEAST_SIDE = 8
DEVIATION_OF_POSITIONS = 0.02
LONGEST_WAVE = 1e4


@dataclass(frozen=True, kw_only=True)
class Config:
    """`depth` blocks over tokens of `width`, which `n_heads` heads share; feed-forward layers are wider by `expansion`.

    `stem`: "convolution" makes patches by steps of 3 × 3, "shifted-patch" cuts them from the picture and four shifted copies,
    "patch" from the picture alone. `is_local`: no token looks at itself, and how sharply a head looks is learned.
    """

    width: Annotated[int, Choice(64, 96, 128, 192)] = 96
    depth: Annotated[int, Range(2, 8)] = 4
    n_heads: Annotated[int, Choice(2, 4, 8)] = 4
    expansion: Annotated[int, Choice(2, 3, 4)] = 2
    stem: Annotated[str, Choice("convolution", "shifted-patch", "patch")] = "convolution"
    is_local: Annotated[bool, Choice(True, False)] = True
    position: Annotated[str, Choice("learned", "sine")] = "learned"
    stochastic_depth: Annotated[float, Range(0.0, 0.3)] = 0.05
    dropout: Annotated[float, Range(0.0, 0.3)] = 0.0
    augment: Annotated[str, Choice(*AUGMENTATIONS)] = "shift"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", *CHANGING)] = 1.0
    views: Annotated[str, Choice(*VIEWS)] = "one"

    @property
    def hidden_width(self) -> int:
        """Neurons of the feed-forward layers."""
        return self.width * self.expansion


class Block(nn.Module):
    """Attention, then two linear layers with GELU between, each normalised before and added to what came in."""

    def __init__(
        self, config: Config, generators: list[torch.Generator], *, n_tokens: int, rate: float, seeds: Sequence[int]
    ) -> None:
        super().__init__()
        width, n_models = config.width, len(generators)
        self.first_norm = LayerNorm(width, n_models=n_models)
        self.attention = Attention(
            width,
            generators,
            n_heads=config.n_heads,
            dropout=PooledDropout(config.dropout, seeds=seeds),
            n_local_tokens=n_tokens if config.is_local else None,
        )
        self.second_norm = LayerNorm(width, n_models=n_models)
        self.first = Linear((width, config.hidden_width), generators)
        self.second = Linear((config.hidden_width, width), generators)
        self.dropout = PooledDropout(config.dropout, seeds=seeds)
        self.depth = StochasticDepth(rate, seeds=seeds)

    def forward(self, x: Float[Tensor, "model row token width"]) -> Float[Tensor, "model row token width"]:
        """All tokens."""
        normed = self.first_norm(x.flatten(1, 2)).view(x.shape)
        x = x + self.depth(self.attention(normed))
        hidden = functional.gelu(self.first(self.second_norm(x.flatten(1, 2))))
        added: Tensor = self.depth(self.second(self.dropout(hidden)).view(x.shape))
        return x + added

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators, (rows, tokens, width)."""
        attended = self.attention.emit(graph, self.first_norm.emit(graph, x, model=model), model=model)
        x = graph.op("Add", x, attended)
        hidden = self.first.emit(graph, self.second_norm.emit(graph, x, model=model), model=model)
        return graph.op("Add", x, self.second.emit(graph, emit_activation(graph, "gelu", hidden), model=model))


class VisionTransformer(Encoder):
    """Patches, positions, blocks, normalisation, and the mean over all tokens.

    `position_bias` (M, tokens, width) where positions are learned.
    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1; the mean instead of a token of its own and sines for
    positions as in Beyer et al. 2022, arXiv:2205.01580; stems and attention for small data as in Lee et al. 2021,
    arXiv:2112.13492, and Xiao et al. 2021, arXiv:2106.14881.
    """

    def __init__(self, plan: StemPlan, config: Config, *, generators: list[torch.Generator], seeds: Sequence[int]) -> None:
        super().__init__()
        self.width = config.width
        self.stem = STEMS[config.stem](plan, generators)
        height, width = plan.after
        n_tokens = height * width
        self.position_bias: nn.Parameter | None = None
        if config.position == "learned":
            drawn = [torch.randn(n_tokens, config.width, generator=g) * DEVIATION_OF_POSITIONS for g in generators]
            self.position_bias = nn.Parameter(torch.stack(drawn))
        self._waves = sines((height, width), width=config.width)
        rates = rising_rates(config.stochastic_depth, n_blocks=config.depth)
        self.blocks = nn.ModuleList([Block(config, generators, n_tokens=n_tokens, rate=rate, seeds=seeds) for rate in rates])
        self.norm = LayerNorm(config.width, n_models=len(generators))

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """Means of normalised tokens."""
        tokens = self.stem(maps).permute(0, 2, 3, 1).unflatten(-1, (-1, self.width))
        x = tokens.flatten(1, 2).permute(2, 0, 1, 3)  # (M, B, T, D)
        if self.position_bias is not None:
            x = x + self.position_bias[:, None]
        else:
            x = x + torch.from_numpy(self._waves).to(x.device)
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x.flatten(1, 2)).view(x.shape)
        return normed.mean(dim=2)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        maps = graph.op("Transpose", self.stem.emit(graph, x, model=model), perm=[0, 2, 3, 1])
        tokens = graph.op("Reshape", maps, graph.constant(np.array([0, -1, self.width], np.int64)))
        learned = self.position_bias
        positions = self._waves if learned is None else learned[model].detach().cpu().numpy().astype(np.float32)
        tokens = graph.op("Add", tokens, graph.constant(positions))
        for block in self.blocks:
            assert isinstance(block, Block), "blocks are blocks"
            tokens = block.emit(graph, tokens, model=model)
        normed = self.norm.emit(graph, tokens, model=model)
        return graph.op("ReduceMean", normed, graph.constant(np.array([1], np.int64)), keepdims=0)


STEMS: dict[str, type[ConvolvedPatches] | type[ShiftedPatches] | type[PatchStem]] = {
    "convolution": ConvolvedPatches,
    "shifted-patch": ShiftedPatches,
    "patch": PatchStem,
}


def sines(size: tuple[int, int], *, width: int) -> NDArray[np.float32]:
    """Where each token stands, (height * width, `width`): sines and cosines of row and column at `width` / 4 wavelengths each.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5, in two directions as in Beyer et al. 2022, arXiv:2205.01580.
    """
    frequencies = LONGEST_WAVE ** -(np.arange(width // 4) / max(width // 4 - 1, 1))
    rows, columns = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    angles = [place.reshape(-1, 1) * frequencies for place in (rows, columns)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.concatenate(waves, axis=1).astype(np.float32)


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed.

    Raises:
        TrainingError: the pictures are too small.
    """
    del task
    plan = _stem(shape, config)
    generators = generators_for(seeds)
    encoder = VisionTransformer(plan, config, generators=generators, seeds=seeds)
    head = LinearHead((encoder.width, n_outputs), generators, dropout=PooledDropout(config.dropout, seeds=seeds))
    views = views_of(config.views, augment=config.augment)
    return ImageNetwork(shape, encoder, head=head, seeds=seeds, augment=augmentation_of(config), views=views)


def _stem(shape: InputShape, config: Config) -> StemPlan:
    size = size_of_pictures(shape, least=LEAST_SIDE, name=spec.name)
    return stem_plan(size, kind=config.stem, sizes=(shape.widths[PIXELS], config.width))


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers; attention grows with the square of the tokens."""
    plan = _stem(shape, config)
    n_tokens, width, hidden = plan.after[0] * plan.after[1], config.width, config.hidden_width
    layers = [(width, 3 * width), (width, width), (width, hidden), (hidden, width)]
    looked = Work(
        products=2.0 * n_tokens**2 * width, values=3.0 * n_tokens**2 * config.n_heads + 4.0 * n_tokens * width, layers=3
    )
    blocks = [*(linear_work(sizes, n_places=n_tokens) for sizes in layers), looked] * config.depth
    work = total([plan.work, *blocks, linear_work((width, task.n_outputs))])
    n_values = shape.widths[PIXELS] * plan.before[0] * plan.before[1]
    return image_cost(n_train, recipe, work=work, picture_values=n_values, n_views=n_views_of(config))


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.05,
    schedule="cosine",
    warmup=0.1,
    batch_size=128,
    epochs=0,
    most_epochs=128,
    patience=24,
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
    return image_space(DEFAULT, Range(1e-4, 4e-3, log=True), task=task)


def refuses(space: Space, task: Task) -> str:
    """Heads share the width of a token equally."""
    del task
    return why_heads_differ(*(space.dimensions[name].domain.spread(0) for name in ("width", "n_heads")))


spec = Family(
    name="ViT",
    source="Dosovitskiy et al. 2020, An image is worth 16x16 words, arXiv:2010.11929; for few pictures Lee et al. 2021, "
    "arXiv:2112.13492.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    hurries=True,
    folds_apart=True,
    trunk=TRUNK,
    refuses=refuses,
    build=build,
)
