"""ModernNCA: a vote of the training rows that are near in a learned space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.family import Cost, Family
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import Activation, Linear, Network, PeriodicEmbedding, PooledDropout, add_member_axis, generators_for
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range, When
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.front import Front
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_NETWORKS, SEARCHED_FOR_NETWORKS
from cupel.modalities.tabular.work import network_cost

MOST_CANDIDATES = 12_000
ROWS_AT_ONCE = 128
N_PASSES = 6  # over every distance, in units of what an activation costs
SMALLEST_SQUARE, SMALLEST_SHARE = 1e-6, 1e-7


@dataclass(frozen=True, kw_only=True)
class Config:
    """`n_sampled` training rows, or all where they are fewer, are voters in a step of training; at prediction all, up to 12,000.

    With `n_blocks` 0 the embedded row is mapped linearly. A packed model holds `width` float32 numbers per voter: 12,000 of
    width 64 are 3 MB a fold.
    """

    width: Annotated[int, Choice(32, 64, 96, 128)] = 64
    n_blocks: Annotated[int, Range(0, 2)] = 0
    block_width: Annotated[int, Range(64, 512, log=True), When("n_blocks", 1, 2)] = 256
    dropout: Annotated[float, Range(0.0, 0.5), When("n_blocks", 1, 2)] = 0.1
    sigma: Annotated[float, Range(5e-3, 2.0, log=True)] = 0.1
    n_frequencies: Annotated[int, Choice(8, 16, 32, 64)] = 16
    numeric_width: Annotated[int, Choice(4, 8, 16)] = 8
    category_width: Annotated[int, Choice(4, 8, 16)] = 8
    n_sampled: Annotated[int, Choice(512, 1024, 2048, 4096)] = 2048


class Block(nn.Module):
    """`x + out(dropout(relu(into(x))))`."""

    def __init__(self, config: Config, generators: list[torch.Generator], *, seeds: Sequence[int]) -> None:
        super().__init__()
        self.into = Linear((config.width, config.block_width), generators)
        self.out = Linear((config.block_width, config.width), generators)
        self.activation = Activation("relu")
        self.dropout = PooledDropout(config.dropout, seeds=seeds)

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """Apply to each row."""
        change: Tensor = self.out(self.dropout(self.activation(self.into(x))))
        return x + change

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        hidden = self.activation.emit(graph, self.into.emit(graph, x, model=model))
        return graph.op("Add", x, self.out.emit(graph, hidden, model=model))


class Voters(nn.Module):
    """Training rows that are looked up: prepared blocks, their targets, and where among the training rows they stand.

    Each model has rows of its own, drawn by its seed where there are more than `MOST_CANDIDATES`; padded to the most of any.
    Buffers are not persistent: they are not weights.
    """

    target: Tensor
    rows: Tensor
    sizes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def fill(self, blocks: Mapping[str, Tensor], target: Tensor, *, sizes: Sequence[int], seeds: Sequence[int]) -> None:
        """Draw the voters of every model from its first `sizes[m]` rows."""
        counts = [min(size, MOST_CANDIDATES) for size in sizes]
        rows = torch.full((len(sizes), max(counts)), -1, dtype=torch.int64)
        for model, (size, count, seed) in enumerate(zip(sizes, counts, seeds, strict=True)):
            drawn = torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:count]
            rows[model, :count] = drawn.sort().values
        rows = rows.to(target.device)
        self.names = list(blocks)
        for name, block in blocks.items():
            self.register_buffer(f"block_{name}", _picked(block, rows.clamp_min(0)), persistent=False)
        self.register_buffer("target", _picked(target, rows.clamp_min(0)), persistent=False)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("sizes", torch.tensor(counts, device=target.device), persistent=False)

    def at(self, places: Int[Tensor, "model voter"]) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Blocks, targets and rows of the voters at these places."""
        blocks = {name: _picked(block, places) for name, block in self.blocks().items()}
        return blocks, _picked(self.target, places), _picked(self.rows, places)

    def blocks(self) -> dict[str, Tensor]:
        """Blocks of all voters, (M, C, width)."""
        return {name: getattr(self, f"block_{name}") for name in self.names}


