"""The whole story on one page: from a file to a proven, packed predictor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import all_rows, data, execution, making, tuning
from cupel.conclusion import Beside, conclude
from cupel.core import machine, registry
from cupel.core.budget import Budget, Deadline, Effort, seconds_in
from cupel.core.cache import Cache
from cupel.core.errors import DataError, InterruptedRunError, StorageError, UsageError
from cupel.core.limits import Limits
from cupel.core.observer import Observer
from cupel.core.plain_lines import observer_of
from cupel.core.settings import Settings
from cupel.core.stopwatch import NESTED, Stopwatch
from cupel.core.trial import Trial
from cupel.dividing import divided_for
from cupel.earlier import kept_before
from cupel.more_rows import FEWEST_SECONDS, SHARE_OF_TIME, worth_of_more_rows
from cupel.nesting import Nesting
from cupel.problem import Problem, understand
from cupel.run import Run
from cupel.runners import SHARE_OF_MEMORY, most_lanes, n_lanes_for, runner_of
from cupel.version import __version__
from cupel.yardstick import comparer, scorer, show_interval, show_score

Array = NDArray[Any]
SHARE_TO_CONCLUDE = 0.03
MOST_ROWS_TO_PROVE = 50_000
"""With more rows there are fewer resamples."""
SECONDS_TO_PACK_A_BYTE = 2.5e-7
SECONDS_TO_PROVE_A_TRIAL = 0.15
"""Combinations of few candidates are sooner found, and found again on resamples."""
MOST_STRETCHED = 0.25
"""Of the time, for what goes slowly here."""


def fit(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    effort: str | None = None,
    time: str | float | None = None,
    out: str | Path | None = None,
    settings: Settings | None = None,
    limits: Limits | None = None,
    progress: Observer | str = "auto",
) -> Run:
    """From a file or a table to a proven, packed predictor.

    `source` is a path, a database URL, a pandas or polars frame, an Arrow table, a dict of columns or a NumPy array; or a
    folder of pictures, one folder for each class, which names its target itself. A `target` of several columns of 0 and 1 is as
    many labels that may hold together; so is one column of sets, with `Settings(task="multilabel")`.
    `effort` is quick, standard or thorough: how many candidates are tried, the same on every machine. `time`
    ("10min") caps the wall time; without an effort it is used up ("open"), without both the effort is standard.
    `out` is the run folder; asking the same again goes on where it stopped. `limits` are on memory, disk and cores.
    `progress` is what is shown meanwhile: "auto", plain lines once it has taken two seconds; "plain", "none", or an observer.

    ```python
    run = cupel.fit("churn.csv", "Churn", effort="quick")
    print(run.verdict)
    ```

    Raises:
        DataError: the data cannot be read or learned from.
        UsageError: a setting is unknown or does not fit.
        RunConflictError: `out` answers another question, or is in use.
        NoModelError: nothing usable was found; the leaderboard in the run folder says why.
        StorageError: the run folder cannot be written any more.
        InterruptedRunError: Ctrl-C or SIGTERM came before there was a model; later ones end the search with the best so far.
    """
    stopwatch, settings, limits = Stopwatch(), settings or Settings(), (limits or Limits()).for_time(seconds_in(time))
    seconds = limits.seconds
    budget, deadline = Budget(effort_named(effort, seconds), seconds), Deadline(seconds, began=limits.began)
    _demand_an_order(budget, limits)
    observer = observer_of(progress, memory_bytes=limits.memory_bytes)
    begin_worker(observer, limits, n_workers=most_lanes(budget, limits))
    registry.load_families()
    with machine.held_to(limits.cores), closing(observer):
        problem = understand(
            source, target, settings=settings, observer=observer, stopwatch=stopwatch, seconds=seconds or math.inf, limits=limits
        )
        problem = divided_for(problem, seconds=seconds or math.inf, begun=execution.split_of(folder_for(out, source)))
        ground = ground_of(problem, budget.effort)
        strategy = tuning.strategy_named(problem.settings.search, ground)  # one that cannot be is refused before a folder is made
        asked = question(problem, source, budget=budget, limits=limits)
        demand_disk(problem, folder_for(out, source), limits=limits)
        with (
            execution.RunFolder(folder_for(out, source), most_bytes=limits.disk_bytes) as folder,
            execution.Interruption(observer.message) as interruption,
            closing(execution.Chronicle(observer, folder.journal, stopwatch=stopwatch)) as told,
        ):
            if folder.settle_question(asked):
                told.message(f"going on with the run in {folder.path}")
            problem = problem.kept_in(Cache(folder.path / "cache", deadline))
            guard = execution.Guard(folder.path, limits, is_interrupted=lambda: interruption.is_asked)
            nesting = Nesting.of(problem, folder.path, effort=budget.effort)
            own, until = nesting.own_part(budget, deadline)
            tried, promises = _tried(
                problem, folder, strategy, guard, budget=own, deadline=until, observer=told, stopwatch=stopwatch
            )
            _keep_study(folder, tried, ground=ground, observer=observer)
            trials = _demand_model([each.trial for each in tried], folder, is_interrupted=interruption.is_asked)
            kept = seconds_to_conclude(problem, budget, trials=trials)
            with stopwatch.stage(NESTED) if nesting.folds else nullcontext():
                beside = Beside(promises=promises, nested=nesting.carried_out(
                    partial(_searched_within, budget=budget, guard=guard), left=lambda: deadline.remaining - kept,
                    end=guard.reason_to_end, observer=told, folder=folder,
                ))  # fmt: skip
            return conclude(problem, folder, trials, deadline=deadline, observer=told, stopwatch=stopwatch, beside=beside)


def _demand_model(trials: list[Trial], folder: execution.RunFolder, *, is_interrupted: bool) -> list[Trial]:
    """The trials, one of which must be usable where the run was interrupted.

    Raises:
        InterruptedRunError: none is.
    """
    if is_interrupted and not any(trial.is_usable for trial in trials):
        raise InterruptedRunError(f"interrupted before there was a model; `cupel resume {folder.path}` goes on.")
    return trials


def _demand_an_order(budget: Budget, limits: Limits) -> None:
    """Refuse what would make an effort's candidates depend on who ends first.

    Raises:
        UsageError: several at once are asked for, and an effort.
    """
    if (limits.at_once or 1) > 1 and budget.effort is not Effort.OPEN:
        raise UsageError(
            f"at_once is {limits.at_once}, and the effort is {budget.effort.value}, whose candidates are the same on every "
            f"machine, since one is tried after the other; leave --at-once out, or give --time without an effort."
        )


def begin_worker(observer: Observer, limits: Limits, *, n_workers: int = 1) -> None:
    """Let a worker import what it needs while the data are read; where there is none, tell what that means."""
    if limits.workers:
        execution.prepare_worker(n_workers)
    else:
        observer.message("no worker process: all is trained in this one, whose crash would end the run; memory is not watched")


def demand_disk(problem: Problem, folder: Path, *, limits: Limits) -> None:
    """Raises:
    UsageError: a limit on a new run's folder leaves no room for what is written before the first candidate.
    """  # fmt: skip
    if limits.disk_bytes is not None and not (folder / "run.yaml").exists():
        given = making.handover(problem, units=folder, kept_bytes=0.0).n_bytes if limits.workers else 0
        execution.Guard(folder, limits).demand_disk(given)


def _keep_study(folder: execution.RunFolder, tried: Sequence[tuning.Tried], *, ground: tuning.Ground, observer: Observer) -> None:
    """What was tried, for Optuna's dashboard; no run ends for want of it.

    Raises:
        StorageError: the run folder was removed or replaced.
    """
    folder.demand_own()
    try:
        tuning.write_study(folder.path / "study.log", tried, ground=ground)
    except (OSError, RuntimeError, ValueError) as error:
        folder.demand_own()
        observer.message(f"study.log, which Optuna's dashboard reads, was not written ({error}); the run goes on")


def _searched_within(
    problem: Problem,
    folder: execution.RunFolder,
    seconds: float | None,
    observer: Observer,
    *,
    budget: Budget,
    guard: execution.Guard,
) -> list[Trial]:
    """What the same search as that of the whole run tries on the rows of an outer fold's run; raises as `search`."""
    own, until, stopwatch = replace(budget, seconds=seconds), Deadline(seconds), Stopwatch()
    strategy = tuning.strategy_named(problem.settings.search, ground_of(problem, own.effort))
    tried = search(problem, folder, strategy, budget=own, deadline=until, observer=observer, stopwatch=stopwatch, guard=guard)
    return [each.trial for each in tried]


