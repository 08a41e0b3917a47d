"""Makes units in this process: prepare, train, export, check, keep."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.checkpoints import Checkpoints
from cupel.core.dataset import Dataset
from cupel.core.errors import InterruptedRunError, PassingError, TrainingError
from cupel.core.family import Family, FittedModel, FittedUnit, UnitData
from cupel.core.feeds import feeds_of
from cupel.core.masks import judged_predictions
from cupel.core.modality import GraphInput
from cupel.core.preparation import FittedPreparation, Prepared
from cupel.core.split import Fold, Splits
from cupel.core.stopwatch import Stopwatch
from cupel.core.task import Task
from cupel.core.trial import UnitResult
from cupel.execution.assignment import INTERRUPTED, Assignment
from cupel.execution.units import UnitFiles, UnitStore, unit_key

Array = NDArray[Any]
N_CACHED_PREPARATIONS = 4
MIN_ROWS_OF_A_SHARE = 100
MOST_KEPT_BACK = 0.5
"""Of the time of a fold that is trained apart, for exporting it."""


class Exporter(Protocol):
    """Writes a trained unit as one ONNX model and proves it; packing keeps this promise."""

    def __call__(
        self, preparation: FittedPreparation, model: FittedModel, *, feeds: Mapping[str, Array], expected: Array
    ) -> bytes:
        """The serialised model, whose predictions for `feeds` were compared with `expected`."""
        ...


class Finisher(Protocol):
    """Fits a candidate on all rows of a table that is larger than memory, and leaves what it made in a folder."""

    def __call__(
        self, assignment: Assignment, *, folder: Path, deadline: Deadline, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """What was done, as plain values."""
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
        checkpoints: Checkpoints,
    ) -> list[FittedUnit]:
        """Fitted units, in the order of `units`."""
        ...


@dataclass(frozen=True, eq=False)
class PreparedFold:
    """A fold ready to be trained on, and what prepares rows for its model."""

    prepared: Prepared
    unit: UnitData


@dataclass(eq=False)
class UnitMaker:
    """Everything that is the same for all units of a run; an executor that works in its own process.

    `golden` are row indices whose predictions by the trained model are kept, to be compared with every later form of it.
    `measure` gives the milliseconds that an exported model takes for one row and for a thousand.
    Prepared folds are kept for later candidates, up to `kept_bytes`. What is trained ends early once `is_to_end`, where given.
    `get_ready` does what is done once for all networks, lest the first of folds that share the time pay it alone.
    """

    dataset: Dataset
    splits: Splits
    inputs: Sequence[GraphInput]
    golden: Array
    units: UnitStore
    train: Trainer
    export: Exporter
    measure: Callable[[bytes, Mapping[str, Array]], Mapping[str, float]]
    seed: int = 0
    kept_bytes: float = math.inf
    finisher: Finisher | None = None
    is_to_end: Callable[[], bool] | None = None
    get_ready: Callable[[], None] = lambda: None
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    _prepared: dict[Any, Prepared] = field(default_factory=dict)
    _exporting: dict[str, float] = field(default_factory=dict)

    def execute(self, assignment: Assignment, *, deadline: Deadline, progress: Callable[[float], None]) -> list[UnitResult]:
        """The units, kept all at once: who shares a stack decides the last bits, so what is half done is done again whole.

        Folds that are trained apart are kept one by one. Each gets its share of the time that is left, less what exporting one of
        its family took before, lest the last be still at it when time is up.
        """
        with self._ending_early(deadline) as until:
            folds = self._folds(assignment, until)
            if not assignment.family.folds_apart:
                return self._made(assignment, folds, until, progress=progress)
            self.get_ready()
            alone = assignment.apart()
            return [
                self._made_alone(
                    each,
                    folds[number],
                    until.within(until.remaining / (len(alone) - number)),
                    progress=partial(_of_several, progress, number, len(alone)),
                )
                for number, each in enumerate(alone)
            ]

    def _made_alone(
        self, assignment: Assignment, prepared: PreparedFold, deadline: Deadline, *, progress: Callable[[float], None]
    ) -> UnitResult:
        """One fold: what is kept already where a worker was lost after it, else made in time to be exported."""
        candidate, fold = assignment.candidate, self.splits.folds[assignment.folds[0]]
        key = unit_key(self.dataset, self.splits, candidate=candidate, fold=fold, share=assignment.share, seed=self.seed)
        if (kept := self.units.load(key)) is not None:
            return kept
        name, before = assignment.family.name, self._seconds_exporting
        kept_back = min(self._exporting.get(name, 0.0), MOST_KEPT_BACK * deadline.remaining)
        (made,) = self._made(assignment, [prepared], deadline.minus(kept_back), progress=progress)
        self._exporting[name] = max(self._exporting.get(name, 0.0), self._seconds_exporting - before)
        return made

    @property
    def _seconds_exporting(self) -> float:
        return self.stopwatch.seconds.get("exporting", 0.0)

    def _folds(self, assignment: Assignment, deadline: Deadline) -> list[PreparedFold]:
        candidate, share = assignment.candidate, assignment.share
        splits = [self.splits.folds[index] for index in assignment.folds]
        starts = assignment.starts or ({},) * len(splits)
        with self.stopwatch.stage("preparing"):
            return [
                self._prepared_fold(candidate, split, share, deadline, start) for split, start in zip(splits, starts, strict=True)
            ]

    def _made(
        self, assignment: Assignment, folds: Sequence[PreparedFold], deadline: Deadline, *, progress: Callable[[float], None]
    ) -> list[UnitResult]:
        candidate, share = assignment.candidate, assignment.share
        splits = [self.splits.folds[index] for index in assignment.folds]
        keys = [unit_key(self.dataset, self.splits, candidate=candidate, fold=f, share=share, seed=self.seed) for f in splits]
        checkpoints = self.units.checkpoints(keys)
        with self.stopwatch.stage("training"):
            units = [fold.unit for fold in folds]
            fitted = self.train(
                assignment.family, units, candidate=candidate, deadline=deadline, progress=progress, checkpoints=checkpoints
            )
        with self.stopwatch.stage("exporting"):
            feeds = feeds_of(self.dataset, self.golden, self.inputs)
            made = [
                self._exported(candidate, split, fold, unit, feeds=feeds, share=share)
                for split, fold, unit in zip(splits, folds, fitted, strict=True)
            ]
            kept = self.units.save_together(dict(zip(keys, made, strict=True)))
        if self.is_to_end is None or not self.is_to_end():
            checkpoints.clear()  # else what was cut short now is gone on with
        return kept

    def finish(
        self, assignment: Assignment, folder: Path, *, deadline: Deadline, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """What was done to fit the candidate on all rows."""
        assert self.finisher is not None, "asked only where there are more rows than these"
        self._prepared.clear()  # room for others
        with self._ending_early(deadline) as until:
            return self.finisher(assignment, folder=folder, deadline=until, progress=progress)

    @contextmanager
    def _ending_early(self, deadline: Deadline) -> Iterator[Deadline]:
        """The deadline, called off once the run is to end; what then comes to nothing is no fault of the candidate.

        Raises:
            InterruptedRunError: there was too little to make something of.
        """
        if self.is_to_end is None:
            yield deadline
            return
        try:
            yield deadline.unless(self.is_to_end)
        except TrainingError as error:
            if not self.is_to_end():
                raise
            raise InterruptedRunError(INTERRUPTED) from error

    def close(self) -> None:
        """Forget the prepared folds."""
        self._prepared.clear()

    def _exported(
        self, candidate: Candidate, split: Fold, fold: PreparedFold, unit: FittedUnit, *, feeds: Mapping[str, Array], share: float
    ) -> UnitFiles:
        """A trained unit as it is kept: its predictions, and its model as ONNX."""
        preparation = fold.prepared.fitted
        golden = unit.model.predict(preparation.transform(self.dataset, self.golden))
        said = [unit.predictions, golden, *([] if unit.stop_predictions is None else [unit.stop_predictions])]
        if not all(np.isfinite(each).all() for each in said):
            raise TrainingError(
                f"fold {split.index + 1} predicts values that are not finite: the model diverged; "
                f"a lower learning rate would help."
            )
        model = self.export(preparation, unit.model, feeds=feeds, expected=golden)
        return UnitFiles(
            rows=split.valid,
            predictions=judged_predictions(self._task, unit.predictions),
            golden=golden,
            model=model,
            weights=unit.weights,
            stop_predictions=unit.stop_predictions,
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

    def _prepared_fold(
        self, candidate: Candidate, fold: Fold, share: float, deadline: Deadline, start: Mapping[str, Array]
    ) -> PreparedFold:
        target = self.dataset.target
        assert target is not None, "a run is made only for a dataset whose task is known"
        key = (candidate.preparation, fold.index, share)
        prepared = self._prepared.get(key)
        if prepared is None:
            if deadline.passed:
                raise PassingError("time was up before its data were prepared; give the run more time.")
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
            share=share,
            start=start,
        )
        return PreparedFold(prepared, unit)

    @property
    def _task(self) -> Task:
        assert self.dataset.task is not None, "a run is made only for a dataset whose task is known"
        return self.dataset.task

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


def _of_several(progress: Callable[[float], None], number: int, total: int, fraction: float) -> None:
    progress((number + fraction) / total)


def _n_bytes(prepared: Prepared) -> int:
    return sum(block.nbytes for block in prepared.inputs.blocks.values())
