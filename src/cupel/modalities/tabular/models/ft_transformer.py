"""FT-Transformer: every column a token, and tokens that look at one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from cupel.core.layers import (
    Attention,
    CategoryEmbedding,
    GatedFeedForward,
    LayerNorm,
    Linear,
    LinearEmbedding,
    Network,
    PooledDropout,
    TransformerBlock,
    add_member_axis,
    generators_for,
    why_heads_differ,
)
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_NETWORKS
from cupel.modalities.tabular.work import network_cost, network_space

FOR_TOKENS = replace(FOR_NETWORKS, categories="embedding")
"""One token per category column: one-hot columns would each be a token of their own."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """`depth` blocks over tokens of `width`, which `n_heads` heads share; feed-forward layers are wider by `hidden_factor`."""

    width: Annotated[int, Choice(32, 64, 96, 128, 192)] = 64
    depth: Annotated[int, Range(1, 4)] = 2
    n_heads: Annotated[int, Choice(4, 8)] = 4
    hidden_factor: Annotated[float, Range(2 / 3, 8 / 3)] = 4 / 3
    attention_dropout: Annotated[float, Range(0.0, 0.5)] = 0.15
    hidden_dropout: Annotated[float, Range(0.0, 0.5)] = 0.05
    residual_dropout: Annotated[float, Range(0.0, 0.2)] = 0.0

    @property
    def hidden_width(self) -> int:
        """Neurons of the feed-forward layers."""
        return round(self.width * self.hidden_factor)


class Tokens(nn.Module):
    """A learned first token, then one per column: `weight * x + bias` for numbers, a vector plus bias for categories.

    `first` (M, D) and `code_bias` (M, columns, D).
    """

    def __init__(self, shape: InputShape, generators: list[torch.Generator], *, width: int) -> None:
        super().__init__()
        self._width = width
        self._numbers = [name for name in ("numeric", "binary") if shape.widths.get(name, 0)]
        cardinalities = shape.cardinalities.get("codes", ())
        n_numbers, scale = sum(shape.widths[name] for name in self._numbers), width**-0.5
        self.first = nn.Parameter(torch.stack([(torch.rand(width, generator=g) * 2 - 1) * scale for g in generators]))
        self.numbers = LinearEmbedding(n_numbers, generators, width=width) if n_numbers else None
        self.codes: CategoryEmbedding | None = None
        self.code_bias: nn.Parameter | None = None
        if cardinalities:
            self.codes = CategoryEmbedding(cardinalities, generators, width=width, scale=scale)
            bias = [(torch.rand(len(cardinalities), width, generator=g) * 2 - 1) * scale for g in generators]
            self.code_bias = nn.Parameter(torch.stack(bias))

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model row token width"]:
        """All tokens, the learned one first."""
        n_models, n_rows = next(iter(blocks.values())).shape[:2]
        flat = [self.first[:, None].expand(-1, n_rows, -1)]
        if self.numbers is not None:
            flat.append(self.numbers(torch.cat([blocks[name] for name in self._numbers], dim=-1)))
        if self.codes is not None and self.code_bias is not None:
            flat.append(self.codes(blocks["codes"]) + self.code_bias.flatten(1)[:, None])
        return torch.cat(flat, dim=-1).view(n_models, n_rows, -1, self._width)

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators, (rows, tokens, width)."""
        rows = graph.op("Shape", next(iter(blocks.values())), start=0, end=1)
        shape = graph.concat([rows, graph.constant(np.array([self._width], np.int64))], axis=0)
        flat = [graph.op("Expand", graph.constant(_array(self.first[model])[None]), shape)]
        if self.numbers is not None:
            flat.append(self.numbers.emit(graph, graph.concat([blocks[name] for name in self._numbers]), model=model))
        if self.codes is not None and self.code_bias is not None:
            vectors = self.codes.emit(graph, blocks["codes"], model=model)
            flat.append(graph.op("Add", vectors, graph.constant(_array(self.code_bias[model]).reshape(-1))))
        tokens = graph.constant(np.array([0, -1, self._width], np.int64))
        return graph.op("Reshape", graph.concat(flat), tokens)


