"""Runs one candidate on the folds, by whatever executor there is. What fails is recorded, never lost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.errors import (
    CupelError,
    InterruptedRunError,
    OutOfMemoryError,
    PassingError,
    StorageError,
    TrainingError,
    is_for_memory,
)
from cupel.core.family import Family
from cupel.core.split import Fold, Splits
from cupel.core.trial import Status, Trial, UnitResult
from cupel.execution.assignment import FAULT_OF_A_FAMILY, Assignment, Executor
from cupel.execution.folder import RunFolder
from cupel.execution.guard import size_of
from cupel.execution.journal import is_time
from cupel.execution.units import unit_key

Array = NDArray[Any]
SMALLEST_TO_DIVIDE, DIVISOR = 64, 4
"""Batches of fewer rows are not what takes memory."""
TOO_LARGE_TO_FINISH = "final fit too large"
"""The journal's word for it."""


Start = Callable[[Candidate, Fold], Mapping[str, Array]]
Patience = Callable[[Candidate, Family], float]


def _from_scratch(candidate: Candidate, fold: Fold) -> Mapping[str, Array]:
    del candidate, fold
    return {}


def _endless(candidate: Candidate, family: Family) -> float:
    del candidate, family
    return math.inf


def _endless_disk(n_bytes: float) -> str:
    del n_bytes
    return ""


@dataclass(frozen=True)
class _Failure:
    """Why an earlier process of the run could not train a candidate, and how long it tried."""

    reason: str
    seconds: float


