"""Several labels by a model of two classes for each: binary relevance, for what can learn one question at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.family import FittedModel, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.keeping import Part
from cupel.core.labels import binary_task, known, shares_of
from cupel.core.task import Task
from cupel.learners.constant import Constant

Array = NDArray[Any]
FitLabel = Callable[[UnitData, Task, Deadline], FittedUnit]
"""`fit(unit, task, until)` of a question with two classes."""
STOP_EVERY = 8


@dataclass(frozen=True, eq=False)
class ByLabel:
    """A model for each label; the probability of a label is that of its model's second class."""

    models: tuple[FittedModel, ...]

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """A probability for each label."""
        return np.stack([model.predict(inputs)[:, 1] for model in self.models], axis=1)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """All models side by side in one graph."""
        each = [graph.cast(model.emit(graph, blocks), np.float64) for model in self.models]
        return graph.concat([graph.columns(probabilities, [1]) for probabilities in each])


def fit_by_label(unit: UnitData, task: Task, fit_label: FitLabel, *, until: Deadline) -> FittedUnit:
    """A unit whose model is a `ByLabel`, each label learned from the rows where it is known, in its share of the time.

    A label that is the same in all known training rows is answered by its share, drawn towards one half. The curve is the mean of
    the labels' own, each held at its end until the longest ends.

    Source: Read et al. 2011, doi:10.1007/s10994-011-5256-5, section 2, binary relevance.
    """
    n_labels = unit.train_target.shape[1]
    fitted = []
    for label in range(n_labels):
        view = _view(unit, label)
        if len(np.unique(view.train_target)) < 2:
            share = shares_of(np.concatenate([unit.train_target, unit.stop_target])[:, [label]])[0]
            model = Constant(np.array([1.0 - share, share]))
            fitted.append(FittedUnit(model, model.predict(unit.valid)))
        else:
            fitted.append(fit_label(view, binary_task(task, label), until.within(until.remaining / (n_labels - label))))
    whole = ByLabel(tuple(each.model for each in fitted))
    return FittedUnit(
        whole,
        whole.predict(unit.valid),
        curve=_mean_curves([each.curve for each in fitted]),
        seconds=sum(each.seconds for each in fitted),
        cut_short=any(each.cut_short for each in fitted),
        stop_predictions=_stop_predictions(unit, whole, fitted),
    )


def _stop_predictions(unit: UnitData, whole: ByLabel, fitted: Sequence[FittedUnit]) -> NDArray[np.float64] | None:
    """Those of each label's own stop rows, where any label has such; the model says the rest, which nobody will judge."""
    if all(each.stop_predictions is None for each in fitted):
        return None
    said = whole.predict(unit.stop)
    for label, each in enumerate(fitted):
        rows = known(unit.stop_target, label)
        if each.stop_predictions is not None and len(rows):
            said[rows, label] = each.stop_predictions[:, 1]
    return said


def _view(unit: UnitData, label: int) -> UnitData:
    """The unit of one label: rows where it is known; where no stop row knows it, every eighth training row stops."""
    train, stop = known(unit.train_target, label), known(unit.stop_target, label)
    stop_inputs, stop_target = unit.stop.at(stop), unit.stop_target[stop, label]
    if not len(stop) and len(train) >= STOP_EVERY:
        stop, train = train[::STOP_EVERY], np.delete(train, np.s_[::STOP_EVERY])
        stop_inputs, stop_target = unit.train.at(stop), unit.train_target[stop, label]
    return replace(
        unit,
        train=unit.train.at(train),
        train_target=unit.train_target[train, label].astype(np.int64),
        stop=stop_inputs,
        stop_target=stop_target.astype(np.int64),
        checkpoints=None if unit.checkpoints is None else Part(unit.checkpoints, f"label-{label}"),
    )


def _mean_curves(curves: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    found = {}
    for name in dict.fromkeys(name for curve in curves for name in curve):
        own = [list(curve[name]) for curve in curves if curve.get(name)]
        longest = max((len(values) for values in own), default=0)
        padded = [values + values[-1:] * (longest - len(values)) for values in own]
        found[name] = [float(value) for value in np.mean(padded, axis=0)] if padded else []
    return found
