"""Tokens that look at one another: attention, gated feed-forward layers, and blocks of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph
from cupel.core.layers.dropout import PooledDropout
from cupel.core.layers.linear import Linear
from cupel.core.layers.normalisation import LayerNorm

NEVER = -1e9


def why_heads_differ(widths: Sequence[Any], heads: Sequence[Any]) -> str:
    """Why heads cannot share a width equally, as a sentence; "" where each of these numbers can share each of these widths."""
    odd = next(((width, n_heads) for width in widths for n_heads in heads if width % n_heads), None)
    return "" if odd is None else f"{odd[1]} heads cannot share a width of {odd[0]}; choose widths that every n_heads divides."


class Attention(nn.Module):
    """Multi-head self-attention within each row's tokens; `width` is divided among `n_heads`.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    With `n_local_tokens`, as many as there always are, no token looks at itself, and how sharply each head looks is learned,
    scale (M, head), from 1/sqrt(width of a head) on: locality self-attention, Lee et al. 2021, arXiv:2112.13492, section 3.2.
    """

    def __init__(
        self,
        width: int,
        generators: list[torch.Generator],
        *,
        n_heads: int,
        dropout: PooledDropout,
        n_local_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self._n_heads, self._head_width = n_heads, width // n_heads
        self._n_local_tokens = n_local_tokens
        start = torch.full((len(generators), n_heads), 1 / math.sqrt(self._head_width))
        self.scale = None if n_local_tokens is None else nn.Parameter(start)
        self.query = Linear((width, width), generators)
        self.key_value = Linear((width, 2 * width), generators)
        self.output = Linear((width, width), generators)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "model row token width"], *, first_only: bool = False
    ) -> Float[Tensor, "model row asking width"]:
        """What each token gathers; with `first_only` the first token alone asks."""
        assert not (first_only and self.scale is not None), "where no token looks at itself, all ask"
        n_models, n_rows, _, width = x.shape
        asking = x[:, :, :1] if first_only else x
        heads = (n_models * n_rows, -1, self._n_heads, self._head_width)
        query = self.query(asking.flatten(1, 2)).reshape(heads).transpose(1, 2)  # (M * B, H, T, D / H)
        key, value = self.key_value(x.flatten(1, 2)).chunk(2, dim=-1)
        key, value = key.reshape(heads).transpose(1, 2), value.reshape(heads).transpose(1, 2)
        if self.scale is not None or self.training:  # for few tokens faster than the fused kernel and its backward pass
            weights = torch.softmax(self._scores(query, key, n_rows=n_rows), dim=-1)
            weights = self.dropout(weights.view(n_models, n_rows, *weights.shape[1:])).view(weights.shape)
            gathered = weights @ value
        else:
            gathered = functional.scaled_dot_product_attention(query, key, value)
        gathered = gathered.transpose(1, 2).reshape(n_models, -1, width)
        mixed: Tensor = self.output(gathered)
        return mixed.view(asking.shape)

    def _scores(self, query: Tensor, key: Tensor, *, n_rows: int) -> Tensor:
        """How much each token asks of each other, (M * B, H, T, T)."""
        if self.scale is None:
            return query @ key.transpose(2, 3) / math.sqrt(self._head_width)
        scale = self.scale.repeat_interleave(n_rows, dim=0)[:, :, None, None]
        scores = (query * scale) @ key.transpose(2, 3)
        return scores + torch.from_numpy(self._own_places()).to(scores.device)

    def _own_places(self) -> NDArray[np.float32]:
        """What keeps a token from looking at itself, (T, T); a token that is alone has nothing else to look at."""
        n_tokens = self._n_local_tokens or 1
        return np.where(np.eye(n_tokens, dtype=bool) & (n_tokens > 1), np.float32(NEVER), np.float32(0.0))

    def emit(self, graph: Graph, x: str, *, model: int, first_only: bool = False) -> str:
        """The same from plain operators, (rows, tokens, width) to (rows, asking, width)."""
        asking = _first_token(graph, x) if first_only else x
        query = self._heads(graph, self.query.emit(graph, asking, model=model), perm=[0, 2, 1, 3])
        both = self.key_value.emit(graph, x, model=model)
        key, value = graph.ops("Split", both, n_outputs=2, axis=2, num_outputs=2)
        key, value = self._heads(graph, key, perm=[0, 2, 3, 1]), self._heads(graph, value, perm=[0, 2, 1, 3])
        if self.scale is None:
            scores = graph.op("Mul", graph.op("MatMul", query, key), graph.constant(1 / math.sqrt(self._head_width), np.float32))
        else:
            scale = self.scale[model].detach().cpu().numpy().astype(np.float32).reshape(-1, 1, 1)
            asked = graph.op("MatMul", graph.op("Mul", query, graph.constant(scale)), key)
            scores = graph.op("Add", asked, graph.constant(self._own_places()))
        gathered = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)
        width = graph.constant(np.array([0, 0, self._n_heads * self._head_width], np.int64))
        together = graph.op("Reshape", graph.op("Transpose", gathered, perm=[0, 2, 1, 3]), width)
        return self.output.emit(graph, together, model=model)

    def _heads(self, graph: Graph, x: str, *, perm: Sequence[int]) -> str:
        shape = graph.constant(np.array([0, 0, self._n_heads, self._head_width], np.int64))
        return graph.op("Transpose", graph.op("Reshape", x, shape), perm=list(perm))


class GatedFeedForward(nn.Module):
    """ReGLU: `(a * relu(b)) @ weight + bias`, where a and b are maps of x to `hidden` neurons each.

    Source: Shazeer 2020, arXiv:2002.05202, eq. 6.
    """

    def __init__(self, sizes: tuple[int, int], generators: list[torch.Generator], *, dropout: PooledDropout) -> None:
        super().__init__()
        width, hidden = sizes
        self.gates = Linear((width, 2 * hidden), generators)
        self.output = Linear((hidden, width), generators)
        self.dropout = dropout

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """Row by row."""
        value, gate = self.gates(x).chunk(2, dim=-1)
        mixed: Tensor = self.output(self.dropout(value * functional.relu(gate)))
        return mixed

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; x may have leading axes."""
        value, gate = graph.ops("Split", self.gates.emit(graph, x, model=model), n_outputs=2, axis=-1, num_outputs=2)
        return self.output.emit(graph, graph.op("Mul", value, graph.op("Relu", gate)), model=model)


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward layer, each normalised before and added to what came in.

    `dropout` after each of the two stands on the residual branch. Without `normalises_first` the attention reads its input as
    it is: where tokens come straight from an embedding.
    """

    def __init__(
        self,
        width: int,
        generators: list[torch.Generator],
        *,
        attention: Attention,
        feed_forward: GatedFeedForward,
        dropout: PooledDropout,
        normalises_first: bool = True,
    ) -> None:
        super().__init__()
        n_models = len(generators)
        self.first_norm = LayerNorm(width, n_models=n_models) if normalises_first else None
        self.attention = attention
        self.second_norm = LayerNorm(width, n_models=n_models)
        self.feed_forward = feed_forward
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "model row token width"], *, first_only: bool = False
    ) -> Float[Tensor, "model row asking width"]:
        """All tokens, or with `first_only` the first alone, which has looked at all."""
        normed = x if self.first_norm is None else self.first_norm(x.flatten(1, 2)).view(x.shape)
        x = (x[:, :, :1] if first_only else x) + self.dropout(self.attention(normed, first_only=first_only))
        flat = x.flatten(1, 2)
        flat = flat + self.dropout(self.feed_forward(self.second_norm(flat)))
        mixed: Tensor = flat.view(x.shape)
        return mixed

    def emit(self, graph: Graph, x: str, *, model: int, first_only: bool = False) -> str:
        """The same from plain operators, (rows, tokens, width) to (rows, asking, width)."""
        normed = x if self.first_norm is None else self.first_norm.emit(graph, x, model=model)
        kept = _first_token(graph, x) if first_only else x
        x = graph.op("Add", kept, self.attention.emit(graph, normed, model=model, first_only=first_only))
        return graph.op("Add", x, self.feed_forward.emit(graph, self.second_norm.emit(graph, x, model=model), model=model))


def _first_token(graph: Graph, x: str) -> str:
    """(rows, tokens, width) to (rows, 1, width)."""
    return graph.op("Gather", x, graph.constant(np.array([0], np.int64)), axis=1)
