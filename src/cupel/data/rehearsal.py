"""What a small model would say of rows that it has not seen: the effect of a change to the data is measured by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.form import Form
from cupel.core.labels import filled, shares_of
from cupel.core.masks import FEW_POINTS, VOID, at_few_points
from cupel.data.dealing import compact

Array = NDArray[Any]
Integers = NDArray[np.int64]

N_ROWS, N_MASKS = 3_000, 240
N_FOLDS = 3
N_TREES, N_TREES_OF_MASKS = 40, 20
N_DIRECTIONS = 32
FEWEST_MASKS, LEAST_POINTS = 20, 2
N_POINTS = FEW_POINTS[0] * FEW_POINTS[1]
Describe = Callable[[Array], Array]
"""What `Inspection.describe` is."""


def why_not_rehearsed(dataset: Dataset, *, min_rows: int, describe: Describe | None = None) -> str:
    """Why a forest cannot be tried on the rows, as the end of a sentence; "" where it can."""
    if dataset.task is None:
        return "nothing is predicted"
    is_masked = dataset.task.form is Form.MASKS
    fewest = FEWEST_MASKS if is_masked else min_rows
    if dataset.n_samples < fewest:
        return f"there are {dataset.n_samples:,} rows, and {fewest} are needed"
    if describe is None and (is_masked or not dataset.schema.plain_features):
        return "a small forest can read none of the columns"
    return ""


def rows_rehearsed(dataset: Dataset) -> int:
    """How many rows at most a forest is tried on: few masks, since each has many points."""
    return N_MASKS if dataset.task is not None and dataset.task.form is Form.MASKS else N_ROWS


def remembered(describe: Describe) -> Describe:
    """The same, asked for each row once."""
    known: dict[int, Array] = {}

    def found(rows: Array) -> Array:
        new = np.array([row for row in rows.tolist() if row not in known], np.int64)
        if len(new):
            known.update(zip(new.tolist(), describe(new), strict=True))
        return np.stack([known[row] for row in rows.tolist()])

    return found


class Rehearsal:
    """A seeded sample of rows on which the same forest is tried with one thing changed.

    `rows` are sorted positions in the dataset. Rows that share a number in `units` are sampled together. Missing cells are a
    value below all others. What no table holds is read as `describe` tells of it. Of masks the `target` is that of few points,
    shape (rows, points), and the forest learns them point by point, from nothing but what is described.

    Source: extremely randomised trees, Geurts, Ernst and Wehenkel 2006, doi:10.1007/s10994-006-6226-1.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        rows: Integers | None = None,
        units: Integers | None = None,
        describe: Describe | None = None,
        n_rows: int | None = None,
        n_trees: int | None = None,
        seed: int = 0,
    ) -> None:
        assert dataset.target is not None, "a rehearsal needs a target"
        assert dataset.task is not None, "a rehearsal needs a task"
        self.dataset, self._task, self._describe = dataset, dataset.task, describe
        self._seed, self._is_masked = seed, dataset.task.form is Form.MASKS
        self._n_trees = n_trees or (N_TREES_OF_MASKS if self._is_masked else N_TREES)
        most = rows_rehearsed(dataset) if n_rows is None else n_rows
        self.rows = _sample(dataset.n_samples, units, n_rows=most, seed=seed) if rows is None else rows
        target = dataset.target[self.rows]
        self.target = at_few_points(target) if self._is_masked else target
        plain = () if self._is_masked else dataset.schema.plain_features
        self.names = tuple(column.name for column in plain)

    @property
    def is_described(self) -> bool:
        """Whether there is something to learn from beside columns."""
        return self._describe is not None

    def parts(self, units: Integers | None = None) -> Integers:
        """A fold number for each sampled row; rows that share a number in `units`, given for all of the dataset, stay
        together."""
        labels = np.arange(len(self.rows)) if units is None else compact(units[self.rows])
        generator = np.random.default_rng(self._seed)
        sizes = np.bincount(labels)
        order = generator.permutation(len(sizes))
        middle = np.cumsum(sizes[order]) - sizes[order] / 2  # whole units in random order, cut into parts of like size
        part_of = np.empty(len(sizes), np.int64)
        part_of[order] = np.minimum((N_FOLDS * middle / len(self.rows)).astype(np.int64), N_FOLDS - 1)
        return np.asarray(part_of[labels])

    def stretches(self, ranks: Array) -> Integers:
        """Parts as `parts` gives them, but stretches along an order; `ranks` are given for all rows of the dataset."""
        place = np.empty(len(self.rows), np.int64)
        place[np.argsort(ranks[self.rows], kind="stable")] = np.arange(len(self.rows))
        return N_FOLDS * place // len(self.rows)

    def predictions(
        self,
        parts: Integers,
        *,
        names: Sequence[str] | None = None,
        told: Array | None = None,
        spared: NDArray[np.bool_] | None = None,
    ) -> Array:
        """Out-of-fold predictions of the sampled rows, shape (rows, outputs): probabilities of all classes or labels, or values.

        `names` are the columns to learn from, all by default, `told` one more number for each row of the sample. Rows that are
        `spared`, given for the sample, train nothing. Of masks there are class * point probabilities.
        """
        matrix = self._matrix(self.names if names is None else names, told)
        n_outputs = len(self._task.classes) * N_POINTS if self._is_masked else self._task.n_outputs
        predicted = np.zeros((len(self.rows), n_outputs))
        learn = self._pointwise if self._is_masked else self._answers
        for part in range(N_FOLDS):
            asked = parts == part
            known = ~asked if spared is None else ~asked & ~spared
            if asked.any() and known.any():
                predicted[asked] = learn(matrix, known=known, asked=asked)
        return predicted

    def _matrix(self, names: Sequence[str], told: Array | None) -> NDArray[np.float32]:
        """What is learned from, shape (rows, numbers), of masks (rows, points, numbers)."""
        # Trees compare float32: missing cells lie below, and what is larger than float32 holds at its end.
        columns = [self._states(name) for name in names] + ([] if told is None else [told])
        columns = [np.clip(column, -1e38, 1e38) for column in columns]
        n_rows = len(self.rows)
        plain = np.column_stack(columns).astype(np.float32) if columns else np.zeros((n_rows, 0), np.float32)
        if self._describe is None:
            return plain if columns else np.zeros((n_rows, 1), np.float32)
        described = self._describe(self.rows)
        if self._is_masked:
            plain = np.repeat(plain[:, None], described.shape[1], axis=1)
        else:
            described = _summarised(described)
        return np.concatenate([plain, described], axis=-1, dtype=np.float32)

    def _states(self, name: str) -> Array:
        values = self.dataset.columns[name][self.rows]
        return np.where(np.isnan(values), -1e38, values) if self.dataset.schema[name].kind.is_numeric else values

    def _pointwise(self, matrix: Array, *, known: NDArray[np.bool_], asked: NDArray[np.bool_]) -> Array:
        from sklearn.ensemble import ExtraTreesClassifier

        numbers, labels = matrix[known].reshape(-1, matrix.shape[2]), self.target[known].reshape(-1)
        is_told = labels != VOID
        voted = np.zeros((int(asked.sum()) * N_POINTS, len(self._task.classes)))
        if is_told.any():
            model = ExtraTreesClassifier(n_estimators=self._n_trees, min_samples_leaf=LEAST_POINTS, random_state=self._seed)
            model.fit(numbers[is_told], labels[is_told])
            voted[:, model.classes_] = model.predict_proba(matrix[asked].reshape(-1, matrix.shape[2]))
        by_class = voted.reshape(int(asked.sum()), N_POINTS, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(by_class).reshape(len(by_class), -1)

    def _answers(self, matrix: Array, *, known: NDArray[np.bool_], asked: NDArray[np.bool_]) -> Array:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        settings = {"n_estimators": self._n_trees, "random_state": self._seed}
        if self._task.form is Form.LABELS:
            model = ExtraTreesRegressor(max_features="sqrt", **settings).fit(matrix[known], filled(self.target[known]))
            held = np.asarray(model.predict(matrix[asked])).reshape(int(asked.sum()), -1)
            return np.asarray((self._n_trees * held + shares_of(self.target[known])) / (self._n_trees + 1))
        if not self._task.is_classification:
            tried = 0.4 if self._describe is None else "sqrt"
            model = ExtraTreesRegressor(max_features=tried, min_samples_leaf=2, **settings).fit(matrix[known], self.target[known])
            return np.asarray(model.predict(matrix[asked]))[:, None]
        counts = np.bincount(self.target[known], minlength=self._task.n_outputs)
        shares = (counts + 1) / (counts + 1).sum()
        model = ExtraTreesClassifier(max_features="sqrt", **settings).fit(matrix[known], self.target[known])
        voted = np.zeros((int(asked.sum()), len(counts)))
        voted[:, model.classes_] = model.predict_proba(matrix[asked])
        return np.asarray((self._n_trees * voted + shares) / (self._n_trees + 1))  # no class is ever ruled out


def _summarised(described: Array) -> Array:
    """The 32 directions in which descriptions differ most: among hundreds of numbers trees would hardly ask a single column."""
    if described.shape[1] <= N_DIRECTIONS:
        return described
    centred = described.astype(np.float64) - described.mean(axis=0, dtype=np.float64)
    return np.asarray(centred @ np.linalg.eigh(centred.T @ centred)[1][:, -N_DIRECTIONS:])


def _sample(n_samples: int, units: Integers | None, *, n_rows: int, seed: int) -> Integers:
    """At most about `n_rows` rows: whole units, those of several rows first."""
    if n_samples <= n_rows:
        return np.arange(n_samples)
    generator = np.random.default_rng(seed)
    if units is None:
        return np.sort(generator.choice(n_samples, n_rows, replace=False))
    labels = compact(units)
    sizes = np.bincount(labels)
    order = generator.permutation(len(sizes))
    order = order[np.argsort(sizes[order] == 1, kind="stable")]
    filled = np.cumsum(sizes[order])
    limit = n_rows // 2 if (sizes == 1).any() else n_rows
    several = order[(filled <= limit) & (sizes[order] > 1)]
    chosen = np.isin(labels, several if len(several) else order[:1])
    others = np.flatnonzero(~chosen & (sizes[labels] == 1))
    wanted = max(0, min(n_rows - int(chosen.sum()), len(others)))
    return np.sort(np.concatenate([np.flatnonzero(chosen), generator.choice(others, wanted, replace=False)]))
