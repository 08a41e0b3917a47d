"""Logistic and ridge regression: the simplest model that reads the features."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.family import Cost, FittedModel, FittedUnit, UnitData
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.keeping import Keeping
from cupel.core.recipe import Recipe
from cupel.core.space import Range
from cupel.core.task import Task
from cupel.learners.by_label import ByLabel, fit_by_label
from cupel.learners.constant import Constant

Matrix = NDArray[np.float64]
WORTH_WHILE = 1e-4
"""The share of the loss that a weaker penalty must take off for the next, slower one to be tried."""
MAX_NEWTON = 300
"""Coefficients up to which Newton's steps, each costing their square, are faster than a quasi-Newton method."""
MOST_TO_CHOOSE = 5_000
"""Training rows by which the penalty of a logistic regression is chosen, a fit each; all rows then give the coefficients.
On folds of adult and letter the log loss is the same to .0003, in 40% and 70% of the time."""
FEWEST_OF_A_CLASS = 50
"""Among these; else all rows choose."""
MIN_STRENGTHS = 4
"""Tried in any case: of few rows the strongest penalties leave nothing to tell apart."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Penalties are tried from strong to weak, at most `n_strengths` powers of ten, until the stop rows gain no more."""

    strongest: Annotated[float, Range(10.0, 1e5, log=True)] = 1e4
    n_strengths: Annotated[int, Range(2, 8)] = 7
    max_iterations: Annotated[int, Range(50, 500, log=True)] = 150


@dataclass(frozen=True, eq=False)
class Linear:
    """`matrix @ coefficients + intercept`, and what the form makes of it. Coefficients have shape (features, outputs)."""

    coefficients: Matrix
    intercept: Matrix
    form: Form

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, or values."""
        return self.form.finished(inputs.matrix().astype(np.float64) @ self.coefficients + self.intercept)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """MatMul, Add and Softmax or Sigmoid in double."""
        matrix = graph.concat([graph.cast(block, np.float64) for block in blocks.values()])
        logits = graph.op("Add", graph.op("MatMul", matrix, graph.constant(self.coefficients)), graph.constant(self.intercept))
        return self.form.emit(graph, logits)


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One model per fold, as many at a time as there are threads, each on one."""
    import sklearn.linear_model  # noqa: F401 what is loaded later than the limit is not limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # Sums in one order on any machine; and threads that wait for one another cost up to ten times more.
    with threadpool_limits(1):
        fit_one = _fit_labels if task.form is Form.LABELS else _fit_unit
        return fit_each(
            units, lambda unit, until: fit_one(unit, config, task, deadline=until), threads=threads, deadline=deadline
        )


def _fit_labels(unit: UnitData, config: Config, task: Task, *, deadline: Deadline) -> FittedUnit:
    """A logistic regression for each label, and all of them as one product."""

    def fit_label(view: UnitData, question: Task, until: Deadline) -> FittedUnit:
        return _fit_unit(view, config, question, deadline=until)

    fitted = fit_by_label(unit, task, fit_label, until=deadline)
    assert isinstance(fitted.model, ByLabel), "several labels are fitted one by one"
    columns = [_logit_of(model, unit.train.matrix().shape[1]) for model in fitted.model.models]
    joined = Linear(np.stack([weights for weights, _ in columns], axis=1), np.array([b for _, b in columns]), Form.LABELS)
    return replace(fitted, model=joined, predictions=joined.predict(unit.valid))


def _logit_of(model: FittedModel, width: int) -> tuple[Matrix, float]:
    """What a model of two classes adds up for the second: coefficients and intercept."""
    if isinstance(model, Linear):
        return model.coefficients[:, 1] - model.coefficients[:, 0], float(model.intercept[1] - model.intercept[0])
    assert isinstance(model, Constant), "a label that never changes is answered by a constant"
    return np.zeros(width), float(np.log(model.values[1] / model.values[0]))


def _fit_unit(unit: UnitData, config: Config, task: Task, *, deadline: Deadline) -> FittedUnit:
    started = time.monotonic()
    penalties = [config.strongest / 10.0**step for step in range(config.n_strengths)]
    fit_one = _fit_logistic if task.is_classification else _fit_ridge
    train, stop = unit.train.matrix().astype(np.float64), unit.stop.matrix().astype(np.float64)
    few = _enough_to_choose(unit.train_target, task)
    keeping = Keeping(unit.checkpoints)
    losses, models = _kept(keeping, n_features=train.shape[1], form=task.form, n_outputs=task.n_outputs)
    gains = _gains(losses)
    for penalty in penalties[len(losses) :] if gains else ():
        warm = models[-1] if models else None
        models.append(fit_one(train[few], unit.train_target[few], penalty, config=config, task=task, warm=warm))
        losses.append(task.form.loss(models[-1].predict(unit.stop), unit.stop_target))
        gains = _gains(losses)
        if deadline.passed or not gains:
            break
        if keeping.is_due:
            _keep(keeping, losses, models)
    cut_short = deadline.passed and gains and len(losses) < len(penalties)
    best = int(np.argmin(losses))
    model = models[best]
    if not deadline.passed:
        both, target = np.concatenate([train, stop]), np.concatenate([unit.train_target, unit.stop_target])
        model = fit_one(both, target, penalties[best], config=config, task=task, warm=model)
    return FittedUnit(
        model,
        model.predict(unit.valid),
        curve={"stop_loss": losses},
        best_epoch=best,
        seconds=time.monotonic() - started,
        cut_short=cut_short,
    )


