"""Gradient-boosted decision trees by LightGBM: the classical bar that deep learning has to clear."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core import machine
from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.errors import PassingError
from cupel.core.family import Cost, FittedUnit, UnitData
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.keeping import Keeping
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.stored import StoredRows, StoredUnit
from cupel.core.task import Task, TaskKind
from cupel.core.trees import emit_trees, from_lightgbm
from cupel.learners.by_label import fit_by_label
from cupel.learners.segments import Boosting, rounds_of_a_segment

Array = NDArray[Any]
MOST_BINS = 255
"""Of a column: LightGBM's own default, with at least three rows in each."""
ROWS_TO_BIN, ROWS_TO_PUSH = 200_000, 1 << 16
SHARE_TO_HEAR = 0.5
"""Of the time that is left: one that goes on must first hear what its trees say of all rows."""
SECONDS_TO_PREDICT, SECONDS_TO_EXPORT = 1.8e-7, 5e-4
"""By a tree for a row; of a tree to ONNX. On letter, 26 trees a round, these are two thirds of what a round itself takes: without
time kept for them its folds were still at work six seconds after their time, and the candidate was lost."""
MOST_STOP_ROWS = 0.25
"""Of the training rows: so many stop rows at most are learned from in the end; with all training rows, as a rule, that is all."""
ROWS_WITH_STOP_ROWS = 8 / 7
"""Of the second training, in the fold's own division, to one of the first."""
TIMES_EXPECTED = 8.0
"""Of what the second training would take, round by round as the first, there must be left: where it would take more of the time,
other candidates gain as much (docs/decisions/0004)."""
OBJECTIVES = {TaskKind.BINARY: "binary", TaskKind.MULTICLASS: "multiclass", TaskKind.REGRESSION: "regression"}


@dataclass(frozen=True, kw_only=True)
class Config:
    """LightGBM's own parameters under their own names; `max_rounds` ends what `patience` did not."""

    learning_rate: Annotated[float, Range(0.01, 0.2, log=True)] = 0.05
    num_leaves: Annotated[int, Range(7, 255, log=True)] = 31
    min_data_in_leaf: Annotated[int, Range(2, 100, log=True)] = 20
    feature_fraction: Annotated[float, Range(0.4, 1.0)] = 0.9
    bagging_fraction: Annotated[float, Range(0.5, 1.0)] = 0.9
    lambda_l1: Annotated[float, Range(1e-4, 10.0, log=True)] = 1e-4
    lambda_l2: Annotated[float, Range(1e-4, 30.0, log=True)] = 1.0
    min_gain_to_split: Annotated[float, Range(1e-6, 0.5, log=True)] = 1e-6
    max_depth: Annotated[int, Choice(-1, 4, 6, 8)] = -1
    min_sum_hessian_in_leaf: Annotated[float, Range(1e-3, 10.0, log=True)] = 1e-3
    extra_trees: Annotated[bool, Choice(False, True)] = False
    max_rounds: Annotated[int, Range(50, 3000, log=True)] = 1500
    patience: Annotated[int, Range(10, 100)] = 40


