"""Made-up runs for tests: trials whose out-of-fold predictions are drawn, not trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.form import Form, sigmoid
from cupel.core.labels import filled, shares_of
from cupel.core.profile import ColumnProfile, Profile
from cupel.core.recipe import Recipe
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.split import Fold, Splits
from cupel.core.task import Task, TaskKind
from cupel.core.trial import Ensemble, Status, Trial, UnitResult

N_FOLDS = 5
FAMILIES = (("tabm", True), ("realmlp", True), ("lightgbm", False), ("mlp", True), ("linear", False))
BASELINES = ("constant", "linear", "lightgbm")


@dataclass(frozen=True)
class Config:
    width: int = 384
    activation: str = "relu"
    sizes: tuple[int, ...] = (64, 32)
    note: str = "a: <b>"


@dataclass(frozen=True)
class Preparation:
    numbers: str = "quantile"
    folds: dict[str, int] = field(default_factory=dict)


def make_dataset(
    kind: TaskKind, *, n_rows: int = 1000, n_classes: int = 2, name: str = "Churn", classes: tuple[str, ...] = (), seed: int = 0
) -> Dataset:
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "age": generator.normal(40, 12, n_rows),
        "income": np.exp(generator.normal(8, 1, n_rows)),
        "city": generator.integers(0, 4, n_rows).astype(np.int32),
    }
    column_list = [
        Column(name="age", kind=ColumnKind.NUMBER, low=1.0, high=90.0),
        Column(name="income", kind=ColumnKind.NUMBER, low=10.0, high=99000.0),
        Column(name="city", kind=ColumnKind.CATEGORY, levels=("Rome", "Oslo", "Bern", "Lima")),
    ]
    labels = classes or tuple(chr(65 + k) for k in range(n_classes))
    if kind is TaskKind.REGRESSION:
        task = Task(kind=kind, target=name, metric="rmse")
        target: Any = columns["age"] * 100 + generator.normal(0, 800, n_rows)
        columns[name] = target
        column_list.append(Column(name=name, kind=ColumnKind.NUMBER))
    elif kind is TaskKind.MULTILABEL:
        task = Task(kind=kind, target=name, metric="roc_auc_macro", classes=labels)
        target = (generator.random((n_rows, len(labels))) < np.linspace(0.6, 0.2, len(labels))).astype(np.float64)
        target[generator.random(target.shape) < 0.05] = np.nan
        said = ["|".join(label for label, holds in zip(labels, row, strict=True) if holds == 1) for row in target.tolist()]
        columns[name] = np.array(said, dtype=object)
        column_list.append(Column(name=name, kind=ColumnKind.TEXT))
    else:
        if kind is TaskKind.BINARY:
            labels = classes or ("No", "Yes")
        task = Task(kind=kind, target=name, metric="roc_auc" if kind is TaskKind.BINARY else "log_loss", classes=labels)
        shares = generator.dirichlet(np.full(len(labels), 8.0)) if len(labels) > 2 else np.array([0.73, 0.27])
        target = generator.choice(len(labels), n_rows, p=shares).astype(np.int64)
        columns[name] = target.astype(np.int32)
        column_list.append(Column(name=name, kind=ColumnKind.CATEGORY, levels=labels))
    schema = Schema(tuple(column_list), target=name)
    return Dataset(schema, columns, "f" * 64, task=task, target=target, row_numbers=np.arange(n_rows))


def make_splits(dataset: Dataset, *, n_folds: int = N_FOLDS, groups: Any = None, holdout: bool = False) -> Splits:
    owner = np.arange(dataset.n_samples) % n_folds
    every = np.arange(dataset.n_samples)
    folds = []
    for k in range(1 if holdout else n_folds):
        rest = every[owner != k]
        folds.append(Fold(k, rest[: -len(rest) // 8], rest[-len(rest) // 8 :], every[owner == k]))
    scheme = "holdout" if holdout else "stratified"
    return Splits(
        tuple(folds), scheme, "The target has classes, so each fold keeps their shares.", "abc123", groups=groups, units=groups
    )


def predictions(dataset: Dataset, *, skill: float, seed: int) -> Any:
    """Better for more skill; 0 knows nothing."""
    generator = np.random.default_rng(seed)
    assert dataset.task is not None
    assert dataset.target is not None
    if dataset.task.kind is TaskKind.REGRESSION:
        spread = dataset.target.std()
        noise = generator.normal(0, spread * 0.3, dataset.n_samples)
        return (dataset.target.mean() + skill * (dataset.target - dataset.target.mean()) + noise)[:, None]
    if dataset.task.form is Form.LABELS:
        shares = shares_of(dataset.target)
        noise = generator.normal(0, 1, dataset.target.shape)
        return sigmoid(np.log(shares / (1 - shares)) + 3.0 * skill * (filled(dataset.target) - shares) + noise)
    n_classes = len(dataset.task.classes)
    prior = np.log(np.bincount(dataset.target, minlength=n_classes) / dataset.n_samples + 1e-9)
    logits = prior + generator.normal(0, 1, (dataset.n_samples, n_classes))
    logits[np.arange(dataset.n_samples), dataset.target] += 3.0 * skill
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponent / exponent.sum(axis=1, keepdims=True)


def constant_predictions(dataset: Dataset) -> Any:
    assert dataset.task is not None
    assert dataset.target is not None
    if dataset.task.kind is TaskKind.REGRESSION:
        return np.full((dataset.n_samples, 1), dataset.target.mean())
    if dataset.task.form is Form.LABELS:
        return np.tile(shares_of(dataset.target), (dataset.n_samples, 1))
    shares = np.bincount(dataset.target, minlength=len(dataset.task.classes)) / dataset.n_samples
    return np.tile(shares, (dataset.n_samples, 1))


def make_trial(name: str, family: str, out_of_fold: Any, splits: Splits, *, is_deep: bool = False, seed: int = 0) -> Trial:
    generator = np.random.default_rng(seed)
    units = []
    for fold in splits.folds:
        n_epochs = int(generator.integers(25, 60))
        decay = np.exp(-np.arange(n_epochs) / 9)
        curve = {
            "train_loss": (0.3 + 0.5 * decay - 0.001 * np.arange(n_epochs)).tolist(),
            "stop_loss": (0.42 + 0.4 * decay + 0.0012 * np.arange(n_epochs)).tolist(),
        }
        units.append(
            UnitResult(
                key=f"{name}{fold.index}",
                fold=fold.index,
                rows=fold.valid,
                predictions=out_of_fold[fold.valid],
                seconds=float(generator.uniform(0.5, 9.0)) * (3 if is_deep else 0.6),
                folder=Path(),
                curve=curve if is_deep else {},
                best_epoch=int(n_epochs * 0.6) if is_deep else None,
            )
        )
    covered = np.full_like(out_of_fold, np.nan)
    covered[splits.covered] = out_of_fold[splits.covered]
    candidate = Candidate(
        name=name,
        modality="tabular",
        family=family,
        config=Config(),
        preparation=Preparation(),
        recipe=Recipe() if is_deep else None,
    )
    speed = float(generator.uniform(0.3, 2.0)) * (1.0 if is_deep else 0.2)
    return Trial(
        candidate=candidate,
        is_deep=is_deep,
        is_baseline=family in BASELINES,
        status=Status.DONE,
        units=tuple(units),
        out_of_fold=covered,
        latency_ms={"one": speed, "thousand": speed * 20},
        n_bytes=int(generator.uniform(2e5, 4e6)),
    )


def failed_trial(name: str, family: str, reason: str = "it ran out of memory: 9 GB were asked for, 4 GB are there.") -> Trial:
    candidate = Candidate(name=name, modality="tabular", family=family, config=Config(), preparation=Preparation())
    return Trial(candidate=candidate, is_deep=True, is_baseline=False, status=Status.FAILED, reason=reason)


def make_trials(
    dataset: Dataset, splits: Splits, *, n_candidates: int = 8, skill: float = 0.7, step: float = 0.03
) -> list[Trial]:
    trials = [make_trial("constant", "constant", constant_predictions(dataset), splits)]
    for number in range(n_candidates - 2):
        family, is_deep = FAMILIES[number % len(FAMILIES)]
        answer = predictions(dataset, skill=max(skill - step * number, 0.1), seed=number + 1)
        name = f"{family}, default" if number < len(FAMILIES) else f"{family}, drawn {number}"
        trials.append(make_trial(name, family, answer, splits, is_deep=is_deep, seed=number))
    trials.append(failed_trial("tabm, wide", "tabm"))
    return trials


def make_ensemble(trials: list[Trial], *, n_members: int = 3) -> Ensemble:
    members = tuple(
        [trial for trial in trials if trial.out_of_fold is not None and trial.candidate.family != "constant"][:n_members]
    )
    weights = tuple(np.arange(n_members, 0, -1) / np.arange(n_members, 0, -1).sum())
    blended = sum(weight * trial.out_of_fold for weight, trial in zip(weights, members, strict=True))
    return Ensemble(name=f"ensemble of {n_members}", members=members, weights=weights, out_of_fold=np.asarray(blended))


def always(trials: list[Trial], ensemble: Ensemble) -> Any:
    """A procedure that takes the same ensemble whatever it sees."""
    usable = [trial for trial in trials if trial.is_usable]
    weights = np.zeros(len(usable))
    for member, weight in zip(ensemble.members, ensemble.weights, strict=True):
        weights[[trial.candidate.name for trial in usable].index(member.candidate.name)] = weight
    return lambda rows: weights


def make_findings() -> tuple[Finding, ...]:
    return (
        Finding(
            code="leak",
            severity=Severity.SERIOUS,
            where="closed_on",
            what="the column closed_on alone predicts the target with ROC-AUC 0.998.",
            action="It is kept; leave it out with --drop closed_on if it is not known at the time of prediction.",
        ),
        Finding(
            code="duplicate-rows",
            severity=Severity.WARNING,
            where="22 rows",
            what="22 of 1,000 rows are exact copies of others.",
            action="Copies are kept in one fold, so that none is judged by its twin.",
        ),
        Finding(
            code="constant-column",
            severity=Severity.NOTE,
            where="country",
            what="country has one value.",
            action="It is not used.",
        ),
    )


def make_profile(dataset: Dataset) -> Profile:
    columns = []
    for number, column in enumerate(dataset.schema.columns):
        if column.kind is ColumnKind.TEXT:
            n_unique = len(set(dataset.columns[column.name].tolist()))
            columns.append(ColumnProfile(name=column.name, kind=column.kind.value, n_missing=0, n_unique=n_unique))
            continue
        values = np.asarray(dataset.columns[column.name], dtype=np.float64)
        if column.kind.is_numeric:
            counts, edges = np.histogram(values, 20)
            columns.append(
                ColumnProfile(
                    name=column.name,
                    kind=column.kind.value,
                    n_missing=7 * number,
                    n_unique=len(np.unique(values)),
                    association=0.4 / (number + 1),
                    low=float(values.min()),
                    median=float(np.median(values)),
                    high=float(values.max()),
                    edges=tuple(edges.tolist()),
                    histogram=tuple(counts.tolist()),
                )
            )
        else:
            counts = np.bincount(values.astype(int), minlength=len(column.levels))
            columns.append(
                ColumnProfile(
                    name=column.name,
                    kind=column.kind.value,
                    n_missing=0,
                    n_unique=len(column.levels),
                    association=0.1,
                    labels=column.levels,
                    histogram=tuple(counts.tolist()),
                )
            )
    return Profile(n_samples=dataset.n_samples, columns=tuple(columns), task=dataset.task)
