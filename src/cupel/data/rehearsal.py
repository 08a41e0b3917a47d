"""What a small model would say of rows that it has not seen: the effect of a change to the data is measured by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.form import Form
from cupel.core.labels import filled, shares_of
from cupel.data.dealing import compact

Array = NDArray[Any]
Integers = NDArray[np.int64]

N_ROWS = 3_000
N_FOLDS = 3
N_TREES = 40


def can_rehearse(dataset: Dataset, *, min_rows: int) -> bool:
    """Whether there are rows enough, columns that a forest reads, and a target that is no mask."""
    is_plain = dataset.task is not None and dataset.task.form is not Form.MASKS
    return is_plain and dataset.n_samples >= min_rows and bool(dataset.schema.plain_features)


class Rehearsal:
    """A seeded sample of rows on which the same forest is tried with one thing changed.

    `rows` are sorted positions in the dataset. Rows that share a number in `units` are sampled together. Missing cells are a
    value below all others.

    Source: extremely randomised trees, Geurts, Ernst and Wehenkel 2006, doi:10.1007/s10994-006-6226-1.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        rows: Integers | None = None,
        units: Integers | None = None,
        n_rows: int = N_ROWS,
        n_trees: int = N_TREES,
        seed: int = 0,
    ) -> None:
        assert dataset.target is not None, "a rehearsal needs a target"
        self.dataset, self._n_trees, self._seed = dataset, n_trees, seed
        self.rows = _sample(dataset.n_samples, units, n_rows=n_rows, seed=seed) if rows is None else rows
        self.target = dataset.target[self.rows]
        self.names = tuple(column.name for column in dataset.schema.plain_features)

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
        self, parts: Integers, *, names: Sequence[str] | None = None, spared: NDArray[np.bool_] | None = None
    ) -> Array:
        """Out-of-fold predictions of the sampled rows, shape (rows, outputs): probabilities of all classes or labels, or values.

        `names` are the columns to learn from, all by default. Rows that are `spared`, given for the sample, train nothing.
        """
        task = self.dataset.task
        assert task is not None, "a rehearsal needs a task"
        matrix = self._matrix(self.names if names is None else names)
        predicted = np.zeros((len(self.rows), task.n_outputs))
        for part in range(N_FOLDS):
            asked = parts == part
            known = ~asked if spared is None else ~asked & ~spared
            if asked.any() and known.any():
                predicted[asked] = self._answers(matrix, known=known, asked=asked)
        return predicted

    def _matrix(self, names: Sequence[str]) -> NDArray[np.float32]:
        # Trees compare float32: missing cells lie below, and what is larger than float32 holds at its end.
        matrix = np.zeros((len(self.rows), max(1, len(names))), np.float32)
        for position, name in enumerate(names):
            values = self.dataset.columns[name][self.rows]
            is_numeric = self.dataset.schema[name].kind.is_numeric
            states = np.where(np.isnan(values), -1e38, values) if is_numeric else values
            matrix[:, position] = np.clip(states, -1e38, 1e38)
        return matrix

    def _answers(self, matrix: NDArray[np.float32], *, known: NDArray[np.bool_], asked: NDArray[np.bool_]) -> Array:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        assert self.dataset.task is not None, "a rehearsal needs a task"
        settings = {"n_estimators": self._n_trees, "random_state": self._seed}
        if self.dataset.task.form is Form.LABELS:
            model = ExtraTreesRegressor(max_features="sqrt", **settings).fit(matrix[known], filled(self.target[known]))
            held = np.asarray(model.predict(matrix[asked])).reshape(int(asked.sum()), -1)
            return np.asarray((self._n_trees * held + shares_of(self.target[known])) / (self._n_trees + 1))
        if not self.dataset.task.is_classification:
            model = ExtraTreesRegressor(max_features=0.4, min_samples_leaf=2, **settings).fit(matrix[known], self.target[known])
            return np.asarray(model.predict(matrix[asked]))[:, None]
        counts = np.bincount(self.target[known], minlength=self.dataset.task.n_outputs)
        shares = (counts + 1) / (counts + 1).sum()
        model = ExtraTreesClassifier(max_features="sqrt", **settings).fit(matrix[known], self.target[known])
        voted = np.zeros((int(asked.sum()), len(counts)))
        voted[:, model.classes_] = model.predict_proba(matrix[asked])
        return np.asarray((self._n_trees * voted + shares) / (self._n_trees + 1))  # no class is ever ruled out


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