@dataclass(frozen=True, eq=False)
class Boosted:
    """Trees whose sums are logits, or standardised values that `centre` and `spread` restore."""

    booster: Any
    n_rounds: int
    kind: TaskKind
    centre: float = 0.0
    spread: float = 1.0

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, or values."""
        raw = np.asarray(self.booster.predict(inputs.matrix(), raw_score=True, num_iteration=self.n_rounds, num_threads=1))
        if self.kind is TaskKind.REGRESSION:
            return raw.reshape(-1, 1) * self.spread + self.centre
        if self.kind is TaskKind.BINARY:
            positive = 1.0 / (1.0 + np.exp(-raw))
            return np.stack([1.0 - positive, positive], axis=1)
        exponentials = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Trees, then the link in double."""
        matrix = graph.concat([graph.cast(block, np.float32) for block in blocks.values()])
        n_targets = self.booster.num_model_per_iteration()
        raw = emit_trees(graph, matrix, from_lightgbm(self.booster, n_rounds=self.n_rounds), n_targets=n_targets)
        if self.kind is TaskKind.REGRESSION:
            scaled = graph.op("Mul", raw, graph.constant(self.spread, np.float64))
            return graph.op("Add", scaled, graph.constant(self.centre, np.float64))
        if self.kind is TaskKind.BINARY:
            positive = graph.op("Sigmoid", raw)
            return graph.concat([graph.op("Sub", graph.constant(1.0, np.float64), positive), positive])
        return graph.op("Softmax", raw, axis=1)


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One booster per fold, as many at a time as there are threads, each on one.

    Threads within a booster meet after every leaf: where another program holds a core, 150 rounds took 63 s on two threads and
    0.6 s on one. Threads that each grow their own never wait. Of several labels each has a booster of its own.
    """

    def fit_one(unit: UnitData, question: Task, until: Deadline) -> FittedUnit:
        return _fit_unit(unit, config, question, until=until, n_units=len(units))

    def fit_unit(unit: UnitData, until: Deadline) -> FittedUnit:
        is_several = task.form is Form.LABELS
        return fit_by_label(unit, task, fit_one, until=until) if is_several else fit_one(unit, task, until)

    return fit_each(units, fit_unit, threads=threads, deadline=deadline)


def _fit_unit(unit: UnitData, config: Config, task: Task, *, until: Deadline, n_units: int = 1) -> FittedUnit:
    """The stop rows say how many rounds are best; then trees are grown anew that have learned from them too, if there is time."""
    started = time.monotonic()
    width, n_train = _width(unit), unit.train.n_samples
    boosting = _begun(unit, config, task, width=width)
    n_before = boosting.n_rounds
    after = _seconds_after_a_round(unit.valid.n_samples + unit.stop.n_samples, task, n_units=n_units)
    cut = _Cut(until, after)
    pace = _Pace(until, after, rate=config.learning_rate, n_rounds=_rounds(config, task), boosting=boosting)
    booster = _grown(unit, config, boosting, cut=cut, callbacks=[pace, cut])
    if not boosting.losses:
        raise PassingError(f"fold {unit.fold + 1}: time was up before the first round; give the run more time.")
    seconds, n_done = time.monotonic() - started, boosting.n_rounds - n_before
    n_rounds = int(np.argmin(boosting.losses)) + 1
    first = Boosted(booster, n_rounds, task.kind, *_centred(unit.train_target, task))
    stop_predictions, second, cut_short = first.predict(unit.stop), None, cut.happened or boosting.rate is not None
    if not cut_short:
        a_round = seconds / n_done if n_done else _seconds_per_round(n_train, width, config, task)
        second, cut_short = _grown_of_both(unit, config, task, n_rounds=n_rounds, until=until, a_round=a_round, after=after)
    model = second or first
    return FittedUnit(
        model,
        model.predict(unit.valid),
        curve={"stop_loss": boosting.losses},
        best_epoch=n_rounds - 1,
        seconds=time.monotonic() - started,
        cut_short=cut_short,
        stop_predictions=stop_predictions,
    )


def _grown_of_both(
    unit: UnitData, config: Config, task: Task, *, n_rounds: int, until: Deadline, a_round: float, after: float
) -> tuple[Boosted | None, bool]:
    """Trees of training and stop rows, more rounds by as much as there are more rows; None where time is short for them.

    Says too whether time was up, so that the unit is cut short: where it is only too short to begin, the first trees are whole.
    `a_round` and `after` are the seconds of a round, and of what must follow it.
    """
    n_train = unit.train.n_samples
    n_more = min(round(n_rounds * (n_train + _n_joining(unit)) / n_train), config.max_rounds)
    own_until = until.minus(after * n_more)
    if own_until.remaining < TIMES_EXPECTED * a_round * n_more:
        return None, until.passed
    both, own = _with_stop_rows(unit), replace(config, max_rounds=n_more)
    boosting = _begun(both, own, task, width=_width(both), name="both")
    cut = _Cut(own_until, 0.0)
    booster = _grown(both, own, boosting, cut=cut, callbacks=[cut])
    if boosting.n_rounds < n_more:
        return None, True
    return Boosted(booster, n_more, task.kind, *_centred(both.train_target, task)), False


def _with_stop_rows(unit: UnitData) -> UnitData:
    """The unit with as many of its stop rows as join among the training rows, and none to stop by."""
    n_stop, n_joining = unit.stop.n_samples, _n_joining(unit)
    chosen = np.arange(n_stop)
    if n_stop > n_joining:
        chosen = np.sort(np.random.default_rng(unit.seed).permutation(n_stop)[:n_joining])
    stop, none = unit.stop.at(chosen), np.arange(0)
    return replace(
        unit,
        train=unit.train.followed_by(stop),
        train_target=np.concatenate([unit.train_target, unit.stop_target[chosen]]),
        stop=unit.stop.at(none),
        stop_target=unit.stop_target[none],
    )


def _n_joining(unit: UnitData) -> int:
    """How many stop rows are learned from: where a unit has a share of its training rows only, all would outnumber these."""
    return min(unit.stop.n_samples, int(MOST_STOP_ROWS * unit.train.n_samples))


def _width(unit: UnitData) -> int:
    return sum(unit.train.widths.values())


def _begun(unit: UnitData | StoredUnit, config: Config, task: Task, *, width: int, name: str = "state") -> Boosting:
    """The training of a unit, with what an earlier process has done of it, kept under that name."""
    return Boosting(
        Keeping(unit.checkpoints, name),
        task=task,
        width=width,
        seed=unit.seed,
        n_rounds_of_a_segment=rounds_of_a_segment(_seconds_per_round(unit.train.n_samples, width, config, task)),
        patience=config.patience,
    )


def _grown(unit: UnitData, config: Config, boosting: Boosting, *, cut: _Cut, callbacks: list[Any]) -> Any:
    """A booster with all its rounds, which is kept, if it is worth it, until what is trained beside and after it is done."""
    booster = boosting.booster
    if not boosting.is_over and boosting.n_rounds < config.max_rounds:
        booster = _boosted(unit, config, boosting, callbacks=callbacks)
    if boosting.losses and boosting.keeping.is_worth_its_end and not (boosting.is_over or cut.happened):
        boosting.save(booster, is_over=True)
    return booster


def _boosted(unit: UnitData, config: Config, boosting: Boosting, *, callbacks: list[Any]) -> Any:
    """Rounds that were done are not done again. LightGBM's copies of the rows are gone when this returns."""
    import lightgbm

    centre, spread = _centred(unit.train_target, boosting.task)
    train = lightgbm.Dataset(unit.train.matrix(), (unit.train_target - centre) / spread, free_raw_data=True)
    judging = []
    if unit.stop.n_samples:
        judging.append(train.create_valid(unit.stop.matrix(), (unit.stop_target - centre) / spread))
    parameters = _parameters(config, boosting.task, seed=unit.seed)
    changed = boosting.seeds(boosting.n_rounds, parameters)
    if boosting.rate is not None:
        changed["learning_rate"] = boosting.rate
    return lightgbm.train(
        parameters | changed,
        train,
        num_boost_round=config.max_rounds - boosting.n_rounds,
        valid_sets=judging,
        valid_names=["stop"],
        init_model=boosting.booster,
        callbacks=[*boosting.callbacks(parameters), *callbacks],
    )


