"""Extremely randomised trees: many deep trees whose splits are drawn, not sought; their errors are unlike boosting's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, FittedUnit, UnitData
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.keeping import Keeping
from cupel.core.labels import filled, shares_of
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.core.trees import emit_trees, from_sklearn_forest
from cupel.learners.kept_forests import arrays_of, put_back
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_TREES

MAX_LEAF_VALUES = 400_000
"""Trees × leaves × classes of one fold: about 8 MB in the packed model. Where there are many classes, leaves are fewer."""
N_AT_ONCE = 10
"""Trees grown between two looks at the clock. Each is drawn by its place in the forest, not by what was grown at once."""
BYTES_PER_NODE = 400.0
"""In the forest, and most of it while the trees are written as a graph."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """`max_features` is the share of columns of which each split takes the best of one random threshold each.

    Few trees are enough: the mean over five folds is one over five times as many.
    """

    n_trees: Annotated[int, Range(20, 100, log=True)] = 50
    max_leaves: Annotated[int, Range(64, 1024, log=True)] = 512
    min_samples_leaf: Annotated[int, Range(1, 20, log=True)] = 2
    max_features: Annotated[float, Range(0.1, 1.0)] = 0.5


@dataclass(frozen=True, eq=False)
class Forest:
    """The mean over trees; for probabilities the training shares, `prior`, count as one more tree, so that nothing is impossible.

    `present` are the classes that training rows had, in the order of the forest's own. Labels are values of a forest with several
    outputs, between 0 and 1.
    """

    forest: Any
    prior: NDArray[np.float64]
    present: NDArray[np.int64]
    form: Form

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, or values."""
        matrix = inputs.matrix()
        if self.form is not Form.CLASSES:
            values = np.asarray(self.forest.predict(matrix), np.float64).reshape(len(matrix), -1)
            return self._with_prior(values) if self.form is Form.LABELS else values
        shares = np.zeros((len(matrix), len(self.prior)))
        shares[:, self.present] = self.forest.predict_proba(matrix)
        return self._with_prior(shares)

    def _with_prior(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        n_trees = len(self.forest.estimators_)
        return np.asarray((shares * n_trees + self.prior) / (n_trees + 1))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Trees, then the prior; of two classes only the second is summed."""
        matrix = graph.concat([graph.cast(block, np.float32) for block in blocks.values()])
        trees, n_outputs = from_sklearn_forest(self.forest), len(self.prior)
        if self.form is Form.VALUES:
            return emit_trees(graph, matrix, trees, n_targets=1)
        if self.form is Form.LABELS:
            return self._emit_with_prior(graph, emit_trees(graph, matrix, trees, n_targets=n_outputs), self.prior)
        target = self.present[trees.leaf_target]
        if n_outputs == 2:
            kept = target == 1
            trees = replace(
                trees,
                leaf_position=trees.leaf_position[kept],
                leaf_target=np.zeros(int(kept.sum()), np.int64),
                leaf_weight=trees.leaf_weight[kept],
            )
        else:
            trees = replace(trees, leaf_target=target)
        shares = emit_trees(graph, matrix, trees, n_targets=1 if n_outputs == 2 else n_outputs)
        found = self._emit_with_prior(graph, shares, self.prior[1:] if n_outputs == 2 else self.prior)
        return graph.concat([graph.op("Sub", graph.constant(1.0, np.float64), found), found]) if n_outputs == 2 else found

    def _emit_with_prior(self, graph: Graph, shares: str, prior: NDArray[np.float64]) -> str:
        n_trees = len(self.forest.estimators_)
        weighted = graph.op("Mul", shares, graph.constant(n_trees / (n_trees + 1), np.float64))
        return graph.op("Add", weighted, graph.constant(prior[None, :] / (n_trees + 1)))


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One forest per fold, as many at a time as there are threads, each on one."""
    return fit_each(units, lambda unit, until: _fit_unit(unit, config, task, until=until), threads=threads, deadline=deadline)


def _fit_unit(unit: UnitData, config: Config, task: Task, *, until: Deadline) -> FittedUnit:
    """Trees need no stop rows, so they learn from those too."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    started = time.monotonic()
    matrix = np.concatenate([unit.train.matrix(), unit.stop.matrix()])
    target = np.concatenate([unit.train_target, unit.stop_target])
    prior, present = _prior(target, task)
    target = filled(target, prior) if task.form is Form.LABELS else target
    forest = (ExtraTreesClassifier if task.is_classification else ExtraTreesRegressor)(
        n_estimators=1,
        max_leaf_nodes=_n_leaves(config, task),
        min_samples_leaf=config.min_samples_leaf,
        max_features=config.max_features,
        random_state=unit.seed,
        warm_start=True,
        n_jobs=1,
    )
    keeping = Keeping(unit.checkpoints)
    n_grown, cut_short = _kept(keeping, forest, matrix, target, config=config, task=task), False
    while n_grown < config.n_trees and not cut_short:
        n_grown = min(n_grown + N_AT_ONCE, config.n_trees)
        forest.set_params(n_estimators=n_grown).fit(matrix, target)
        if keeping.is_due or (n_grown == config.n_trees and keeping.is_worth_its_end):
            keeping.save(arrays_of(forest), {})
        cut_short = until.passed and n_grown < config.n_trees
    model = Forest(forest, prior, present, task.form)
    return FittedUnit(model, model.predict(unit.valid), seconds=time.monotonic() - started, cut_short=cut_short)


def _kept(keeping: Keeping, forest: Any, matrix: Any, target: Any, *, config: Config, task: Task) -> int:
    """Put back the trees that an earlier process has grown; says how many there are."""
    kept = keeping.load()
    if kept is None:
        return 0
    few = np.unique(target, return_index=True)[1] if task.form is Form.CLASSES else np.arange(2)
    try:
        put_back(forest.fit(matrix[few], target[few]), kept[0])
        if len(forest.estimators_) <= config.n_trees:
            return len(forest.estimators_)
    except (ValueError, KeyError, TypeError):
        pass
    vars(forest).pop("estimators_", None)  # those of a few rows, or of a forest that this is not
    return 0


def _prior(target: NDArray[Any], task: Task) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Shares of classes or labels in the training rows, and which classes there are."""
    if task.form is Form.LABELS:
        return shares_of(target), np.zeros(1, np.int64)
    if task.form is Form.VALUES:
        return np.zeros(1), np.zeros(1, np.int64)
    return np.bincount(target, minlength=task.n_outputs) / len(target), np.unique(target)


def _n_leaves(config: Config, task: Task) -> int:
    return min(config.max_leaves, _most_leaves(config.n_trees, task))


def _most_leaves(n_trees: int, task: Task) -> int:
    n_values = 1 if task.is_classification and task.n_outputs == 2 else task.n_outputs
    return max(2, MAX_LEAF_VALUES // (n_trees * n_values))


def refuses(space: Space, task: Task) -> str:
    """Leaves that were asked for are not made fewer because there are many trees or classes."""
    leaves, n_trees = (round(max(space.dimensions[name].domain.spread(2))) for name in ("max_leaves", "n_trees"))
    most = _most_leaves(n_trees, task)
    if "max_leaves" not in space.wished or leaves <= most:
        return ""
    return (
        f"{leaves} max_leaves are more than a packed model may hold: of {n_trees} trees with {task.n_outputs} outputs each has "
        f"at most {most}; choose fewer, or fewer n_trees."
    )


def cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Every row passes every level of every tree, by the columns that are looked at; estimated, not fitted to timings."""
    del recipe
    width = sum(shape.widths.values()) * config.max_features + 1
    n_levels = np.log2(min(config.max_leaves, max(n_train, 2))) + 1
    n_leaves = min(config.max_leaves, n_train)
    seconds = config.n_trees * (3e-9 * n_train * width * n_levels + 3e-6 * n_leaves * width)
    n_nodes = 2.0 * config.n_trees * min(n_leaves, _n_leaves(config, task))
    per_node = BYTES_PER_NODE + 8.0 * task.n_outputs
    return Cost(seconds=0.05 + seconds, memory_bytes=8.0 * n_train * sum(shape.widths.values()) + n_nodes * per_node)


def default(task: Task) -> Preset:
    """Regression gains from looking at every column (Geurts et al., section 3.1)."""
    return Preset(config=Config() if task.form.has_probabilities else Config(max_features=1.0), preparation=FOR_TREES)


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, default(task), task=task)


def space(task: Task) -> Space:
    """Everything that its config declares."""
    return Space.around(default(task), preparation={"categories": Choice("ordinal", "target"), "crossed_pairs": Choice(0, 4)})


spec = Family(
    name="ExtraTrees",
    source="Geurts, Ernst, Wehenkel 2006, Extremely randomized trees, doi:10.1007/s10994-006-6226-1.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    refuses=refuses,
    fit=fit,
)
