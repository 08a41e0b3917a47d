"""Nested cross-validation: the whole run again on the rows outside of each outer fold, judged by the rows inside it."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation, execution, unsealing, verdict
from cupel.conclusion import packed_model, proven
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.cache import Cache
from cupel.core.errors import NoModelError, StorageError
from cupel.core.observer import Observer
from cupel.core.restoring import restored
from cupel.core.split import Splits
from cupel.core.stopwatch import Stopwatch
from cupel.core.storage import npy, write_bytes, write_json
from cupel.core.trial import Trial
from cupel.core.untrusted import parsed_array, parsed_json, read_bytes
from cupel.dividing import divide, outer_parts
from cupel.problem import Problem
from cupel.verdict.measures import as_judged
from cupel.yardstick import show_score

Array = NDArray[Any]
FOLDER, RUN, PREDICTIONS = "nested", "run.json", "predictions.npy"
FINISHED = "outer fold"
"""The journal's word for it."""
FEWEST_SECONDS = 30.0
"""A run with less chooses from next to nothing, and what is judged is little like the run that packs."""
MOST_FACTS_BYTES, MOST_PREDICTION_BYTES = 1 << 20, 8 << 30
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)
Conduct = Callable[[Problem, execution.RunFolder, float | None, Observer], Sequence[Trial]]
"""`conduct(problem, folder, seconds, observer)`: everything that a search of so many seconds (None: no cap) tried.

It raises a StorageError where some of it could not be tried, since the folder could not be written.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class OuterFold:
    """A part of the rows, `judged`, and how all others are divided for a run on them alone. `number` counts from 1."""

    number: int
    judged: Array
    splits: Splits

    @property
    def learned(self) -> Array:
        """Rows that the run has, sorted."""
        parts = (part for fold in self.splits.folds for part in (fold.train, fold.stop, fold.valid))
        return np.unique(np.concatenate(list(parts)))

    @property
    def n_learned(self) -> int:
        """How many these are."""
        return len(self.learned)


@dataclass(frozen=True, kw_only=True, eq=False)
class Done:
    """A finished outer run and its predictions for the rows of its fold, in their order."""

    run: verdict.OuterRun
    predictions: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Nesting:
    """The outer folds of a run; nothing where none were asked for. Finished ones are kept in the run folder at `path`."""

    problem: Problem
    path: Path
    effort: Effort
    folds: tuple[OuterFold, ...]

    @classmethod
    def of(cls, problem: Problem, path: Path, *, effort: Effort) -> Nesting:
        """As the settings of the problem ask.

        Raises:
            DataError, UsageError: the rows cannot be divided so often.
        """
        return cls(problem=problem, path=path, effort=effort, folds=tuple(_outer_folds(problem)))

    @property
    def waiting(self) -> list[OuterFold]:
        """Those that no earlier process has finished."""
        return [fold for fold in self.folds if self.kept(fold) is None]

    def own_part(self, budget: Budget, deadline: Deadline) -> tuple[Budget, Deadline]:
        """What the search on all rows may take: as much as each outer fold that is still to come; all where there are none."""
        if budget.seconds is None or not self.folds:
            return budget, deadline
        seconds = max(deadline.remaining, 0.0) / (len(self.waiting) + 1)
        return replace(budget, seconds=seconds), deadline.within(seconds)

    def place(self, fold: OuterFold) -> Path:
        """Where an outer fold is kept."""
        return self.path / FOLDER / str(fold.number)

    def kept(self, fold: OuterFold) -> Done | None:
        """The outer run as an earlier process finished it; None where none has, with the same rows and effort."""
        try:
            facts = parsed_json(read_bytes(self.place(fold) / RUN, most_bytes=MOST_FACTS_BYTES))
            if (facts["key"], facts["effort"]) != (fold.splits.key, self.effort.value):
                return None
            content = read_bytes(self.place(fold) / PREDICTIONS, most_bytes=MOST_PREDICTION_BYTES)
            predictions = parsed_array(content, dtype=np.float64, n_axes=2)
            told = {name: math.nan if value is None else value for name, value in facts["run"].items()}  # of one class no ROC-AUC
            run = restored(verdict.OuterRun, told, what="an outer fold")
        except _DAMAGED:
            return None
        return Done(run=run, predictions=predictions) if len(predictions) == len(fold.judged) else None

    def keep(self, fold: OuterFold, done: Done) -> None:
        """Write a finished outer run; what it trained is removed, since nothing is packed of it."""
        place = self.place(fold)
        write_bytes(place / PREDICTIONS, npy(done.predictions))
        write_json(place / RUN, {"key": fold.splits.key, "effort": self.effort.value, "run": asdict(done.run)})
        for name in ("units", "checkpoints", "cache"):
            shutil.rmtree(place / name, ignore_errors=True)

    def carried_out(
        self,
        conduct: Conduct,
        *,
        left: Callable[[], float],
        end: Callable[[], str],
        observer: Observer,
        folder: execution.RunFolder,
    ) -> verdict.Nested | None:
        """The score of all outer runs, those that are not finished yet carried out first; None where there are none.

        `left` says how many seconds may be taken for all that is still to come, and `end` why nothing more should be begun, ""
        while it should. Each finished run is a line in the journal of `folder`.
        """
        waiting, reasons = self.waiting, []
        if waiting:
            observer.message(_announced(len(waiting), of=len(self.folds), seconds=left() / len(waiting)))
        for place, fold in enumerate(waiting):
            n_later = len(waiting) - place - 1
            share = left() / (n_later + 1)
            reason = end() or ("time was up; `cupel resume` goes on" if share <= 0 else "")
            if reason:
                reasons.append(reason)
                break
            told = _Within(observer, fold.number, of=len(self.folds), n_later=n_later)
            reasons.append(self._carry_out(fold, conduct, seconds=share, end=end, observer=told))
            if (done := self.kept(fold)) is not None:
                folder.journal.append(FINISHED, number=fold.number, of=len(self.folds), pick=done.run.pick, score=done.run.score)
                observer.message(told.line(self.problem, done.run))
        return self._judged("; ".join(filter(None, dict.fromkeys(reasons))))

    def _carry_out(self, fold: OuterFold, conduct: Conduct, *, seconds: float, end: Callable[[], str], observer: Observer) -> str:
        """Run on the rows outside of a fold and keep what comes of it; why nothing has, else ""."""
        started, deadline = time.monotonic(), Deadline(None if math.isinf(seconds) else seconds)
        with execution.RunFolder(self.place(fold)) as folder:
            inner = replace(self.problem, splits=fold.splits, findings=()).kept_in(Cache(folder.path / "cache", deadline))
            try:
                trials = conduct(inner, folder, None if math.isinf(seconds) else seconds, observer)
            except StorageError as error:
                return str(error)
            if reason := end():
                return reason
            try:
                found = proven(inner, folder, trials, deadline=deadline, stopwatch=Stopwatch())
            except NoModelError as error:
                return f"without fold {fold.number} {error}"
            said = unsealing.said_of(inner, fold.judged, model=packed_model(inner, folder, pick=found.pick))
        metric = evaluation.metric_named(self.problem.task.metric, self.problem.task)
        answered = as_judged(metric, said, decision=found.uncertainty.decision)
        expected = found.verdict.expected
        run = verdict.OuterRun(
            number=fold.number,
            n_learned=fold.n_learned,
            n_judged=len(fold.judged),
            pick=found.verdict.pick.name,
            n_candidates=found.verdict.n_candidates,
            expected=expected.estimate,
            low=expected.low,
            high=expected.high,
            score=evaluation.score(metric, self.problem.target[fold.judged], answered),
            seconds=time.monotonic() - started,
        )
        self.keep(fold, Done(run=run, predictions=np.asarray(answered, np.float64)))
        return ""

    def _judged(self, missing: str) -> verdict.Nested | None:
        finished = [(fold, done) for fold in self.folds if (done := self.kept(fold)) is not None]
        n_missing = len(self.folds) - len(finished)
        return verdict.nested_of(
            self.problem.task,
            [done.run for _, done in finished],
            judged=[(fold.judged, done.predictions) for fold, done in finished],
            target=self.problem.target,
            groups=self.problem.splits.units,
            asked=(
                len(self.folds),
                f"The others are missing: {missing.rstrip('.')}." if n_missing else "",
            ),
            is_mutual=_teach_one_another([fold for fold, _ in finished]),
        )


def _announced(n_waiting: int, *, of: int, seconds: float) -> str:
    """What follows, and whether there is time for it."""
    how_many = f"each of {of} outer folds" if n_waiting == of else f"{n_waiting} of {of} outer folds; the others are done"
    told = f"now the same without {how_many}"
    if math.isinf(seconds):
        return told
    few = "; that is little to search in, give more --time or fewer --outer-folds" if seconds < FEWEST_SECONDS else ""
    return f"{told}, about {max(seconds, 0.0):.0f} s each{few}"


def _outer_folds(problem: Problem) -> Iterator[OuterFold]:
    if not problem.settings.nested:
        return
    for number, (learned, judged) in enumerate(outer_parts(problem), 1):
        splits = divide(problem.dataset, problem.settings, twins=problem.twins, among=learned)
        yield OuterFold(number=number, judged=judged, splits=splits)


def _teach_one_another(folds: Sequence[OuterFold]) -> bool:
    """Whether rows of two outer folds are in the run that predicts the other's, as they are not over time."""
    if len(folds) < 2:
        return False
    first, last = folds[0], folds[-1]
    return bool(np.isin(first.judged, last.learned).any() and np.isin(last.judged, first.learned).any())