def _picked(block: Tensor, places: Tensor) -> Tensor:
    """`block[m, places[m]]` for every model m."""
    models = torch.arange(len(block), device=block.device)[:, None]
    return block[models, places]


class ModernNca(Network):
    """Rows as points; a prediction is the mean of training targets, weighted by `softmax(-distance)`.

    Source: Ye, Yin, Zhan, Chao 2024, arXiv:2407.03257, sections 3 and 4: Euclidean distance, embedded numbers, and voters drawn
    anew for every step, never the row itself. Departures: numbers are embedded as in RealMLP (PBLD), blocks have no batch
    normalisation, voters are drawn with replacement where there are more than are wanted.
    """

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, task: Task, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models, self._n_outputs, self._config = len(seeds), n_outputs, config
        self._form, self._seeds = task.form, list(seeds)
        generators = generators_for(seeds)
        embedding = PeriodicEmbedding(
            shape.widths.get("numeric", 0),
            generators,
            n_frequencies=config.n_frequencies,
            width=config.numeric_width,
            sigma=config.sigma,
        )
        self.front = Front(shape, generators, numeric=embedding, category_width=config.category_width)
        self.encoder = Linear((self.front.width, config.width), generators)
        self.blocks = nn.ModuleList([Block(config, generators, seeds=seeds) for _ in range(config.n_blocks)])
        self.voters = Voters()
        self._generators = generators
        self._rows: Tensor | None = None
        self._known: tuple[Tensor, Tensor] | None = None

    def remember(self, blocks: Mapping[str, Tensor], target: Tensor, *, sizes: Sequence[int]) -> None:
        """Keep training rows as voters; where a label is unknown they vote for its share."""
        known = _completed(target, sizes) if self._form is Form.LABELS else target
        self.voters.fill(blocks, known, sizes=sizes, seeds=self._seeds)
        self._known = None

    def set_rows(self, rows: Tensor) -> None:
        """Note the rows of the next batch: none of them votes for itself."""
        self._rows = rows

    def keep_generators(self, models: Sequence[int]) -> None:
        """Go on with the random numbers of some of the models only."""
        super().keep_generators(models)
        self._generators = [self._generators[model] for model in models]
        self._seeds = [self._seeds[model] for model in models]

    def train(self, mode: bool = True) -> ModernNca:
        """Where training goes on, forget where the voters stand: weights change between one evaluation and the next."""
        if mode:
            self._known = None
        super().train(mode)
        return self

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logarithms of the voted probabilities, of labels against their contrary; or values."""
        x = self._encoded(blocks)
        voted = self._voted_in_training(x) if self.training else self._voted(x)
        logits = voted
        if self._form.has_probabilities:
            logits = torch.log(voted + SMALLEST_SHARE)
        if self._form is Form.LABELS:
            logits = logits - torch.log((1 - voted).clamp_min(0.0) + SMALLEST_SHARE)
        return logits[:, None]

    def _encoded(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model row width"]:
        x: Tensor = self.encoder(self.front(blocks))
        for block in self.blocks:
            x = block(x)
        return x

    def _voted_in_training(self, x: Tensor) -> Tensor:
        """By `n_sampled` voters drawn per model, or by all of them where they are no more, (M, B, output)."""
        drawn = self._drawn()
        blocks, target, rows = self.voters.at(drawn.clamp_min(0).to(x.device))
        squares = _squares(x, self._encoded(blocks))
        squares = squares.masked_fill((drawn < 0).to(x.device)[:, None, :], torch.inf)
        if self._rows is not None:
            squares = squares.masked_fill(self._rows.to(x.device)[:, :, None] == rows[:, None, :], torch.inf)
            self._rows = None
        return torch.bmm(_weights(squares), self._answers(target))

    def _drawn(self) -> Int[Tensor, "model voter"]:
        """Places of the voters of a step; -1 fills up where another model has more."""
        most, sizes = self._config.n_sampled, self.voters.sizes.tolist()
        drawn = torch.full((len(sizes), min(max(sizes), most)), -1, dtype=torch.int64)
        for model, (size, generator) in enumerate(zip(sizes, self._generators, strict=True)):
            places = torch.arange(size) if size <= most else torch.randint(size, (most,), generator=generator)
            drawn[model, : len(places)] = places
        return drawn

    def _voted(self, x: Tensor) -> Tensor:
        """By all voters, a few rows at a time, (M, B, output); products in float64: distances are small differences."""
        known, answers = self._remembered()
        known = known.double()
        absent = torch.arange(known.shape[1], device=x.device)[None, :] >= self.voters.sizes[:, None]
        parts = []
        for part in torch.split(x.double(), ROWS_AT_ONCE, dim=1):
            squares = _squares(part, known).float().masked_fill(absent[:, None, :], torch.inf)
            parts.append(torch.bmm(_weights(squares), answers))
        return torch.cat(parts, dim=1) if parts else x.new_zeros(len(x), 0, self._n_outputs)

    def _remembered(self) -> tuple[Float[Tensor, "model voter width"], Float[Tensor, "model voter output"]]:
        """Where all voters stand, in numbers that half precision holds wherever that can, and their answers.

        They are reckoned once: what is packed is to the last bit what was predicted by.
        """
        if self._known is None:
            places = self._encoded(self.voters.blocks())
            nearest = places.half().float()
            self._known = torch.where(nearest.isfinite(), nearest, places), self._answers(self.voters.target)
        return self._known

    def _answers(self, target: Tensor) -> Float[Tensor, "model voter output"]:
        """One-hot classes, labels, or values."""
        if self._form is Form.LABELS:
            return target
        return functional.one_hot(target, self._n_outputs).float() if self._form is Form.CLASSES else target[..., None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators; the encoded voters and their targets are constants."""
        x = self.encoder.emit(graph, self.front.emit(graph, blocks, model=model), model=model)
        for block in self.blocks:
            assert isinstance(block, Block), "blocks are blocks"
            x = block.emit(graph, x, model=model)
        size = int(self.voters.sizes[model])
        with torch.inference_mode():
            known, answers = (each[model, :size].cpu().numpy() for each in self._remembered())
        weights = _emit_weights(graph, graph.cast(x, np.float64), known)
        voted = graph.op("MatMul", weights, graph.constant(answers, np.float32))
        return add_member_axis(graph, self._emit_logits(graph, voted))

    def _emit_logits(self, graph: Graph, voted: str) -> str:
        if self._form is Form.VALUES:
            return voted
        smallest = graph.constant(SMALLEST_SHARE, np.float32)
        logits = graph.op("Log", graph.op("Add", voted, smallest))
        if self._form is Form.CLASSES:
            return logits
        contrary = graph.op("Sub", graph.constant(1.0, np.float32), voted)
        contrary = graph.op("Add", graph.op("Max", contrary, graph.constant(0.0, np.float32)), smallest)
        return graph.op("Sub", logits, graph.op("Log", contrary))