def _kept_for_more_rows(problem: Problem, budget: Budget) -> float:
    """What is kept of a capped run to learn what more rows are worth: nothing where it would be too little to begin.

    Nor where time is so short that the rows are divided once: what is trained is then cut short, and nothing compares with it.
    """
    if problem.settings.split == data.TENTH:
        return 0.0
    share = SHARE_OF_TIME * (budget.seconds or 0.0)
    return share if share >= FEWEST_SECONDS else 0.0


def resume(
    folder: str | Path,
    *,
    source: Any = None,
    time: str | float | None = None,
    effort: str | None = None,
    limits: Limits | None = None,
    progress: Observer | str = "auto",
    retry_failed: bool = False,
) -> Run:
    """Go on with a run that was stopped, or give it more time or effort.

    `source` says where the data are now, for those that have moved, were in memory, or are in a database that wants a password.
    Without `time` a run that was stopped has what its last process left of its time, as far as the journal tells, and one that
    had concluded what that process was given; without a cap it has none. Caps that `limits` leave open are those of the run.
    What has failed by its own fault stays so, unless `retry_failed`. Nothing is downloaded without `Limits(allow_network=True)`,
    whatever the run was allowed.
    `progress` is as in `fit`.

    Raises:
        DataError: there is no run in the folder, or one that cannot be gone on with, or its data are gone.
        RunConflictError: the data have changed since.
    """
    asked = execution.read_run(Path(folder))
    if asked.get("refit"):
        raise UsageError(f"{folder} is a refit; go on with the same `cupel refit RUN DATA --out {folder}`.")
    source = execution.source_of(Path(folder), asked) if source is None else source
    if source is None:
        raise UsageError(
            f"the run in {folder} was started from a table in memory; call cupel.fit again with it and out={str(folder)!r}."
        )
    limits = (limits or Limits()).completed(asked.get("limits"))
    settings = Settings.from_plain(asked["settings"], allow_network=limits.allow_network)
    effort = effort or execution.said_in(Path(folder), asked, name="effort")
    if effort is None:
        raise DataError(f"the run.yaml in {folder} does not say of what effort the run is; name one with --effort.")
    time = execution.seconds_left(Path(folder), asked) if time is None else time
    if retry_failed:
        _retry_failed(Path(folder))
    if effort != Effort.OPEN.value and limits.at_once == (asked.get("limits") or {}).get("at_once"):
        limits = replace(limits, at_once=None)  # said for a run that the clock had ended
    return fit(source, asked["target"], effort=effort, time=time, out=folder, settings=settings, limits=limits, progress=progress)


