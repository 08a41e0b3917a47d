"""Probabilities that mean what they say: a last step learned from out-of-fold predictions, taken only where it surely helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel.core.combination import Combination
from cupel.core.form import Form
from cupel.core.trial import Ensemble
from cupel.ensembling.evidence import Array, Evidence, Rows, blocks_of
from cupel.ensembling.link import LEAST, Link, Matrix

if TYPE_CHECKING:
    from cupel.core.graph import Graph

FEWEST_ROWS, FEWEST_ROWS_ISOTONIC = 100, 1000
MOST_KNOTS = 40
SURE = 1.0
"""Standard errors that a gain in log loss must reach, cross-fitted: a step that does not help must not be packed."""
LOWEST, HIGHEST, N_TEMPERATURES = 0.2, 5.0, 13
MOST_NUMBERS = 500_000
"""Rows times classes that a temperature is learned from: one number needs no more."""


class Step(Protocol):
    """A map from probabilities to probabilities."""

    def apply(self, probabilities: Array) -> Matrix:
        """The mapped probabilities, shape (rows, classes), rows summing to 1."""
        ...

    def emit(self, graph: Graph, probabilities: str) -> str:
        """The same in a graph; tensors are double."""
        ...


@dataclass(frozen=True)
class Temperature:
    """Logits divided by one number: above 1 for models that are too sure. The order of classes stays.

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """

    temperature: float

    def apply(self, probabilities: Array) -> Matrix:
        """Softmax of the divided logarithms."""
        return _LINK.prediction(_LINK.numbers(probabilities) / self.temperature)

    def emit(self, graph: Graph, probabilities: str) -> str:
        """Clip, logarithm, division, softmax."""
        numbers = _LINK.emit_numbers(graph, probabilities)
        return _LINK.emit_prediction(graph, graph.op("Div", numbers, graph.constant(self.temperature, np.float64)))


@dataclass(frozen=True)
class Isotonic:
    """For two classes: the positive one's probability along a rising line through `knots` and `heights`.

    Source: Zadrozny and Elkan 2002, doi:10.1145/775047.775151. We depart in joining the steps by straight lines, which keeps the
    order of rows wherever the line rises.
    """

    knots: tuple[float, ...]
    heights: tuple[float, ...]

    def apply(self, probabilities: Array) -> Matrix:
        """The line's height, and what it lacks to 1."""
        positive = np.interp(np.asarray(probabilities, np.float64)[:, -1], self.knots, self.heights)
        return np.column_stack([1.0 - positive, positive])

    def emit(self, graph: Graph, probabilities: str) -> str:
        """The first height, and a ramp for each piece of the line."""
        knots, heights = np.array(self.knots), np.array(self.heights)
        widths = np.diff(knots)
        slopes = (np.diff(heights) / widths)[:, None]
        along = graph.op("Sub", graph.columns(probabilities, [1]), graph.constant(knots[None, :-1], np.float64))
        ramps = graph.op("Min", graph.op("Relu", along), graph.constant(widths[None, :], np.float64))
        risen = graph.op("MatMul", ramps, graph.constant(slopes, np.float64))
        positive = graph.op("Add", risen, graph.constant(heights[0], np.float64))
        return graph.concat([graph.op("Sub", graph.constant(1.0, np.float64), positive), positive])


@dataclass(frozen=True)
class Calibrated:
    """A combination followed by a step."""

    combination: Combination
    step: Step

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """What the combination says, mapped."""
        return self.step.apply(self.combination.apply(predictions))

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """The same in the graph."""
        return self.step.emit(graph, self.combination.emit(graph, predictions))


@dataclass(frozen=True)
class Calibration:
    """What was decided about the last step: its name ("none", "temperature", "isotonic"), and the log loss without and with it.

    Both cross-fitted; `temperature` is None but for that step.
    """

    method: str
    log_loss: float
    calibrated_log_loss: float
    temperature: float | None = None


