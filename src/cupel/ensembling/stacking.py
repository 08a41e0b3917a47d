"""Stacking: a small model that learns from out-of-fold predictions how to combine them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.combination import Among, Combination
from cupel.ensembling.evidence import MAX_MEMBERS, Array, Choice, Evidence, Rows, cross_fitted, shares_of
from cupel.ensembling.greedy import greedy_weights
from cupel.ensembling.link import Link, Matrix
from cupel.ensembling.voting import choose_soft, gains_of

if TYPE_CHECKING:
    from cupel.core.graph import Graph

PENALTY = 30.0
"""Of 3 to 300 tried on three tables with 300 to 5,000 rows: the best on many rows, and little lost on few."""

NETWORK_PENALTY = 3.0
MIN_SHARE = 0.03
N_HIDDEN = 8
MAX_STEPS = 200
MAX_NETWORK_STEPS = 60
MAX_ROWS, MAX_NUMBERS = 20_000, 400_000
"""A few weights are learned as well from fewer rows; numbers of all members count, so that many classes take no minutes."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Members' numbers (see `Link`) added up with one weight each, and a bias per output.

    Source: for classes a log-linear pool, Genest and Zidek 1986, doi:10.1214/ss/1177013825; for values ridge regression as
    in Breiman 1996, "Stacked regressions". One weight per member, not per member and class, so few rows suffice.
    """

    link: Link
    weights: Matrix
    bias: Matrix

    def numbers(self, given: Matrix) -> Matrix:
        """Before the link, from numbers of shape (rows, members, outputs)."""
        return np.asarray(np.einsum("rmo,m->ro", given, self.weights) + self.bias)

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """Probabilities or values."""
        return self.link.prediction(self.numbers(_numbers(self.link, predictions)))

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """The link, products, a sum, and the link back."""
        return self.link.emit_prediction(graph, self.emit_numbers(graph, self.emit_link(graph, predictions)))

    def emit_link(self, graph: Graph, predictions: Sequence[str]) -> list[str]:
        """Every member's numbers."""
        return [self.link.emit_numbers(graph, prediction) for prediction in predictions]

    def emit_numbers(self, graph: Graph, given: Sequence[str]) -> str:
        """`numbers` in a graph."""
        terms = [
            graph.op("Mul", term, graph.constant(weight, np.float64))
            for term, weight in zip(given, self.weights.tolist(), strict=True)
        ]
        return graph.op("Sum", *terms, graph.constant(self.bias[None, :]))


@dataclass(frozen=True, eq=False)
class Network:
    """A pool, and what one hidden layer that reads all members' numbers adds to it.

    `inward` has shape (members × outputs, hidden), `outward` (hidden, outputs).
    """

    pool: Pool
    centre: Matrix
    inward: Matrix
    inward_bias: Matrix
    outward: Matrix

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """Probabilities or values."""
        given = _numbers(self.pool.link, predictions)
        hidden = np.tanh((given.reshape(len(given), -1) - self.centre) @ self.inward + self.inward_bias)
        return self.pool.link.prediction(self.pool.numbers(given) + hidden @ self.outward)

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """The pool, two products and a hyperbolic tangent."""
        given = self.pool.emit_link(graph, predictions)
        shifted = graph.op("Sub", graph.concat(given), graph.constant(self.centre[None, :]))
        inner = graph.op(
            "Add", graph.op("MatMul", shifted, graph.constant(self.inward)), graph.constant(self.inward_bias[None, :])
        )
        added = graph.op("MatMul", graph.op("Tanh", inner), graph.constant(self.outward))
        return self.pool.link.emit_prediction(graph, graph.op("Add", self.pool.emit_numbers(graph, given), added))


@dataclass(frozen=True, eq=False)
class Layers:
    """A combination of combinations: each of `first` reads all members, `second` reads what they say."""

    first: tuple[Combination, ...]
    second: Combination

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """What the second layer makes of the first."""
        return self.second.apply([combination.apply(predictions) for combination in self.first])

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """The same in the graph."""
        return self.second.emit(graph, [combination.emit(graph, predictions) for combination in self.first])


def choose_stack(evidence: Evidence, rows: Rows) -> Choice:
    """A pool of the few that are best on their own, its weights pulled towards those of greedy selection."""
    few = _few(evidence, rows)
    members, pool = _pooled(evidence, few)
    if pool is None:
        return Choice.mean(members, [1.0])
    return _learned(members, pool, _members(evidence, members, few), choose_stack)


def choose_network(evidence: Evidence, rows: Rows) -> Choice:
    """The same pool and what a small network adds to it."""
    few = _few(evidence, rows)
    members, pool = _pooled(evidence, few)
    if pool is None:
        return Choice.mean(members, [1.0])
    given = _members(evidence, members, few)
    return _learned(members, fit_network(pool, given, target=evidence.target[few], seed=evidence.seed), given, choose_network)


def choose_two_layers(evidence: Evidence, rows: Rows) -> Choice:
    """A pool of three combinations, plain mean, pool and network, each cross-fitted before the second layer reads it."""
    few = _few(evidence, rows)
    makers = (choose_soft, choose_stack, choose_network)
    choices = [make(evidence, few) for make in makers]
    positions = sorted({position for choice in choices for position in choice.positions})
    if len(positions) < 2:
        return Choice.mean(positions, [1.0])
    given = [cross_fitted(make, evidence, rows=few) for make in makers]
    second = fit_pool(given, evidence, rows=few, start=[1.0] * len(makers))
    first = [Among(tuple(positions.index(p) for p in choice.positions), choice.combination) for choice in choices]
    return _learned(positions, Layers(tuple(first), second), _members(evidence, positions, few), choose_two_layers)