def _retry_failed(folder: Path) -> None:
    """Note, in a run and in those of its outer folds, that what has failed is to be tried again."""
    with execution.RunFolder(folder) as opened:  # it refuses links, among them those to runs elsewhere
        opened.journal.append("retried")
        for begun in sorted((folder / "nested").glob("*/journal")):
            with execution.RunFolder(begun.parent) as inner:
                inner.journal.append("retried")


def memory_for_candidates(problem: Problem, budget: Budget, *, limits: Limits) -> float:
    """Bytes that a candidate of such a run may take here and now, beside those at its side; what needs more is skipped.

    Raises:
        UsageError: the limit on memory is too low for anything to be trained.
    """
    guard = execution.Guard(Path(), limits)
    return SHARE_OF_MEMORY * guard.memory_bytes() / n_lanes_for(problem, budget, guard=guard)


def question(problem: Problem, source: Any, *, budget: Budget, limits: Limits | None = None) -> dict[str, Any]:
    """Everything needed to repeat a run or to go on with it, for `run.yaml`."""
    return {
        "target": problem.task.target,
        "source": data.to_be_kept(str(source)) if isinstance(source, str | Path) else None,
        "settings": problem.settings.to_plain(),
        "fingerprint": problem.dataset.fingerprint,
        "splits": problem.splits.describe(),
        "task": {**problem.task.to_json(), "kind": problem.task.kind.value, "classes": list(problem.task.classes)},
        "effort": budget.effort.value,
        "seconds": budget.seconds,
        "limits": (limits or Limits()).to_plain(),
        "weights": [weights.to_json() for weights in problem.weights],
        "version": __version__,
        "machine": machine.describe(),
        "data": data.facts_of(problem.dataset, n_rows=None if problem.whole is None else problem.whole.n_rows),
    }