def _completed(target: Float[Tensor, "model row label"], sizes: Sequence[int]) -> Float[Tensor, "model row label"]:
    """Labels with unknown ones at their share in the real rows of the same model."""
    shares = [own[:size].nanmean(dim=0).nan_to_num(0.5) for own, size in zip(target, sizes, strict=True)]
    return torch.where(target.isfinite(), target, torch.stack(shares)[:, None])


def _squares(x: Float[Tensor, "model row width"], voters: Float[Tensor, "model voter width"]) -> Float[Tensor, "model row voter"]:
    """Squared distances, by one product."""
    lengths = voters.square().sum(dim=-1)[:, None, :]
    product = torch.baddbmm(lengths, x, voters.transpose(1, 2), alpha=-2.0)
    return (product + x.square().sum(dim=-1, keepdim=True)).clamp_min(0.0)


def _weights(squares: Float[Tensor, "model row voter"]) -> Float[Tensor, "model row voter"]:
    return torch.softmax(-torch.sqrt(squares + SMALLEST_SQUARE), dim=-1)


def _emit_weights(graph: Graph, x: str, known: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    """`_weights` of x, double (rows, width), and the encoded voters (voters, width): float (rows, voters)."""
    voters = graph.cast(graph.constant(np.ascontiguousarray(known.T)), np.float64)
    axes = [graph.constant(np.array([axis], np.int64)) for axis in (0, 1)]
    lengths = graph.op("ReduceSum", graph.op("Mul", voters, voters), axes[0], keepdims=1)
    product = graph.op("Mul", graph.op("MatMul", x, voters), graph.constant(-2.0, np.float64))
    own = graph.op("ReduceSum", graph.op("Mul", x, x), axes[1], keepdims=1)
    squares = graph.cast(graph.op("Add", graph.op("Add", product, lengths), own), np.float32)
    squares = graph.op("Max", squares, graph.constant(0.0, np.float32))
    distances = graph.op("Sqrt", graph.op("Add", squares, graph.constant(SMALLEST_SQUARE, np.float32)))
    return graph.op("Softmax", graph.op("Neg", distances), axis=-1)


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    return ModernNca(shape, config, n_outputs=n_outputs, task=task, seeds=seeds)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers, for the batch and its voters, and from the distances of training and evaluation."""
    n_numeric = shape.widths.get("numeric", 0)
    others = shape.widths.get("binary", 0) + config.category_width * len(shape.cardinalities.get("codes", ()))
    width_in = n_numeric * config.numeric_width + others
    encoder = width_in * config.width + 2 * config.n_blocks * config.width * config.block_width
    batch_size = (recipe or Recipe()).pace(n_train).batch_size
    n_voters = min(config.n_sampled, n_train)
    encoded = 1 + n_voters / batch_size
    # A stop row for every seven training rows; forward alone is a third of the work, float64 twice.
    looked_up = n_voters + min(n_train, MOST_CANDIDATES) * 2 / (3 * 7)
    n_weights = round(encoder * encoded + looked_up * (config.width + task.n_outputs))
    n_embedded = width_in + 2 * n_numeric * config.n_frequencies + config.width * (1 + config.n_blocks)
    # At evaluation all voters are encoded at once; without gradients, so that half as much of each stays.
    at_once = max(encoded, min(n_train, MOST_CANDIDATES) / (2 * batch_size))
    return network_cost(
        n_train,
        recipe,
        n_weights=n_weights,
        n_activations=round(n_embedded * encoded + looked_up * N_PASSES),
        n_stored=round(n_embedded * at_once + looked_up * N_PASSES),
    )


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=1e-2,
    weight_decay=2e-4,
    schedule="cosine",
    batch_size=512,
    epochs=0,
    patience=16,
)
DEFAULT = Preset(config=Config(), preparation=FOR_NETWORKS, recipe=RECIPE)
"""The paper's, narrowed for CPUs."""


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """The paper's space, rates between 1e-3 and 3e-2."""
    del task
    return Space.around(
        DEFAULT,
        recipe={
            "learning_rate": Range(1e-3, 3e-2, log=True),
            "weight_decay": Range(1e-6, 1e-3, log=True),
            "batch_size": Choice(256, 512, 1024),
        },
        preparation=SEARCHED_FOR_NETWORKS,
    )


spec = Family(
    name="ModernNCA",
    source="Ye, Yin, Zhan, Chao 2024, Revisiting nearest neighbor for tabular data, arXiv:2407.03257.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    remembers=True,
    build=build,
)