def fit_stored(
    unit: StoredUnit,
    *,
    config: Config,
    recipe: Recipe | None,
    task: Task,
    threads: int | None = None,
    deadline: Deadline | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> FittedUnit:
    """One booster on rows that are read in pieces: what is kept of them is the bin of each cell, a byte.

    Bins are those of 200,000 rows from all over the table, as many as LightGBM itself looks at.
    """
    import lightgbm

    del recipe
    until = deadline or Deadline()
    centre, spread = _centred(unit.train_target, task)
    parameters = _parameters(config, task, seed=unit.seed)
    del parameters["force_row_wise"]  # which keeps every bin twice
    parameters |= {"force_col_wise": True, "num_threads": threads or machine.usable_cores(), "max_bin": MOST_BINS}
    looked_at = unit.train.spread(ROWS_TO_BIN).matrix()
    boosting = _begun(unit, config, task, width=looked_at.shape[1])
    like = lightgbm.Dataset(looked_at, np.zeros(len(looked_at)), params=parameters).construct()
    target = ((unit.train_target - centre) / spread).astype(np.float32)
    train = _in_pieces(unit.train, target, progress, reference=like, parameters=parameters)
    del like, looked_at
    stop = train.create_valid(unit.stop.matrix(), (unit.stop_target - centre) / spread)
    to_hear = boosting.n_rounds * SECONDS_TO_PREDICT * _n_models(task) * unit.train.n_samples
    is_late = bool(boosting.n_rounds) and not boosting.is_over and to_hear > SHARE_TO_HEAR * until.remaining
    boosting.is_over |= is_late  # there is no time to hear what the trees so far say, and to grow others
    model, fitted = _boosted_stored(train, stop, config, boosting, parameters=parameters, until=until)
    return replace(fitted, model=replace(model, centre=centre, spread=spread), cut_short=fitted.cut_short or is_late)


def _in_pieces(
    stored: StoredRows, target: Array, progress: Callable[[float], None], *, reference: Any, parameters: Mapping[str, Any]
) -> Any:
    """Stored rows as a dataset of LightGBM's, which reads them a piece at a time, also to hear what trees so far say of them."""
    import lightgbm

    pieces = _pieces(stored, progress)

    class InPieces(lightgbm.Dataset):  # type: ignore[misc]
        def _set_init_score_by_predictor(self, predictor: Any, data: Any, used_indices: Any) -> Any:
            del data, used_indices
            said: Array | None = None
            for start in range(0, stored.n_samples, ROWS_TO_PUSH):
                part = predictor.predict(pieces[start : start + ROWS_TO_PUSH], raw_score=True)
                if said is None:
                    said = np.empty((stored.n_samples, *part.shape[1:]), order="F")
                said[start : start + len(part)] = part
            return self.set_init_score(said)

    return InPieces(pieces, target, reference=reference, params=dict(parameters), free_raw_data=False).construct()


def _pieces(stored: StoredRows, progress: Callable[[float], None]) -> Any:
    """Stored rows as LightGBM asks for them: one, or a slice."""
    import lightgbm

    class Rows(lightgbm.Sequence):  # type: ignore[misc]
        batch_size = ROWS_TO_PUSH

        def __len__(self) -> int:
            return stored.n_samples

        def __getitem__(self, wanted: Any) -> NDArray[np.float32]:
            if isinstance(wanted, slice):
                start, end, _ = wanted.indices(stored.n_samples)
                progress(0.5 * end / stored.n_samples)
                return stored.between(start, end).matrix()
            row: NDArray[np.float32] = stored.between(int(wanted), int(wanted) + 1).matrix()[0]
            return row

    return Rows()


def _centred(target: Array, task: Task) -> tuple[float, float]:
    """What values are moved by and divided by: nothing where there are classes."""
    if task.kind is not TaskKind.REGRESSION:
        return 0.0, 1.0
    return float(np.mean(target)), float(np.std(target)) or 1.0


def _boosted_stored(
    train: Any, stop: Any, config: Config, boosting: Boosting, *, parameters: dict[str, Any], until: Deadline
) -> tuple[Boosted, FittedUnit]:
    """Rounds until the loss on the stop rows has not fallen for long, or time is up; nothing is predicted yet."""
    import lightgbm

    started, task = time.monotonic(), boosting.task
    cut, booster = _Cut(until, 0.0), boosting.booster
    pace = _Pace(until, 0.0, rate=config.learning_rate, n_rounds=_rounds(config, task), boosting=boosting)
    changed = boosting.seeds(boosting.n_rounds, parameters)
    if boosting.rate is not None:
        changed["learning_rate"] = boosting.rate
    if not boosting.is_over and boosting.n_rounds < config.max_rounds:
        booster = lightgbm.train(
            parameters | changed,
            train,
            num_boost_round=config.max_rounds - boosting.n_rounds,
            valid_sets=[stop],
            valid_names=["stop"],
            init_model=boosting.booster,
            callbacks=[*boosting.callbacks(parameters), pace, cut],
        )
    if not boosting.losses:
        raise PassingError("all rows: time was up before the first round; give the run more time.")
    if boosting.keeping.is_worth_its_end and not (boosting.is_over or cut.happened):
        boosting.save(booster, is_over=True)
    n_rounds = int(np.argmin(boosting.losses)) + 1
    model = Boosted(booster, n_rounds, task.kind)
    return model, FittedUnit(
        model,
        np.empty((0, task.n_outputs)),
        curve={"stop_loss": boosting.losses},
        best_epoch=n_rounds - 1,
        seconds=time.monotonic() - started,
        cut_short=cut.happened or boosting.rate is not None,
    )


def _seconds_after_a_round(n_valid: int, task: Task, *, n_units: int) -> float:
    """What its trees take once training is over: to predict by them, and to write those of all units, one after the other."""
    return _n_models(task) * (SECONDS_TO_PREDICT * n_valid + SECONDS_TO_EXPORT * n_units)


class _Cut:
    """A LightGBM callback that ends training when there is just time left for what `after` seconds a round must follow."""

    order = 100

    def __init__(self, until: Deadline, after: float) -> None:
        self._until, self._after = until, after
        self.happened = False

    def __call__(self, environment: Any) -> None:
        if self._until.remaining <= self._after * (environment.iteration + 1):
            from lightgbm.callback import EarlyStopException

            self.happened = True
            raise EarlyStopException(environment.iteration, environment.evaluation_result_list)


class _Pace:
    """A LightGBM callback that takes larger steps where time would be up long before the rounds are done."""

    order = 90

    def __init__(self, until: Deadline, after: float, *, rate: float, n_rounds: float, boosting: Boosting) -> None:
        self._until, self._after, self._rate, self._n_rounds, self._boosting = until, after, rate, n_rounds, boosting
        self._begun = 0.0

    def __call__(self, environment: Any) -> None:
        n_done = environment.iteration - environment.begin_iteration
        if n_done == 0:
            self._begun = self._until.elapsed
        if n_done != ROUNDS_TO_TIME or self._boosting.rate is not None:
            return
        a_round = max(self._until.elapsed - self._begun, 1e-6) / ROUNDS_TO_TIME + self._after
        affordable = (self._until.remaining - self._after * environment.iteration) / a_round
        n_left = self._n_rounds - environment.begin_iteration
        if affordable < n_left:
            rate = self._rate * n_left / max(affordable, 1.0)
            self._boosting.rate = min(rate, max(FASTEST_RATE, self._rate))
            environment.model.reset_parameter({"learning_rate": self._boosting.rate})


def _parameters(config: Config, task: Task, *, seed: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        name: getattr(config, name)
        for name in (
            "learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "bagging_fraction",
            "lambda_l1", "lambda_l2", "min_gain_to_split", "max_depth", "min_sum_hessian_in_leaf", "extra_trees",
        )
    }  # fmt: skip
    parameters |= {
        "objective": OBJECTIVES[task.kind],
        "metric": {"binary": "binary_logloss", "multiclass": "multi_logloss", "regression": "l2"}[OBJECTIVES[task.kind]],
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    return parameters | ({"num_class": task.n_outputs} if task.kind is TaskKind.MULTICLASS else {})


def cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Histogram building per round, and a fixed cost per leaf; LightGBM keeps a histogram of every column for every leaf.

    In memory the second training counts, which has more rows; when it begins the first has let go of its own. In seconds it does
    not: where time is short there is none, and a candidate that has room for one alone must not be taken for one that has not.
    """
    del recipe
    width = sum(shape.widths.values())
    histograms = 16.0 * min(MOST_BINS, n_train / 3) * width * config.num_leaves
    seconds = 0.05 + _rounds(config, task) * _seconds_per_round(n_train, width, config, task)
    return Cost(seconds=seconds, memory_bytes=10.0 * ROWS_WITH_STOP_ROWS * n_train * width + histograms + 1e7)


def _seconds_per_round(n_train: int, width: int, config: Config, task: Task) -> float:
    return _n_models(task) * (1.2e-8 * n_train * width + 1.5e-5 * config.num_leaves * (1 + width / 50))


def _n_models(task: Task) -> int:
    """Trees in a round."""
    return task.n_outputs if task.n_outputs > 2 or task.form is Form.LABELS else 1


def _rounds(config: Config, task: Task) -> float:
    """What early stopping leaves, roughly: the smaller the steps, the more."""
    return min(config.max_rounds, (15.0 if task.form.has_probabilities else 40.0) / config.learning_rate)


ROUNDS_TO_TIME = 5
FASTEST_RATE = 0.25
MANY_CLASSES = 8
MAX_ROUNDS_MANY_CLASSES = 120
"""Each round grows a tree per class: on letter 300 rounds at a rate of 0.1 took 13 s a fold, 100 at 0.15 took 5 s, for a log
loss of .126 and .136; 1,500 take minutes and 40 MB a fold."""


def paced(config: Config, task: Task) -> Config:
    """Fewer and larger steps where there are many classes."""
    if task.n_outputs <= MANY_CLASSES:
        return config
    return replace(config, learning_rate=min(3 * config.learning_rate, 0.2), max_rounds=MAX_ROUNDS_MANY_CLASSES)