def effort_named(name: str | None, seconds: float | None) -> Effort:
    """The effort of that name; without one standard, or, where there is a cap, all that fits into it.

    Raises:
        UsageError: there is none.
    """
    if name is None:
        return Effort.STANDARD if seconds is None else Effort.OPEN
    if name == Effort.OPEN and seconds is None:
        raise UsageError("the effort 'open' ends when the time does, and no time was given; add --time.")
    try:
        return Effort(name)
    except ValueError as error:
        raise UsageError(f"effort {name!r} is unknown; choose {', '.join(effort.value for effort in Effort)}.") from error


def folder_for(out: str | Path | None, source: Any) -> Path:
    """The run folder: the one asked for, or `runs/<name of the file>`."""
    if out is not None:
        return Path(out)
    name = Path(str(source)).name.split(".")[0] if isinstance(source, str | Path) and "://" not in str(source) else "table"
    return Path("runs") / (name or "table")


def _tried(
    problem: Problem,
    folder: execution.RunFolder,
    strategy: tuning.Strategy,
    guard: execution.Guard,
    *,
    budget: Budget,
    deadline: Deadline,
    observer: Observer,
    stopwatch: Stopwatch,
) -> tuple[list[tuning.Tried], dict[str, Any]]:
    """Everything that was tried, and what more rows would be worth."""
    for_rows = _kept_for_more_rows(problem, budget)
    with stopwatch.stage("searching"), runner_of(problem, folder, guard=guard, budget=budget, stopwatch=stopwatch) as runner:
        until = deadline.minus(for_rows + all_rows.seconds_kept(problem, budget.seconds))
        tried = _search(problem, runner, strategy, guard, budget=budget, deadline=until, observer=observer)
        if runner.trouble and not any(each.trial.is_usable for each in tried):
            raise StorageError(runner.trouble)
        if runner.trouble or guard.reason_to_end():
            return tried, {}
        runner.executor.stopwatch = Stopwatch()  # what it takes counts for this stage
        with stopwatch.stage("learning from fewer rows"):
            seconds = None if budget.seconds is None else for_rows
            promises = worth_of_more_rows(problem, tried, run=runner.run, seconds=seconds, observer=observer)
        _fit_final(problem, tried, runner, budget=budget, deadline=deadline, observer=observer, stopwatch=stopwatch)
        return tried, promises


def _fit_final(
    problem: Problem,
    tried: Sequence[tuning.Tried],
    runner: execution.Runner,
    *,
    budget: Budget,
    deadline: Deadline,
    observer: Observer,
    stopwatch: Stopwatch,
) -> None:
    """Fit on all rows where the search saw some of them only."""
    if problem.whole is None:
        return
    observer.stage("fitting the best on all rows")
    to_conclude = seconds_to_conclude(problem, budget, trials=[each.trial for each in tried]) + all_rows.seconds_to_judge(problem)
    until = deadline.minus(to_conclude)
    with stopwatch.stage("fitting on all rows"):
        all_rows.fit_final(problem, tried, runner=runner, deadline=until, progress=observer.stage_progress)


def search(
    problem: Problem,
    folder: execution.RunFolder,
    strategy: tuning.Strategy,
    *,
    budget: Budget,
    deadline: Deadline,
    observer: Observer,
    stopwatch: Stopwatch,
    start: execution.Start | None = None,
    guard: execution.Guard | None = None,
) -> list[tuning.Tried]:
    """Everything that the strategy tried; what the run folder holds is taken from there. `start` is as in `execution.Runner`.

    Raises:
        StorageError: the run folder cannot be written any more, so that some of it was not tried.
    """
    guard = guard or execution.Guard(folder.path, Limits())
    with stopwatch.stage("searching"), runner_of(problem, folder, guard=guard, budget=budget, stopwatch=stopwatch) as runner:
        if start is not None:
            runner.start = start
        tried = _search(problem, runner, strategy, guard, budget=budget, deadline=deadline, observer=observer)
        if runner.trouble:
            raise StorageError(runner.trouble)
        return tried