def _enough_to_choose(target: Any, task: Task) -> Any:
    """Rows that penalties are tried on: all where some class would hardly be among fewer, and of values, which is fast."""
    if not task.is_classification or len(target) <= MOST_TO_CHOOSE:
        return slice(None)
    few = np.sort(np.random.default_rng(0).choice(len(target), MOST_TO_CHOOSE, replace=False))
    counts = np.bincount(target[few].astype(np.int64), minlength=int(target.max()) + 1)
    return few if counts[np.unique(target.astype(np.int64))].min() >= FEWEST_OF_A_CLASS else slice(None)


def _gains(losses: Sequence[float]) -> bool:
    """Whether a weaker penalty is worth trying."""
    return len(losses) < MIN_STRENGTHS or losses[-1] < losses[-2] * (1 - WORTH_WHILE)


def _keep(keeping: Keeping, losses: Sequence[float], models: Sequence[Linear]) -> None:
    coefficients, intercepts = (np.stack([getattr(model, name) for model in models]) for name in ("coefficients", "intercept"))
    keeping.save({"coefficients": coefficients, "intercepts": intercepts}, {"losses": losses})


def _kept(keeping: Keeping, *, n_features: int, form: Form, n_outputs: int) -> tuple[list[float], list[Linear]]:
    """The penalties that an earlier process has done; none where its checkpoint is of something else."""
    kept = keeping.load()
    if kept is None:
        return [], []
    try:
        arrays, facts = kept
        losses, shape = [float(loss) for loss in facts["losses"]], (n_features, n_outputs)
        coefficients, intercepts = (arrays[name].astype(np.float64) for name in ("coefficients", "intercepts"))
        if coefficients.shape != (len(losses), *shape) or intercepts.shape != (len(losses), n_outputs):
            return [], []
    except (KeyError, TypeError, ValueError):
        return [], []
    return losses, [Linear(*each, form) for each in zip(coefficients, intercepts, strict=True)]


def _fit_logistic(matrix: Matrix, target: Any, penalty: float, *, config: Config, task: Task, warm: Linear | None) -> Linear:
    from scipy.linalg import LinAlgWarning
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(target)
    coefficients, intercept = np.zeros((matrix.shape[1], task.n_outputs)), np.full(task.n_outputs, -30.0)
    if len(present) < 2:
        intercept[present] = 0.0
        return Linear(coefficients, intercept, Form.CLASSES)
    n_unknowns = matrix.shape[1] * _n_free_outputs(len(present))
    solver = "newton-cholesky" if n_unknowns <= MAX_NEWTON else "lbfgs"
    model = LogisticRegression(C=1.0 / penalty, max_iter=config.max_iterations, warm_start=warm is not None, solver=solver)
    if warm is not None:
        start_coefficients, start_intercept = warm.coefficients[:, present].T, warm.intercept[present]
        if len(present) == 2:  # scikit-learn keeps one row for two classes: the difference of the two logits
            start_coefficients = np.diff(start_coefficients, axis=0)
            start_intercept = np.diff(start_intercept)
        model.coef_, model.intercept_, model.classes_ = start_coefficients.copy(), start_intercept.copy(), present
    with warnings.catch_warnings():
        # Where it has not converged, or not by Newton's steps, a stronger penalty is as good.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        model.fit(matrix, target)
    if len(present) == 2:
        coefficients[:, present] = np.stack([np.zeros(matrix.shape[1]), model.coef_[0]], axis=1)
        intercept[present] = 0.0, model.intercept_[0]
    else:
        coefficients[:, present], intercept[present] = model.coef_.T, model.intercept_
    return Linear(coefficients, intercept, Form.CLASSES)


def _fit_ridge(matrix: Matrix, target: Any, penalty: float, *, config: Config, task: Task, warm: Linear | None) -> Linear:
    del config, task, warm
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty, solver="cholesky" if matrix.shape[1] < 3000 else "lsqr")
    model.fit(matrix, target)
    return Linear(np.asarray(model.coef_).reshape(-1, 1), np.atleast_1d(np.float64(model.intercept_)), Form.VALUES)


def cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Passes over the matrix, per penalty; measured on tables of 1,000 to 50,000 rows, one thread."""
    del recipe
    width = sum(shape.widths.values()) + 1
    n_models = task.n_outputs if task.form is Form.LABELS else 1
    n_unknowns = width * (1 if n_models > 1 else _n_free_outputs(task.n_outputs))
    cells = n_train * width
    passes = cells + config.n_strengths * min(n_train, MOST_TO_CHOOSE) * width
    if task.form is Form.VALUES:
        seconds = 2.5e-9 * cells * (width / 2 + 5 * config.n_strengths)
    elif n_unknowns <= MAX_NEWTON:
        seconds = 3e-10 * passes * (n_unknowns + 20)
    else:
        seconds = 8e-10 * passes * config.max_iterations * (1 + n_unknowns / width / 8)
    return Cost(seconds=0.02 + n_models * seconds, memory_bytes=24.0 * cells)


def _n_free_outputs(n_classes: int) -> int:
    return 1 if n_classes == 2 else n_classes
