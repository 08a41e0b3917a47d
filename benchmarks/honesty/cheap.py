"""Thirty-two cheap real models, and what they predict out of fold: candidates for experiments on choosing and proving.

Discriminants and ridge regressions, naive Bayes, nearest neighbours and small trees, on all features or half of them: trained for
real, in milliseconds. What chooses among them and judges them is what runs use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.split import Splits
from cupel.core.task import DEFAULT_METRIC, Task, TaskKind
from cupel.core.trial import Status, Trial

Array = np.ndarray[Any, Any]
Predict = Callable[[Array, Array, Array], Array]

FARTHEST = 5.0
"""Standard deviations. Squares of the few sizes in diamonds that are typing errors made the mean squared error of everything else
irrelevant, and no interval from rows without such an error can tell of it."""


@dataclass(frozen=True)
class Cheap:
    """A model: `predict(features, target, new)` trains and predicts; `cost` stands for its size in bytes."""

    name: str
    family: str
    predict: Predict
    cost: int


def dataset_of(features: Array, target: Array, *, n_classes: int, metric: str | None = None) -> Dataset:
    """A table of numbers with its task: classes, or with `n_classes` 0 a number."""
    labels = tuple(f"c{k}" for k in range(n_classes))
    kind = TaskKind.REGRESSION if n_classes == 0 else TaskKind.BINARY if n_classes == 2 else TaskKind.MULTICLASS
    columns = [Column(name=f"x{number}", kind=ColumnKind.NUMBER) for number in range(features.shape[1])]
    columns.append(Column(name="y", kind=ColumnKind.NUMBER if n_classes == 0 else ColumnKind.CATEGORY, levels=labels))
    cells = {f"x{number}": features[:, number] for number in range(features.shape[1])}
    cells["y"] = target if n_classes == 0 else target.astype(np.int32)
    task = Task(kind=kind, target="y", metric=metric or DEFAULT_METRIC[kind], classes=labels)
    return Dataset(
        Schema(tuple(columns), target="y"), cells, "0" * 64, task=task, target=target, row_numbers=np.arange(len(target))
    )


def models(n_features: int, *, n_classes: int, seed: int = 0) -> list[Cheap]:
    """Thirty-two models, and the constant; halves of the features are drawn by `seed`."""
    generator = np.random.default_rng(seed)
    made = [Cheap("constant", "constant", partial(_constant, n_classes=n_classes), 100)]
    every = np.arange(n_features)

    def some() -> Array:
        return np.sort(generator.choice(n_features, max(n_features // 2, 1), replace=False))

    def add(kind: str, number: int, function: Callable[..., Array], cost: int, **settings: Any) -> None:
        columns = every if number % 2 == 0 else some()
        made.append(Cheap(f"{kind}-{number}", kind, partial(_on, function, columns, n_classes, settings), cost))

    for number in range(10):
        add("linear", number, _linear, 1_000, penalty=10.0 ** (number // 2 - 2), is_square=False)
    for number in range(4):
        add("quadratic", number, _linear, 4_000, penalty=10.0 ** (number // 2), is_square=True)
    for number in range(2):
        add(
            "bayes",
            number,
            _bayes if n_classes else _linear,
            1_500,
            **({} if n_classes else {"penalty": 100.0, "is_square": False}),
        )
    for number in range(6):
        add("knn", number, _neighbours, 400_000, n_neighbours=(5, 15, 50)[number // 2])
    for number in range(10):
        add("tree", number, _tree, 20_000, depth=2 + number // 2, seed=number)
    return made


def strong(n_features: int, *, n_classes: int) -> list[Cheap]:
    """Boosted trees and a forest, as runs pack them: a second each."""
    every = np.arange(n_features)
    kinds = {"boosted": _boosted, "forest": _forest}
    return [Cheap(name, name, partial(_on, function, every, n_classes, {}), 400_000) for name, function in kinds.items()]


def trials(dataset: Dataset, splits: Splits, cheap: Sequence[Cheap], *, kept: Path | None = None) -> list[Trial]:
    """Every model on every fold, as a run would have tried it.

    Predictions are read from the file `kept` where there is one, else written to it: choosing and judging can then be tried
    again without training.
    """
    if kept is not None and kept.exists():
        predictions = np.load(kept)["predictions"]
    else:
        predictions = np.stack([_out_of_fold(dataset, splits, model) for model in cheap])
    if kept is not None and not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, predictions=predictions)
    return [_trial(model, out_of_fold) for model, out_of_fold in zip(cheap, predictions, strict=True)]


def _out_of_fold(dataset: Dataset, splits: Splits, model: Cheap) -> Array:
    features, target = dataset.numeric(), dataset.target
    assert dataset.task is not None
    assert target is not None
    out_of_fold = np.full((dataset.n_samples, dataset.task.n_outputs), np.nan)
    total, times = np.zeros_like(out_of_fold), np.zeros(dataset.n_samples)
    for fold in splits.folds:
        rows = np.concatenate([fold.train, fold.stop])
        total[fold.valid] += model.predict(features[rows], target[rows], features[fold.valid])
        times[fold.valid] += 1
    out_of_fold[times > 0] = total[times > 0] / times[times > 0, None]
    return out_of_fold


def _trial(model: Cheap, out_of_fold: Array) -> Trial:
    candidate = Candidate(name=model.name, modality="tabular", family=model.family, config=None, preparation=None)
    return Trial(
        candidate=candidate,
        is_deep=False,
        is_baseline=model.family in ("constant", "linear"),
        status=Status.DONE,
        out_of_fold=out_of_fold,
        latency_ms={"one": model.cost / 1e5, "thousand": model.cost / 1e4},
        n_bytes=model.cost,
    )


def of_folds(dataset: Dataset, splits: Splits, model: Cheap, new: Array) -> list[Array]:
    """What the model of each fold predicts for new rows."""
    features, target = dataset.numeric(), dataset.target
    assert target is not None
    rows = [np.concatenate([fold.train, fold.stop]) for fold in splits.folds]
    return [model.predict(features[own], target[own], new) for own in rows]


def _on(function: Callable[..., Array], columns: Array, n_classes: int, settings: dict[str, Any], *arrays: Array) -> Array:
    features, target, new = arrays
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    known, asked = (np.clip((rows - centre) / scale, -FARTHEST, FARTHEST)[:, columns] for rows in (features, new))
    return function(known, target, asked, n_classes=n_classes, **settings)


def _constant(_: Array, target: Array, new: Array, *, n_classes: int) -> Array:
    if n_classes == 0:
        return np.full((len(new), 1), target.mean())
    return np.tile(np.bincount(target, minlength=n_classes) / len(target), (len(new), 1))


def _linear(features: Array, target: Array, new: Array, *, n_classes: int, penalty: float, is_square: bool) -> Array:
    """Ridge regression, for classes on their indicators with a softmax that keeps the order."""
    if is_square:
        features, new = _squared(features), _squared(new)
    wanted = np.eye(n_classes)[target] if n_classes else target[:, None].astype(float)
    centre = wanted.mean(axis=0)
    gram = features.T @ features + penalty * np.eye(features.shape[1])
    said = centre + new @ np.linalg.solve(gram, features.T @ (wanted - centre))
    return _shares(4.0 * said) if n_classes else said


def _squared(features: Array) -> Array:
    first, second = np.triu_indices(features.shape[1])
    return np.concatenate([features, features[:, first] * features[:, second]], axis=1)


def _bayes(features: Array, target: Array, new: Array, *, n_classes: int) -> Array:
    """Gaussian naive Bayes."""
    logits = np.empty((len(new), n_classes))
    for k in range(n_classes):
        own = features[target == k]
        mean, variance = own.mean(axis=0), own.var(axis=0) + 0.05
        logits[:, k] = np.log(len(own)) - 0.5 * (((new - mean) ** 2) / variance + np.log(variance)).sum(axis=1)
    return _shares(logits)


def _neighbours(features: Array, target: Array, new: Array, *, n_classes: int, n_neighbours: int) -> Array:
    count = min(n_neighbours, len(features))
    near = NearestNeighbors(n_neighbors=count).fit(features).kneighbors(new, return_distance=False)
    if n_classes == 0:
        return target[near].mean(axis=1, keepdims=True)
    return (np.eye(n_classes)[target[near]].sum(axis=1) + 1 / n_classes) / (count + 1)


def _tree(features: Array, target: Array, new: Array, *, n_classes: int, depth: int, seed: int) -> Array:
    if n_classes == 0:
        return (
            DecisionTreeRegressor(max_depth=depth, min_samples_leaf=5, random_state=seed)
            .fit(features, target)
            .predict(new)[:, None]
        )
    model = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=5, random_state=seed).fit(features, target)
    said = np.full((len(new), n_classes), 1e-3)
    said[:, model.classes_] += model.predict_proba(new)
    return said / said.sum(axis=1, keepdims=True)


def _boosted(features: Array, target: Array, new: Array, *, n_classes: int) -> Array:
    import lightgbm

    objective = "regression" if n_classes == 0 else "binary" if n_classes == 2 else "multiclass"
    settings = {"objective": objective, "num_leaves": 15, "learning_rate": 0.08, "num_threads": 1, "verbose": -1, "seed": 0}
    settings |= {"bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8}
    settings |= {"num_class": n_classes} if n_classes > 2 else {}
    model = lightgbm.train(settings, lightgbm.Dataset(features, target), num_boost_round=100)
    said = np.asarray(model.predict(new, num_threads=1))
    if n_classes == 2:
        return np.stack([1 - said, said], axis=1)
    return said if n_classes else said[:, None]


def _forest(features: Array, target: Array, new: Array, *, n_classes: int) -> Array:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    if n_classes == 0:
        return ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0).fit(features, target).predict(new)[:, None]
    model = ExtraTreesClassifier(100, random_state=0).fit(features, target)
    said = np.full((len(new), n_classes), 1e-3)
    said[:, model.classes_] += model.predict_proba(new)
    return said / said.sum(axis=1, keepdims=True)


def _shares(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
