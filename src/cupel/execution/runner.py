"""Runs one candidate on the folds: prepare, train, export, check, keep. What fails is recorded, never lost."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.family import Family, FittedModel, FittedUnit, UnitData
from cupel.core.feeds import feeds_of
from cupel.core.masks import judged_predictions
from cupel.core.modality import GraphInput
from cupel.core.preparation import FittedPreparation, Prepared
from cupel.core.split import Fold, Splits
from cupel.core.stopwatch import Stopwatch
from cupel.core.task import Task
from cupel.core.trial import Status, Trial, UnitResult
from cupel.execution.folder import RunFolder
from cupel.execution.units import UnitFiles

Array = NDArray[Any]
N_CACHED_PREPARATIONS = 4
MIN_ROWS_OF_A_SHARE = 100


class Exporter(Protocol):
    """Writes a trained unit as one ONNX model and proves it; packing keeps this promise."""

    def __call__(
        self, preparation: FittedPreparation, model: FittedModel, *, feeds: Mapping[str, Array], expected: Array
    ) -> bytes:
        """The serialised model, whose predictions for `feeds` were compared with `expected`."""
        ...


class Trainer(Protocol):
    """Trains the folds of one candidate; training keeps this promise."""

    def __call__(
        self,
        family: Family,
        units: Sequence[UnitData],
        *,
        candidate: Candidate,
        deadline: Deadline,
        progress: Callable[[float], None],
    ) -> list[FittedUnit]:
        """Fitted units, in the order of `units`."""
        ...


Start = Callable[[Candidate, Fold], Mapping[str, Array]]


def _from_scratch(candidate: Candidate, fold: Fold) -> Mapping[str, Array]:
    del candidate, fold
    return {}


@dataclass(frozen=True, eq=False)
class PreparedFold:
    """A fold ready to be trained on, and what prepares rows for its model."""

    prepared: Prepared
    unit: UnitData


@dataclass(eq=False)
class Runner:
    """Everything that is the same for all candidates of a run.

    `golden` are row indices whose predictions by the trained model are kept, to be compared with every later form of it.
    `measure` gives the milliseconds that an exported model takes for one row and for a thousand.
    Prepared folds are kept for later candidates, up to `kept_bytes`. `start` gives the weights that a unit starts from, none for
    one from scratch; they are part of the question that the run folder answers, and so of no unit's key.
    """

    dataset: Dataset
    splits: Splits
    inputs: Sequence[GraphInput]
    golden: Array
    folder: RunFolder
    train: Trainer
    export: Exporter
    measure: Callable[[bytes, Mapping[str, Array]], Mapping[str, float]]
    start: Start = _from_scratch
    seed: int = 0
    kept_bytes: float = math.inf
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    _prepared: dict[Any, Prepared] = field(default_factory=dict)

    def unit_key(self, candidate: Candidate, fold: Fold, *, share: float = 1.0) -> str:
        """What decides a unit's result: data, candidate, splits, fold, share of the training rows, and seed."""
        parts = [self.dataset.fingerprint, candidate.key, self.splits.key, str(fold.index), str(self.seed)]
        if share < 1:
            parts.append(f"{share:.6f}")
        return hashlib.sha256("/".join(parts).encode()).hexdigest()[:24]

    def run(
        self,
        candidate: Candidate,
        family: Family,
        *,
        deadline: Deadline,
        progress: Callable[[float], None],
        n_folds: int | None = None,
        share: float = 1.0,
    ) -> Trial:
        """Train a candidate on the first `n_folds` folds (None: all) with a share of their training rows.

        What is finished in the run folder is taken from there.
        """
        folds = self.splits.folds[:n_folds]
        kept = {fold.index: self.folder.units.load(self.unit_key(candidate, fold, share=share)) for fold in folds}
        missing = [fold for fold in folds if kept[fold.index] is None]
        if missing:
            self.folder.journal.append("started", candidate=candidate.name, key=candidate.key, folds=[f.index for f in missing])
        started = time.monotonic()
        try:
            made = self._run_units(candidate, family, missing, share=share, deadline=deadline, progress=progress)
        except Exception as error:  # noqa: BLE001 the one place where anything a candidate raises becomes its line in the leaderboard
            reason = describe_failure(error)
            seconds = time.monotonic() - started
            self.folder.journal.append("failed", candidate=candidate.name, key=candidate.key, reason=reason, seconds=seconds)
            return Trial(
                candidate=candidate, is_deep=family.is_deep, is_baseline=family.is_baseline, status=Status.FAILED, reason=reason
            )
        new = {unit.fold: unit for unit in made}
        units = [kept[fold.index] or new[fold.index] for fold in folds]
        if missing:
            self.folder.journal.append("finished", candidate=candidate.name, key=candidate.key, units=[unit.key for unit in made])
        return self._trial(candidate, family, units)

    def _run_units(
        self,
        candidate: Candidate,
        family: Family,
        splits: Sequence[Fold],
        *,
        share: float,
        deadline: Deadline,
        progress: Callable[[float], None],
    ) -> list[UnitResult]:
        if not splits:
            return []
        with self.stopwatch.stage("preparing"):
            folds = [self._prepared_fold(candidate, split, share, deadline) for split in splits]
        with self.stopwatch.stage("training"):
            fitted = self.train(family, [fold.unit for fold in folds], candidate=candidate, deadline=deadline, progress=progress)
        with self.stopwatch.stage("exporting"):
            feeds = feeds_of(self.dataset, self.golden, self.inputs)
            return [
                self._exported(candidate, split, fold, unit, feeds=feeds, share=share)
                for split, fold, unit in zip(splits, folds, fitted, strict=True)
            ]

    def _exported(
        self, candidate: Candidate, split: Fold, fold: PreparedFold, unit: FittedUnit, *, feeds: Mapping[str, Array], share: float
    ) -> UnitResult:
        """A trained unit as it is kept: its predictions, and its model as ONNX."""
        preparation = fold.prepared.fitted
        golden = unit.model.predict(preparation.transform(self.dataset, self.golden))
        if not (np.isfinite(unit.predictions).all() and np.isfinite(golden).all()):
            raise TrainingError(f"fold {split.index + 1} predicts values that are not finite; the model diverged.")
        model = self.export(preparation, unit.model, feeds=feeds, expected=golden)
        files = UnitFiles(
            rows=split.valid,
            predictions=judged_predictions(self._task, unit.predictions),
            golden=golden,
            model=model,
            weights=unit.weights,
            facts={
                "fold": split.index,
                "candidate": candidate.name,
                "share": share,
                "described": candidate.to_plain(),
                "inputs": {"widths": fold.unit.train.widths, "extents": fold.unit.train.extents},
                "seconds": unit.seconds,
                "best_epoch": unit.best_epoch,
                "cut_short": unit.cut_short,
                "curve": unit.curve,
                "latency_ms": dict(self.measure(model, feeds)) if split.index == 0 else {},
            },
        )
        return self.folder.units.save(self.unit_key(candidate, split, share=share), files)

    @property
    def _task(self) -> Task:
        assert self.dataset.task is not None, "a run is made only for a dataset whose task is known"
        return self.dataset.task

    def _prepared_fold(self, candidate: Candidate, fold: Fold, share: float, deadline: Deadline) -> PreparedFold:
        target = self.dataset.target
        assert target is not None, "a run is made only for a dataset whose task is known"
        key = (candidate.preparation, fold.index, share)
        prepared = self._prepared.get(key)
        if prepared is None:
            if deadline.passed:
                raise TrainingError("time was up before its data were prepared; give the run more time.")
            rows = self._some(fold, share)
            prepared = candidate.preparation.fit(self.dataset, rows, seed=self._seed("preparation", fold))
            self._keep(key, prepared)
        unit = UnitData(
            fold=fold.index,
            seed=self._seed(candidate.key, fold),
            train=prepared.inputs,
            train_target=target[prepared.rows],
            stop=prepared.fitted.transform(self.dataset, fold.stop),
            stop_target=target[fold.stop],
            valid=prepared.fitted.transform(self.dataset, fold.valid),
            start=self.start(candidate, fold),
        )
        return PreparedFold(prepared, unit)

    def _keep(self, key: Any, prepared: Prepared) -> None:
        """For candidates to come; the oldest make room."""
        self._prepared[key] = prepared
        while self._prepared and (
            len(self._prepared) > N_CACHED_PREPARATIONS * len(self.splits.folds)
            or sum(map(_n_bytes, self._prepared.values())) > self.kept_bytes
        ):
            self._prepared.pop(next(iter(self._prepared)))

    def _some(self, fold: Fold, share: float) -> Array:
        """A share of the fold's training rows: the same for all candidates, a smaller share within a larger one."""
        if share >= 1:
            return fold.train
        order = np.random.default_rng(self._seed("share", fold)).permutation(len(fold.train))
        rows: Array = np.sort(fold.train[order[: max(MIN_ROWS_OF_A_SHARE, round(share * len(fold.train)))]])
        return rows

    def _seed(self, purpose: str, fold: Fold) -> int:
        digest = hashlib.sha256(f"{self.seed}/{purpose}/{fold.index}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def _trial(self, candidate: Candidate, family: Family, units: Sequence[UnitResult]) -> Trial:
        cut_short = any(unit.cut_short for unit in units)
        return Trial(
            candidate=candidate,
            is_deep=family.is_deep,
            is_baseline=family.is_baseline,
            status=Status.CUT_SHORT if cut_short else Status.DONE,
            units=tuple(units),
            out_of_fold=out_of_fold(units, self.dataset.n_samples),
            reason="time was short: training ended early, or took larger steps" if cut_short else "",
            latency_ms=_latency(units),
            n_bytes=sum((unit.folder / "model.onnx").stat().st_size for unit in units),
        )


def _n_bytes(prepared: Prepared) -> int:
    return sum(block.nbytes for block in prepared.inputs.blocks.values())


def _latency(units: Sequence[UnitResult]) -> dict[str, float]:
    """Of all units, from those that were measured."""
    known = [unit.latency_ms for unit in units if unit.latency_ms]
    return {name: len(units) * float(np.mean([each[name] for each in known])) for name in known[0]} if known else {}


def out_of_fold(units: Sequence[UnitResult], n_samples: int) -> NDArray[np.float64]:
    """Predictions for every row by models that had not seen it, shape (samples, outputs).

    The mean where several folds judged a row; NaN where none did.
    """
    width = units[0].predictions.shape[1]
    total = np.zeros((n_samples, width))
    count = np.zeros((n_samples, 1))
    for unit in units:
        total[unit.rows] += unit.predictions
        count[unit.rows] += 1
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / count, np.nan)


def describe_failure(error: Exception) -> str:
    """One line for the leaderboard: our own messages as they are, others with their kind."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, MemoryError):
        return f"out of memory ({text}); fewer rows or a smaller model would fit."
    return text if isinstance(error, TrainingError) else f"{type(error).__name__}: {text}"[:500]
