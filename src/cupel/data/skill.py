"""How well a target can be predicted, by one column alone or by many together, on rows not learned from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.data.association import average_ranks
from cupel.data.dealing import compact
from cupel.data.duplicates import find_duplicates

Array = NDArray[Any]

N_FOLDS = 3
N_ROWS = 20_000
N_ROWS_TOGETHER = 4_000
MAX_CLASSES = 50
N_NEIGHBOURS = 4
N_TREES = 30
GOOD = 0.8


class Bench:
    """Rows on which columns are tried: a seeded sample, one row of each set of twins, groups whole within a fold.

    Skill is from 0 (no better than the best constant) to 1 (no error). Classes: the share of the constant's
    mistakes that is avoided. Numbers: the share of variance explained of the target's ranks, which no outlier rules.
    """

    def __init__(self, dataset: Dataset, *, seed: int = 0) -> None:
        assert dataset.task is not None, "skill needs a target"
        assert dataset.target is not None, "skill needs a target"
        generator = np.random.default_rng(seed)
        rows = np.unique(find_duplicates(dataset).twins, return_index=True)[1]
        self.rows = np.sort(generator.permutation(rows)[:N_ROWS])
        self.is_classification = dataset.task.is_classification
        self._dataset = dataset
        group = dataset.schema.group
        units = np.arange(len(self.rows)) if group is None else _codes(dataset.columns[group][self.rows])
        self.folds = generator.permutation(np.arange(int(units.max()) + 1) % N_FOLDS)[units]
        self.target = dataset.target[self.rows]
        if self.is_classification:
            self.target = _merged(self.target)
            self.answers = np.eye(int(self.target.max()) + 1)[self.target]
        else:
            self.answers = average_ranks(self.target)[:, None] / max(1, len(self.rows) - 1)

    def states(self, name: str) -> NDArray[np.float64]:
        """A feature's cells as numbers; a missing one is minus infinity, so that its absence is a value too."""
        values = self._dataset.columns[name][self.rows]
        if self._dataset.schema[name].kind.is_numeric:
            return np.where(np.isnan(values), -np.inf, values).astype(np.float64)
        return np.where(values < 0, -np.inf, values).astype(np.float64)

    def alone(self, name: str) -> float:
        """Skill of one column (`skill_of`)."""
        return self.skill_of(self.states(name), is_ordered=self._dataset.schema[name].kind.is_numeric)

    def skill_of(self, states: Array, *, is_ordered: bool) -> float:
        """Skill of a state for each of `rows`, the better of two small models.

        The first answers with the mean of the rows of the same state and, where states are ordered, of the two nearest on
        either side. Where it does well, a tree of few leaves is tried too: it errs less beside a clean border.
        """
        reach = N_NEIGHBOURS // 2 if is_ordered else 0
        predicted = np.empty_like(self.answers)
        for fold in range(N_FOLDS):
            asked, known = self.folds == fold, self.folds != fold
            if not asked.any() or not known.any():
                return 0.0
            order = np.flatnonzero(known)[np.argsort(states[known], kind="stable")]
            predicted[asked] = _neighbours(states[order], self.answers[order], states[asked], reach=reach)
        everywhere = np.ones(len(self.rows), bool)
        skill = self._skill(predicted, everywhere)
        if not self.is_classification or not reach or not GOOD <= skill < 1:
            return skill
        from sklearn.tree import DecisionTreeClassifier

        column = np.clip(states, -1e38, 1e38)[:, None]
        for fold in range(N_FOLDS):
            known = self.folds != fold
            tree = DecisionTreeClassifier(max_leaf_nodes=2 * self.answers.shape[1], random_state=0)
            tree.fit(column[known], self.target[known])
            predicted[~known] = np.eye(self.answers.shape[1])[tree.predict(column[~known])]
        return max(skill, self._skill(predicted, everywhere))

    def together(self, names: list[str]) -> tuple[float, NDArray[np.bool_], Array]:
        """Skill of many columns in a small forest, the rows that were asked, and its answers for these."""
        matrix = np.column_stack([self.states(name) for name in names]) if names else np.zeros((len(self.rows), 0))
        return self.grown(matrix)

    def grown(self, matrix: Array) -> tuple[float, NDArray[np.bool_], Array]:
        """As `together`, of any states, shape (rows, states)."""
        used = np.zeros(len(self.rows), bool)
        used[np.random.default_rng(0).permutation(len(self.rows))[:N_ROWS_TOGETHER]] = True
        predicted = np.zeros_like(self.answers)
        # Trees compare float32: missing cells lie below, and what is larger than float32 holds at its end.
        matrix = np.clip(matrix, -1e38, 1e38)
        for fold in range(N_FOLDS):
            known, asked = used & (self.folds != fold), used & (self.folds == fold)
            if known.any() and asked.any():
                predicted[asked] = self._grown(matrix[known], known, matrix[asked])
        return self._skill(predicted, used), used, predicted

    def _grown(self, learned: Array, known: Array, asked: Array) -> Array:
        if learned.shape[1] == 0 or (self.is_classification and len(np.unique(self.target[known])) < 2):
            return np.tile(self.answers[known].mean(axis=0), (len(asked), 1))
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        # One thread: OpenMP models wait for one another by spinning where processors are shared (36 s instead of 1).
        settings = {"n_estimators": N_TREES, "max_features": 0.5, "min_samples_leaf": 2, "random_state": 0}
        if not self.is_classification:
            model = ExtraTreesRegressor(**settings).fit(learned, self.answers[known, 0])
            return np.asarray(model.predict(asked))[:, None]
        model = ExtraTreesClassifier(**settings).fit(learned, self.target[known])
        predicted = np.zeros((len(asked), self.answers.shape[1]))
        predicted[:, model.classes_] = model.predict_proba(asked)
        return predicted

    def probability(self, skill: float, *, n_tried: int) -> float:
        """That such a skill is no chance, so many having been tried; 0.999 at most."""
        from scipy.special import bdtr  # scipy.stats has the same and takes two seconds to import

        n_rows = len(self.rows)
        if self.is_classification:
            n_mistakes = n_rows - int(np.bincount(self.target).max())
            by_chance = float(bdtr(round((1 - skill) * n_mistakes), n_rows, n_mistakes / n_rows))
        else:
            by_chance = math.erfc(self.deviations(skill) / math.sqrt(2))
        return min(0.999, max(0.0, 1 - n_tried * by_chance))

    def deviations(self, skill: float) -> float:
        """How far a skill is from chance in standard errors: of the mistakes avoided, or of a correlation."""
        n_rows = len(self.rows)
        if self.is_classification:
            n_mistakes = n_rows - int(np.bincount(self.target).max())
            return skill * n_mistakes / math.sqrt(max(2 * n_mistakes, 1))
        return math.sqrt(skill * n_rows)

    def _skill(self, predicted: Array, used: NDArray[np.bool_]) -> float:
        answers, predicted = self.answers[used], predicted[used]
        if self.is_classification:
            target = self.target[used]
            error = float((predicted.argmax(axis=1) != target).mean())
            constant = 1 - float(np.bincount(target).max()) / len(target)
        else:
            error = float(((answers - predicted) ** 2).mean())
            constant = float(answers.var())
        return float(np.clip(1 - error / constant, 0, 1)) if constant > 0 else 0.0


def _neighbours(known: Array, answers: Array, asked: Array, *, reach: int) -> Array:
    """Mean answer of the known states equal to each asked one, and of `reach` more on either side; else of all."""
    sums = np.concatenate([np.zeros((1, answers.shape[1])), np.cumsum(answers, axis=0)])
    left, right = np.searchsorted(known, asked, "left"), np.searchsorted(known, asked, "right")
    middle = (left + right) // 2
    low = np.minimum(left, np.maximum(middle - reach, 0))
    high = np.maximum(right, np.minimum(middle + reach, len(known)))
    empty = high <= low
    low[empty], high[empty] = 0, len(known)
    return np.asarray((sums[high] - sums[low]) / (high - low)[:, None])


def _merged(target: Array) -> Array:
    """Class indices with all but the 49 most frequent classes as one, numbered from 0."""
    counts = np.bincount(target)
    place = np.empty(len(counts), np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return compact(np.minimum(place[target], MAX_CLASSES - 1))


def _codes(values: Array) -> Array:
    return compact(np.array([str(value) for value in values.tolist()]) if values.dtype == object else values)