class FtTransformer(Network):
    """Tokens, pre-norm blocks of attention and ReGLU layers, and an output that reads the first token.

    In the last block only the first token asks, since nobody reads the others; the first block's attention is not preceded by a
    normalisation. Both are as in the authors' code.
    Source: Gorishniy et al. 2021, arXiv:2106.11959, section 3.3 and appendix E.
    """

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        self.tokens = Tokens(shape, generators, width=config.width)
        self.blocks = nn.ModuleList(
            [_block(config, generators, seeds=seeds, is_first=number == 0) for number in range(config.depth)]
        )
        self.norm = LayerNorm(config.width, n_models=self.n_models)
        self.output = Linear((config.width, n_outputs), generators)

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values."""
        x = self.tokens(blocks)
        for block in self.blocks:
            x = block(x, first_only=block is self.blocks[-1])
        outputs: Tensor = self.output(functional.relu(self.norm(x[:, :, 0])))
        return outputs[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        x = self.tokens.emit(graph, blocks, model=model)
        for block in self.blocks:
            assert isinstance(block, TransformerBlock), "blocks are transformer blocks"
            x = block.emit(graph, x, model=model, first_only=block is self.blocks[-1])
        first = graph.op("Squeeze", x, graph.constant(np.array([1], np.int64)))
        first = graph.op("Relu", self.norm.emit(graph, first, model=model))
        return add_member_axis(graph, self.output.emit(graph, first, model=model))


def _block(config: Config, generators: list[torch.Generator], *, seeds: Sequence[int], is_first: bool) -> TransformerBlock:
    attention_dropout = PooledDropout(config.attention_dropout, seeds=seeds)
    hidden_dropout = PooledDropout(config.hidden_dropout, seeds=seeds)
    sizes = (config.width, config.hidden_width)
    return TransformerBlock(
        config.width,
        generators,
        attention=Attention(config.width, generators, n_heads=config.n_heads, dropout=attention_dropout),
        feed_forward=GatedFeedForward(sizes, generators, dropout=hidden_dropout),
        dropout=PooledDropout(config.residual_dropout, seeds=seeds),
        normalises_first=not is_first,
    )


def _array(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return tensor.detach().cpu().numpy().astype(np.float32)


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    del task
    return FtTransformer(shape, config, n_outputs=n_outputs, seeds=seeds)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """All blocks but the last work on every token, and attention grows with the square of the tokens."""
    n_tokens = 1 + shape.widths.get("numeric", 0) + shape.widths.get("binary", 0) + len(shape.cardinalities.get("codes", ()))
    width, hidden = config.width, config.hidden_width
    n_asking = n_tokens * (config.depth - 1) + 1  # over all blocks
    asked = config.depth * n_tokens * 2 * width**2
    looked = 2 * n_asking * n_tokens * width
    n_weights = n_asking * (2 * width**2 + 3 * width * hidden) + asked + looked + width * task.n_outputs
    passed = n_asking * (9 * width + 3 * hidden) + n_tokens * width * (2 * config.depth + 1)
    attention = n_asking * n_tokens * config.n_heads
    return network_cost(
        n_train,
        recipe,
        n_weights=n_weights,
        n_activations=passed + 8 * attention,
        n_parameters=config.depth * (4 * width**2 + 3 * width * hidden) + 2 * n_tokens * width,
        n_stored=passed + 2 * attention,  # measured: 150 columns, 1.3 times what it took; 20 columns, 1.5 times
    )


RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=1e-5,
    schedule="cosine",
    warmup=0.05,
    gradient_clip=1.0,
    epochs=0,
    patience=16,
)
DEFAULT = Preset(config=Config(), preparation=FOR_TOKENS, recipe=RECIPE)
"""Two blocks of 64 with 4 heads, from the small end of the paper's space, for a processor. The paper's own default, three
blocks of 192, takes some ten times as long. The rate falls by a cosine from above the paper's constant 1e-4, which needs more
epochs.
"""


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """The paper's space, narrowed to what a processor can train."""
    del task
    return network_space(DEFAULT, Range(1e-4, 3e-3, log=True))


def refuses(space: Space, task: Task) -> str:
    """Heads share the width of a token equally."""
    del task
    return why_heads_differ(*(space.dimensions[name].domain.spread(0) for name in ("width", "n_heads")))


spec = Family(
    name="FT-Transformer",
    source="Gorishniy et al. 2021, Revisiting deep learning models for tabular data, arXiv:2106.11959.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    refuses=refuses,
    build=build,
)