def calibrate(ensemble: Ensemble, evidence: Evidence, *, rows: Rows, groups: Array | None = None) -> tuple[Ensemble, Calibration]:
    """The ensemble with the step that surely improves its log loss, if any does.

    Its out-of-fold predictions are then cross-fitted. `evidence` tells target, parts and the score, which must not become
    worse. Steps are tried on classes alone.
    """
    said = np.asarray(ensemble.out_of_fold, np.float64)
    loss = _losses(said[rows], evidence.target[rows])
    nothing = Calibration("none", float(loss.mean()), float(loss.mean()))
    if len(rows) < FEWEST_ROWS:
        return ensemble, nothing
    best, best_loss, best_name = said, loss, ""
    learn: Callable[[Array, Array], Step] | None = None
    for name, method in _methods(said, len(rows)).items():
        mapped = said.copy()
        mapped[rows] = _cross_fitted(method, said, evidence, rows)
        losses = _losses(mapped[rows], evidence.target[rows])
        is_better = _is_surely_less(losses, best_loss, None if groups is None else groups[rows])
        if is_better and evidence.score(mapped[rows], rows) >= evidence.score(best[rows], rows):
            best, best_loss, best_name, learn = mapped, losses, name, method
    if learn is None:
        return ensemble, nothing
    step = learn(said[rows], evidence.target[rows])
    calibrated = replace(ensemble, combination=Calibrated(ensemble.rule, step), out_of_fold=best, is_cross_fitted=True)
    temperature = step.temperature if isinstance(step, Temperature) else None
    return calibrated, Calibration(best_name, nothing.log_loss, float(best_loss.mean()), temperature)


def learn_temperature(probabilities: Array, target: Array) -> Temperature:
    """The temperature of least log loss, to a hundredth."""
    step = max(1, probabilities.size // MOST_NUMBERS)
    numbers, target = _LINK.numbers(probabilities[::step]), target[::step]
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(2):
        grid = np.linspace(low, high, N_TEMPERATURES)
        place = int(np.argmin([_LINK.loss(numbers / np.exp(each), target)[0] for each in grid]))
        low, high = grid[max(place - 1, 0)], grid[min(place + 1, N_TEMPERATURES - 1)]
    return Temperature(float(np.exp(grid[place])))


def learn_isotonic(probabilities: Array, target: Array) -> Isotonic:
    """The rising line nearest to the classes, thinned out to `MOST_KNOTS` points, off 0 and 1 by what so many rows can tell."""
    from scipy.optimize import isotonic_regression  # scikit-learn has one too, and takes two seconds to import

    given, places, counts = np.unique(probabilities[:, -1], return_inverse=True, return_counts=True)
    shares = np.bincount(places, target) / counts  # equal ones together: of which class the file names first says nothing
    fitted = isotonic_regression(shares, weights=counts).x
    n_pieces = min(MOST_KNOTS, max(len(target) // 25, 2))
    pieces = ((np.cumsum(counts) - counts / 2) * n_pieces / len(target)).astype(np.int64)
    pieces = np.unique(pieces, return_inverse=True)[1]
    n_rows = np.bincount(pieces, counts)
    knots, heights = (np.bincount(pieces, counts * each) / n_rows for each in (given, fitted))
    heights = np.clip(heights, 0.5 / (n_rows + 1), 1 - 0.5 / (n_rows + 1))
    # Beyond the outermost points the line goes on towards the corners: there too the order of rows stays.
    knots = np.concatenate([[0.0], knots, [1.0]])
    heights = np.concatenate([[heights[0] / 2], np.maximum.accumulate(heights), [(1 + heights.max()) / 2]])
    is_apart = np.concatenate([[True], np.diff(knots) > 1e-9])
    return Isotonic(tuple(knots[is_apart].tolist()), tuple(heights[is_apart].tolist()))


def _methods(said: Array, n_rows: int) -> dict[str, Callable[[Array, Array], Step]]:
    methods: dict[str, Callable[[Array, Array], Step]] = {"temperature": learn_temperature}
    if said.shape[1] == 2 and n_rows >= FEWEST_ROWS_ISOTONIC:
        methods["isotonic"] = learn_isotonic
    return methods


def _cross_fitted(method: Callable[[Array, Array], Step], said: Array, evidence: Evidence, rows: Rows) -> Matrix:
    """What the step says of each row, learned from rows of other parts."""
    parts = evidence.parts[rows]
    if len(np.unique(parts)) < 2:
        parts = blocks_of(rows, n_blocks=2)
    mapped = np.empty((len(rows), said.shape[1]))
    for part in np.unique(parts):
        inside = parts == part
        step = method(said[rows[~inside]], evidence.target[rows[~inside]])
        mapped[inside] = step.apply(said[rows[inside]])
    return mapped


def _losses(probabilities: Array, target: Array) -> Array:
    own = probabilities[np.arange(len(target)), target]
    losses: Array = -np.log(np.clip(own, LEAST, 1.0))
    return losses


def _is_surely_less(new: Array, old: Array, groups: Array | None) -> bool:
    gains = old - new
    if groups is not None:
        _, unit = np.unique(groups, return_inverse=True)
        gains = np.bincount(unit.reshape(-1), weights=gains)
    return bool(gains.mean() > SURE * gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else False


_LINK = Link(Form.CLASSES)