@dataclass(eq=False)
class Runner:
    """Everything that is the same for all candidates of a run: what is done is taken from the folder, the rest is executed.

    `start` gives the weights that a unit starts from, none for one from scratch; they are part of the question that the run
    folder answers, and so of no unit's key. `patience` is how many seconds a unit may get no further. `lack_of_disk` says why so
    many bytes cannot be written, "" where they can, and `trouble` why the folder cannot be written any more, "" while it can.

    What has failed by its own fault is not tried again by a later process of the run, unless the journal says "retried".
    """

    dataset: Dataset
    splits: Splits
    folder: RunFolder
    executor: Executor
    seed: int = 0
    start: Start = _from_scratch
    patience: Patience = _endless
    lack_of_disk: Callable[[float], str] = _endless_disk
    trouble: str = ""
    begun_before: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _begun: dict[tuple[str, float], list[int]] = field(default_factory=dict)
    _failed: dict[tuple[str, float], _Failure] = field(default_factory=dict)
    _too_large: set[str] = field(default_factory=set)
    _too_large_to_finish: set[str] = field(default_factory=set)
    _divided: set[str] = field(default_factory=set)
    _taken: dict[str, list[int]] = field(default_factory=dict)
    _at_hand: dict[str, UnitResult] = field(default_factory=dict)
    _cut_here: set[str] = field(default_factory=set)
    _is_kept: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read which candidates were begun and not ended when an earlier process of the run was."""
        self.folder.units.clear_unfinished()
        known = {fold.index for fold in self.splits.folds}
        for record in self.folder.journal.read():
            if _is_of_an_assignment(record, known):
                begun = (record["key"], record.get("share", 1.0))
                if record["event"] == "started":
                    self._begun[begun] = record["folds"]
                    self.begun_before |= {record["key"]: record["made"]} if isinstance(record.get("made"), dict) else {}
                else:
                    self._begun.pop(begun, None)
                if record.get("too_large"):
                    self._too_large.add(record["key"])
                reason, seconds = record.get("reason"), record.get("seconds")
                if record.get("is_own") is True and isinstance(reason, str) and is_time(seconds):
                    self._failed[begun] = _Failure(reason, seconds)
            elif record["event"] == TOO_LARGE_TO_FINISH and isinstance(record.get("key"), str):
                self._too_large_to_finish.add(record["key"])
            elif record["event"] == "retried":
                self._failed.clear()
                self._too_large.clear()
                self._too_large_to_finish.clear()

    def unit_key(self, candidate: Candidate, fold: Fold, *, share: float = 1.0) -> str:
        """What decides a unit's result, and names its folder."""
        return unit_key(self.dataset, self.splits, candidate=candidate, fold=fold, share=share, seed=self.seed)

    def is_kept(self, candidate: Candidate, *, n_folds: int | None = None, share: float = 1.0, cut_short: bool = False) -> bool:
        """Whether `run` has nothing to train: all of it is in the run folder, or why it failed in an earlier process.

        With `cut_short`: nothing that it must train where time is up, since what a deadline had cut short is there. It may be
        asked again and again: what was looked at is not read anew, neither here nor by `run`.
        """
        asked = candidate.key, n_folds, share, cut_short
        if asked not in self._is_kept:
            smaller = self.smaller_of(candidate, share=share) if candidate.key in self._too_large else None
            either = [candidate] if smaller is None else [candidate, smaller]
            self._is_kept[asked] = any(self._has(each, n_folds, share, cut_short) for each in either)
        return self._is_kept[asked]

    def _has(self, candidate: Candidate, n_folds: int | None, share: float, cut_short: bool) -> bool:
        if (candidate.key, share) in self._failed:
            return True
        for fold in self.splits.folds[:n_folds]:
            unit = self._kept(candidate, fold, share, cut_short=cut_short)
            if unit is None:
                return False
            if not unit.cut_short:
                self._at_hand[unit.key] = unit
        return True

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

        What is finished in the run folder is taken from there; where time is up, what had been cut short too, and always what
        this process itself has cut short: a first fold that raced.
        """
        folds, is_late = self.splits.folds[:n_folds], deadline.passed
        kept = {fold.index: self._kept(candidate, fold, share, cut_short=is_late) for fold in folds}
        missing = [fold.index for fold in folds if kept[fold.index] is None]
        if not missing:
            return self._trial(candidate, family, [unit for unit in kept.values() if unit is not None])
        if candidate.key in self._too_large and (smaller := self._with_smaller_batches(candidate, share)) is not None:
            return self._instead(smaller, family, deadline=deadline, progress=progress, n_folds=n_folds, share=share)
        assignment = self._assigned(candidate, family, missing, share)
        if (candidate.key, share) in self._failed:
            known = self._failed[candidate.key, share]
            return replace(_ended(assignment, Status.FAILED, known.reason), lost_seconds=known.seconds)
        if reason := self._lack_of_disk(family, len(missing)):
            return _ended(assignment, Status.SKIPPED, f"{reason}.")
        try:
            made = self._executed(assignment, deadline=deadline, progress=progress)
        except InterruptedRunError as error:
            return _ended(assignment, Status.SKIPPED, str(error))
        except StorageError as error:
            self.trouble = str(error)
            return _ended(assignment, Status.SKIPPED, str(error))
        except OutOfMemoryError as error:
            self._too_large.add(candidate.key)
            smaller = self._with_smaller_batches(candidate, share)
            if smaller is None:
                return _ended(assignment, Status.FAILED, str(error))
            return self._instead(smaller, family, deadline=deadline, progress=progress, n_folds=n_folds, share=share)
        except TrainingError as error:
            return _ended(assignment, Status.FAILED, str(error))
        self._cut_here |= {unit.key for unit in made if unit.cut_short}
        new = {unit.fold: unit for unit in made}
        return self._trial(candidate, family, [kept[fold.index] or new[fold.index] for fold in folds])

    def _lack_of_disk(self, family: Family, n_units: int) -> str:
        """Why so many units have no room, by what those of their family took so far; "" where they have."""
        self.trouble = self.trouble or self.lack_of_disk(0.0)
        taken = self._taken.get(family.name)
        return self.trouble or (self.lack_of_disk(n_units * median(taken)) if taken else "")

    def _kept(self, candidate: Candidate, fold: Fold, share: float, *, cut_short: bool) -> UnitResult | None:
        """A fold's unit as it was left; what is none of this fold's, as only a stranger can have made it, makes room for one."""
        key = self.unit_key(candidate, fold, share=share)
        if key in self._at_hand:
            return self._at_hand.pop(key)
        task = self.dataset.task
        assert task is not None, "a run's dataset has a task"
        most_numbers = self.dataset.n_samples * max(task.n_judged, task.n_outputs)
        unit = self.folder.units.load(key, most_numbers=most_numbers, cut_short=cut_short or key in self._cut_here)
        if unit is None or self._is_of(unit, fold):
            return unit
        self.folder.units.discard(key)
        return None

    def _is_of(self, unit: UnitResult, fold: Fold) -> bool:
        """Whether it judges the rows of this fold, in the widths of the task."""
        task = self.dataset.task
        assert task is not None, "a run's dataset has a task"
        widths = unit.predictions.shape[1], self.folder.units.array(unit.key, "golden").shape[1]
        is_here = unit.fold == fold.index and np.array_equal(unit.rows, fold.valid)
        said, stop = [unit.predictions], unit.stop_predictions
        if stop is not None:
            is_here &= stop.shape == (len(fold.stop), task.n_outputs)
            said.append(stop)
        return is_here and widths == (task.n_judged, task.n_outputs) and all(bool(np.isfinite(each).all()) for each in said)

    def _instead(
        self,
        smaller: Candidate,
        family: Family,
        *,
        deadline: Deadline,
        progress: Callable[[float], None],
        n_folds: int | None,
        share: float,
    ) -> Trial:
        """The trial of a candidate whose larger batches did not fit into memory."""
        trial = self.run(smaller, family, deadline=deadline, progress=progress, n_folds=n_folds, share=share)
        assert smaller.recipe is not None, "only what has batches can have smaller ones"
        told = f"larger batches did not fit into memory; these have {smaller.recipe.batch_size} rows"
        return replace(trial, reason="; ".join(part for part in (told, trial.reason) if part))

    def _with_smaller_batches(self, candidate: Candidate, share: float) -> Candidate | None:
        """The candidate with a quarter of its batch, once."""
        smaller = None if candidate.key in self._divided else self.smaller_of(candidate, share=share)
        if smaller is not None:
            self._divided.add(smaller.key)
        return smaller

    def smaller_of(self, candidate: Candidate, *, share: float = 1.0) -> Candidate | None:
        """The candidate with a quarter of its batch; None where it has none, or they are small already."""
        n_rows = max(1, round(share * len(self.splits.folds[0].train)))
        batch_size = 0 if candidate.recipe is None else candidate.recipe.pace(n_rows).batch_size
        if candidate.recipe is None or batch_size < SMALLEST_TO_DIVIDE:
            return None
        return replace(candidate, recipe=replace(candidate.recipe, batch_size=batch_size // DIVISOR))

    def _assigned(self, candidate: Candidate, family: Family, missing: Sequence[int], share: float) -> Assignment:
        chosen = tuple(missing) if family.folds_apart else self._together(candidate, missing, share)
        return Assignment(
            candidate=candidate,
            family=family,
            folds=chosen,
            share=share,
            starts=tuple(self.start(candidate, self.splits.folds[index]) for index in chosen),
            patience_seconds=self.patience(candidate, family),
        )

    def _together(self, candidate: Candidate, missing: Sequence[int], share: float) -> tuple[int, ...]:
        """The folds to make: those that are missing; with those that an earlier process had begun together with them.

        Folds are stacked, and who shares a stack decides the last bits of what is learned.
        """
        begun = self._begun.get((candidate.key, share), [])
        return tuple(begun) if set(begun) >= set(missing) else tuple(missing)

    def _executed(self, assignment: Assignment, *, deadline: Deadline, progress: Callable[[float], None]) -> Sequence[UnitResult]:
        """The units made.

        Raises:
            TrainingError: they could not be; it stands in the journal.
        """
        started, facts = time.monotonic(), _facts(assignment)
        made_of = {"made": assignment.candidate.to_plain()} if assignment.share == 1 else {}
        self.folder.journal.append("started", **facts, folds=assignment.folds, **made_of)
        try:
            made = self.executor.execute(assignment, deadline=deadline, progress=progress)
        except (InterruptedRunError, StorageError):
            self._clear_unfinished(assignment)
            raise  # no fault of the candidate: begun it stays
        except Exception as error:
            self._clear_unfinished(assignment)
            reason, seconds, is_memory = describe_failure(error), time.monotonic() - started, is_for_memory(error)
            own = {"too_large": is_memory, "is_own": not is_memory and is_own_fault(error)}
            self.folder.journal.append("failed", **facts, reason=reason, seconds=seconds, **own)
            if any(own.values()):
                self._forget_checkpoints(assignment)
            raise (OutOfMemoryError(reason) if is_memory else TrainingError(reason)) from error
        self.folder.journal.append("finished", **facts, units=[unit.key for unit in made])
        return made

    def _clear_unfinished(self, assignment: Assignment) -> None:
        """What was begun of it; others may be at work beside it."""
        folds = [self.splits.folds[index] for index in assignment.folds]
        self.folder.units.clear_unfinished([self.unit_key(assignment.candidate, fold, share=assignment.share) for fold in folds])

    def _forget_checkpoints(self, assignment: Assignment) -> None:
        """Of what has failed nothing is gone on with."""
        folds = [self.splits.folds[index] for index in assignment.folds]
        keys = [self.unit_key(assignment.candidate, fold, share=assignment.share) for fold in folds]
        for together in [[key] for key in keys] if assignment.family.folds_apart else [keys]:
            self.folder.units.checkpoints(together).clear()

    def finish(self, assignment: Assignment, place: Path, *, deadline: Deadline, progress: Callable[[float], None]) -> None:
        """Fit a candidate on all rows, in the folder `place`; with smaller batches where memory did not do.

        Raises:
            InterruptedRunError: the run was ended meanwhile.
            TrainingError: it could not be, whatever the reason.
        """
        candidate = assignment.candidate
        if candidate.key in self._too_large_to_finish and (smaller := self._with_smaller_batches(candidate, 1.0)) is not None:
            return self.finish(replace(assignment, candidate=smaller), place, deadline=deadline, progress=progress)
        self.folder.journal.append("final fit started", candidate=candidate.name)
        try:
            made = self.executor.finish(assignment, place, deadline=deadline, progress=progress)
        except InterruptedRunError:
            raise
        except Exception as error:
            smaller = self._with_smaller_batches(candidate, 1.0) if is_for_memory(error) else None
            if smaller is None:
                raise TrainingError(str(error) if isinstance(error, CupelError) else describe_failure(error)) from error
            self.folder.journal.append(TOO_LARGE_TO_FINISH, candidate=candidate.name, key=candidate.key)
            self.finish(replace(assignment, candidate=smaller), place, deadline=deadline, progress=progress)
        else:
            self.folder.journal.append("final fit finished", **made)

    def _trial(self, candidate: Candidate, family: Family, units: Sequence[UnitResult]) -> Trial:
        cut_short = any(unit.cut_short for unit in units)
        self._taken.setdefault(family.name, []).extend(size_of(unit.folder) for unit in units)
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


def _is_of_an_assignment(record: Mapping[str, Any], known: set[int]) -> bool:
    """Whether a record of the journal, which a stranger may have written, is one of those that `Runner` reads."""
    key, share, folds = record.get("key"), record.get("share", 1.0), record.get("folds")
    if not isinstance(key, str) or type(share) not in (int, float):
        return False
    if record["event"] == "started":
        return (
            isinstance(folds, list) and all(type(fold) is int for fold in folds) and sorted(set(folds) & known) == sorted(folds)
        )
    return record["event"] in ("finished", "failed")


def _facts(assignment: Assignment) -> dict[str, Any]:
    """What names an assignment in the journal."""
    candidate = assignment.candidate
    return {"candidate": candidate.name, "key": candidate.key} | ({"share": assignment.share} if assignment.share < 1 else {})


def _ended(assignment: Assignment, status: Status, reason: str) -> Trial:
    family = assignment.family
    return Trial(
        candidate=assignment.candidate, is_deep=family.is_deep, is_baseline=family.is_baseline, status=status, reason=reason
    )


def _latency(units: Sequence[UnitResult]) -> dict[str, float]:
    """Of all units, from those that were measured."""
    known = [unit.latency_ms for unit in units if unit.latency_ms]
    names = [name for name in known[0] if all(name in each for each in known)] if known else []
    return {name: len(units) * float(np.mean([each[name] for each in known])) for name in names}


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


def is_own_fault(error: Exception) -> bool:
    """Whether a candidate would fail so again; else it was the time, the machine, or somebody else."""
    if isinstance(error, PassingError | OSError):
        return False
    return isinstance(error, TrainingError) or not isinstance(error, CupelError)


def describe_failure(error: Exception) -> str:
    """One line for the leaderboard: our own messages as they are, others with their kind."""
    text = " ".join(str(error).split()) or "no message"
    if is_for_memory(error) and not isinstance(error, CupelError):
        return f"out of memory ({text}); fewer rows or a smaller model would fit."
    return text if isinstance(error, CupelError) else f"{type(error).__name__}: {text}"[:500] + f"; {FAULT_OF_A_FAMILY}"
