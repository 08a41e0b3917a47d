"""What trains the candidates of a run: one after the other on all cores, or several at once on a share of them each."""

from __future__ import annotations

import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from cupel import execution, making, tuning
from cupel.core import machine
from cupel.core.budget import Budget, Effort
from cupel.core.errors import TrainingError
from cupel.core.family import Cost, Family
from cupel.core.limits import Limits
from cupel.core.presets import Preset
from cupel.core.stopwatch import Stopwatch
from cupel.problem import Problem

LEAST_PATIENCE_SECONDS, TIMES_ESTIMATED = 1800.0, 30.0
"""So long, or so many times what all of a candidate is estimated to take, its training may get no further."""
SHARE_FOR_PREPARED = 0.1
"""Of the memory that is available when the search begins: prepared folds that are kept for the candidates to come."""
LEAST_SECONDS_FOR_LANES, MOST_LANES, BYTES_OF_A_LANE = 120.0, 4, 2_000_000_000
"""With less time candidates are trained one after the other; so many at once at most, and so much memory for each at least."""
SHARE_OF_MEMORY, SHARE_OF_DISK = 0.75, 0.25
"""Of what is free: what all that are at work may take together, and the data that is handed over to further workers."""


@contextmanager
def runner_of(
    problem: Problem, folder: execution.RunFolder, *, guard: execution.Guard, budget: Budget, stopwatch: Stopwatch
) -> Iterator[execution.Runner]:
    """What runs candidates, by worker processes or in this one."""
    disk_bytes, handed = guard.limits.disk_bytes, folder.path / execution.HANDOVER
    give = partial(making.handover, problem, units=folder.units.folder, disk_bytes=disk_bytes, run=guard.folder)
    n_lanes = n_lanes_for(problem, budget, guard=guard, handed_bytes=give(kept_bytes=0.0).n_bytes)
    given = give(kept_bytes=SHARE_FOR_PREPARED * guard.memory_bytes() / n_lanes)
    for left in folder.path.glob(f"{execution.HANDOVER}-*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    execution.keep_idle_workers(n_lanes)
    to_hand_over = given.n_bytes if disk_bytes is not None and guard.limits.workers else 0
    is_off = threading.Event()
    watched = partial(
        execution.Watched,
        given,
        log=folder.journal.append,
        memory_bytes=guard.limits.memory_bytes or math.inf,
        is_to_end=lambda: is_off.is_set() or guard.is_to_end(),
    )
    executor: execution.Executor
    if not guard.limits.workers:
        executor = making.maker(given, stopwatch=stopwatch, is_to_end=guard.is_interrupted)
    elif n_lanes == 1:
        executor = watched(handed, stopwatch=stopwatch)
    else:
        places = [handed, *(folder.path / f"{execution.HANDOVER}-{place}" for place in range(1, n_lanes))]
        lanes = [watched(place, stopwatch=Stopwatch()) for place in places]
        executor = execution.SideBySide(lanes, stopwatch=stopwatch, call_off=is_off.set)
    estimate = problem.estimator()
    with closing(executor):
        yield execution.Runner(
            dataset=problem.dataset,
            splits=problem.splits,
            folder=folder,
            executor=executor,
            seed=problem.settings.seed,
            lack_of_disk=lambda needed: guard.lack_of_disk(needed + (0 if handed.exists() else to_hand_over)),
            patience=lambda *asked: max(LEAST_PATIENCE_SECONDS, TIMES_ESTIMATED * estimate(*asked).seconds),
        )


def most_lanes(budget: Budget, limits: Limits) -> int:
    """How many candidates may be trained at once, whatever the data: several where the clock decides what is tried anyway.

    One where time is short, since what is best alone should then have all; where memory or disk is held to a limit, which is
    watched for one; and where cores are a quota, and none of them one's own.
    """
    is_capped = limits.memory_bytes is not None or limits.disk_bytes is not None
    is_short = limits.at_once is None and (budget.seconds or 0.0) < LEAST_SECONDS_FOR_LANES
    if budget.effort is not Effort.OPEN or is_capped or is_short or not limits.workers:
        return 1
    n_own = len(os.sched_getaffinity(0))
    n_cores = machine.usable_cores() if machine.usable_cores() == n_own else 1
    return min(n_cores, limits.cores or n_cores, limits.at_once or MOST_LANES)


def n_lanes_for(problem: Problem, budget: Budget, *, guard: execution.Guard, handed_bytes: int = 0) -> int:
    """How many candidates are trained at once, each on its share of the cores.

    As many as may be, and as the largest first one of a family leaves memory for. One where a candidate takes all cores by
    itself, and where the search compares candidates by their order.
    """
    most = most_lanes(budget, guard.limits)
    if most == 1 or _takes_all_cores(problem) or problem.settings.search in tuning.BY_RUNGS:
        return 1
    estimate = problem.estimator()
    needed = max([BYTES_OF_A_LANE, *(_memory_of_first(problem, family, estimate) for family in problem.families)])
    by_disk = 1 + SHARE_OF_DISK * shutil.disk_usage(guard.folder).free / max(handed_bytes, 1)
    return max(1, int(min(most, SHARE_OF_MEMORY * guard.memory_bytes() / needed, by_disk)))


def _memory_of_first(problem: Problem, family: Family, estimate: Callable[[Preset, Family], Cost]) -> float:
    try:
        return estimate(family.portfolio(problem.task)[0], family).memory_bytes
    except TrainingError:  # told when its turn comes
        return 0.0


def _takes_all_cores(problem: Problem) -> bool:
    """Whether a candidate has something for every core from its beginning to its end, or a device that is one for all."""
    has_device = problem.settings.device != "cpu" and machine.may_have_gpu()
    is_one = len(problem.splits.folds) == 1 or any(family.folds_apart for family in problem.families)
    return has_device or is_one or bool(problem.weights)