class _Within:
    """An observer of a run on an outer fold: tells what it hears with the fold's number, and the time left of all."""

    def __init__(self, observer: Observer, number: int, *, of: int, n_later: int) -> None:
        self._observer, self._number, self._of, self._n_later = observer, number, of, n_later
        self._started = time.monotonic()

    def line(self, problem: Problem, run: verdict.OuterRun) -> str:
        """What came of it, and how long the later ones will take at this pace."""
        metric = evaluation.metric_named(problem.task.metric, problem.task)
        score, expected = (show_score(problem, metric.sign * value) for value in (run.score, run.expected))
        seconds = (time.monotonic() - self._started) * self._n_later
        later = f"; about {seconds:.0f} s for the {self._n_later} still to come" if self._n_later else ""
        return f"outer fold {self._number} of {self._of}: {score} on {run.n_judged:,} rows, {expected} expected{later}"

    def stage(self, name: str) -> None:
        self._observer.stage(f"outer fold {self._number} of {self._of}: {name}")

    def stage_progress(self, fraction: float) -> None:
        self._observer.stage_progress(fraction)

    def message(self, text: str) -> None:
        self._observer.message(text)

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        elapsed = time.monotonic() - self._started
        later, allowed = self._n_later * (elapsed + seconds_left), self._n_later * (elapsed + time_left)
        own = {"seconds_left": seconds_left + later, "time_left": time_left + allowed}
        self._observer.trial_started(name, number=number, total=total, **own)

    def trial_progress(self, name: str, fraction: float) -> None:
        self._observer.trial_progress(name, fraction)

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        self._observer.trial_finished(trial, score=score, best=best, best_score=best_score)

    def close(self) -> None:
        """Others follow."""