def _pooled(evidence: Evidence, rows: Rows) -> tuple[list[int], Pool | None]:
    """Members worth their place, and their pool; None of one.

    Weights are pulled towards those of greedy selection. A member that is no better than a constant takes no part: the
    constants of the folds differ a little, in the direction opposite to the fold's own target, and a meta-model would read
    that. Those whose share is tiny are left out, since each costs time.
    """
    admitted = evidence.admitted(rows)
    gains = gains_of(evidence, admitted, rows=rows)
    members = [member for member, gain in zip(admitted, gains, strict=True) if gain > 0]
    if len(members) < 2:
        return members, None
    given = _members(evidence, members, rows)
    start = greedy_weights([evidence.predictions[member] for member in members], evidence.score, rows).tolist()
    pool = fit_pool(given, evidence, rows=rows, start=start)
    kept = [place for place, share in enumerate(shares_of(pool, given)) if share >= MIN_SHARE]
    if len(kept) in (len(members), 1):
        return members, pool
    given, start = [given[place] for place in kept], [start[place] for place in kept]
    return [members[place] for place in kept], fit_pool(given, evidence, rows=rows, start=start)


def fit_pool(given: Sequence[Array], evidence: Evidence, *, rows: Rows, start: Sequence[float]) -> Pool:
    """The pool with the least penalised log loss; the penalty pulls the weights towards `start`, scaled to sum to 1.

    A start of nothing, where whom greedy selection chose by the metric counts for nothing by the loss, is that of a plain mean.
    """
    target = evidence.target[rows]
    link = Link.of(given, target, form=evidence.form)
    numbers = _numbers(link, given)
    n_members = numbers.shape[1]
    weights = np.asarray(start) if any(start) else np.ones(n_members)
    origin = np.concatenate([weights / weights.sum(), np.zeros(numbers.shape[2])])

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        pool = Pool(link, flat[:n_members], flat[n_members:])
        value, slope = link.loss(pool.numbers(numbers), target)
        away = flat - origin
        along = np.concatenate([np.einsum("rmo,ro->m", numbers, slope), slope.sum(axis=0)])
        return value + PENALTY / 2 * float(away @ away), along + PENALTY * away

    found = _minimum(loss, origin, n_steps=MAX_STEPS)
    return Pool(link, found[:n_members], found[n_members:])


def fit_network(pool: Pool, given: Sequence[Array], *, target: Array, seed: int) -> Network:
    """The pool, held fixed, and a hidden layer that begins by adding nothing; few steps and a penalty keep it small."""
    numbers = _numbers(pool.link, given)
    flat = numbers.reshape(len(numbers), -1)
    centre, scale = flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-9)
    scaled, plain = (flat - centre) / scale, pool.numbers(numbers)
    n_given, n_outputs = flat.shape[1], plain.shape[1]
    generator = np.random.default_rng(seed)
    cuts = np.cumsum([n_given * N_HIDDEN, N_HIDDEN])

    def unpacked(values: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        inward, bias, outward = np.split(values, cuts)
        return inward.reshape(n_given, N_HIDDEN), bias, outward.reshape(N_HIDDEN, n_outputs)

    def loss(values: Matrix) -> tuple[float, Matrix]:
        inward, bias, outward = unpacked(values)
        hidden = np.tanh(scaled @ inward + bias)
        value, slope = pool.link.loss(plain + hidden @ outward, target)
        back = (slope @ outward.T) * (1 - hidden**2)
        along = np.concatenate([(scaled.T @ back).ravel(), back.sum(axis=0), (hidden.T @ slope).ravel()])
        return value + NETWORK_PENALTY / 2 * float(values @ values), along + NETWORK_PENALTY * values

    begin = np.concatenate([generator.normal(size=cuts[1]) / np.sqrt(n_given), np.zeros(N_HIDDEN * n_outputs)])
    inward, bias, outward = unpacked(_minimum(loss, begin, n_steps=MAX_NETWORK_STEPS))
    return Network(pool, centre, inward / scale[:, None], bias, outward)


def _minimum(loss: Callable[[Matrix], tuple[float, Matrix]], start: Matrix, *, n_steps: int) -> Matrix:
    from scipy.optimize import minimize

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": n_steps}).x)


def _learned(
    positions: Sequence[int], combination: Combination, given: Sequence[Array], by: Callable[[Evidence, Rows], Choice]
) -> Choice:
    shares = shares_of(combination, given)
    return Choice(positions=tuple(positions), combination=combination, shares=shares, learned_by=by)


def _numbers(link: Link, predictions: Sequence[Array]) -> Matrix:
    """Numbers of all members, shape (rows, members, outputs)."""
    return np.stack([link.numbers(prediction) for prediction in predictions], axis=1)


def _members(evidence: Evidence, positions: Sequence[int], rows: Rows) -> list[Array]:
    return [np.asarray(evidence.predictions[position])[rows] for position in positions]


def _few(evidence: Evidence, rows: Rows) -> Rows:
    n_numbers = np.shape(evidence.predictions[0])[1] * min(len(evidence.predictions), MAX_MEMBERS)
    most = min(MAX_ROWS, MAX_NUMBERS // n_numbers)
    return rows if len(rows) <= most else np.random.default_rng(evidence.seed).choice(rows, most, replace=False)