def _search(
    problem: Problem,
    runner: execution.Runner,
    strategy: tuning.Strategy,
    guard: execution.Guard,
    *,
    budget: Budget,
    deadline: Deadline,
    observer: Observer,
) -> list[tuning.Tried]:
    observer.stage("training candidates")
    score = scorer(problem)

    def run(proposal: tuning.Proposal, *, n_folds: int | None, deadline: Deadline, progress: Callable[[float], None]) -> Trial:
        return runner.run(
            proposal.candidate, proposal.family, deadline=deadline, progress=progress, n_folds=n_folds, share=proposal.share
        )

    abreast = runner.executor if isinstance(runner.executor, execution.SideBySide) else None
    n_lanes = abreast.n_at_once if abreast else 1
    setup = tuning.Search(
        run=run,
        score=lambda trial: _score_of(trial, score),
        show=partial(show_score, problem),
        sure=partial(show_interval, problem),
        n_folds=len(problem.splits.folds),
        time_model=tuning.TimeModel(problem.estimator()),
        observer=observer,
        racing=tuning.Racing(comparer(problem)) if problem.settings.racing else None,
        log=runner.folder.journal.append,
        memory_bytes=SHARE_OF_MEMORY * guard.memory_bytes() / n_lanes,
        n_lanes=n_lanes,
        call_off=abreast.call_off if abreast else lambda: None,
        to_conclude=lambda trials: seconds_to_conclude(problem, budget, trials=trials),
        fills_time=budget.effort is Effort.OPEN,
        reason_to_end=lambda: runner.trouble or guard.reason_to_stop(),
        is_kept=lambda proposal, n_folds: runner.is_kept(proposal.candidate, n_folds=n_folds, share=proposal.share),
        is_left=lambda proposal: runner.is_kept(proposal.candidate, cut_short=True),
        is_begun=lambda proposal: proposal.candidate.key in runner.begun_before,
        kept_before=cache(partial(kept_before, problem, runner)),
    )
    with abreast.apart() if abreast else nullcontext():
        tried = tuning.search(strategy, setup=setup, deadline=deadline)
    if words := tuning.estimates_in_words(tried):
        observer.message(words)
    return tried


def _score_of(trial: Trial, score: Callable[[Array, Array], float]) -> float:
    """The score on the rows that the trial has predicted."""
    assert trial.out_of_fold is not None, "asked only of trials with predictions"
    rows = np.flatnonzero(np.isfinite(trial.out_of_fold).all(axis=1))
    return score(trial.out_of_fold[rows], rows)


def ground_of(problem: Problem, effort: Effort) -> tuning.Ground:
    """What is searched; families that were asked for by name are all seen, however little is to be spent."""
    n_candidates = tuning.N_CANDIDATES[effort]
    return tuning.Ground(
        families=problem.families,
        task=problem.task,
        modality=problem.modality.name,
        n_candidates=max(n_candidates, len(problem.families)) if problem.settings.families else n_candidates,
        seed=problem.settings.seed,
        wishes=problem.settings.space,
        every_family_first=bool(problem.settings.families),
        unfelt=problem.modality.unfelt(problem.dataset) if problem.modality.unfelt is not None else frozenset(),
    )


def seconds_to_conclude(problem: Problem, budget: Budget, *, trials: Sequence[Trial]) -> float:
    """Time kept back for ensemble, verdict, report and packing; never more than half of what was given.

    Models of many trees take long to combine, check and compress; two of the largest may be packed. Where the machine is slow, or
    others use it, all of that takes longer.
    """
    if budget.seconds is None:
        return 0.0
    n_samples, n_outputs = problem.dataset.n_samples, problem.task.n_judged
    work = min(n_samples, MOST_ROWS_TO_PROVE) / 8_000 + n_samples * n_outputs / 100_000
    work += SECONDS_TO_PROVE_A_TRIAL * sum(trial.is_usable for trial in trials)
    work += SECONDS_TO_PACK_A_BYTE * sum(sorted(trial.n_bytes for trial in trials)[-2:])
    more = min((machine.SPEED.slowness - 1.0) * work, MOST_STRETCHED * budget.seconds)
    return min(min(3.0, 0.15 * budget.seconds) + SHARE_TO_CONCLUDE * budget.seconds + work + more, budget.seconds / 2)
