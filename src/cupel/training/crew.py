"""Divides the folds of a candidate into stacks, and trains the stacks on the cores there are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from cupel.core.budget import Deadline
from cupel.training.watch import Watch

Group = list[int]
Teach = Callable[[Sequence[int], Watch], None]

N_STACKS = 2
"""On a processor, however many cores it has: who shares a stack with whom decides the last bits of what is learned, and a seed
should give the same models everywhere. Further cores work within the products of a stack."""
SECONDS_WORTH_A_THREAD = 1e-3
SECONDS_BETWEEN_REPORTS = 0.1


def is_worth_a_thread(seconds_per_step: float) -> bool:
    """Whether stacks of such models are worth a thread each; what a step of smaller ones costs is mostly fixed."""
    return seconds_per_step >= SECONDS_WORTH_A_THREAD


def divided(keys: Sequence[Hashable], *, n_stacks: int) -> list[Group]:
    """Positions of models that are trained as one stack each; models of different keys cannot share one.

    Two stacks at a time use two cores better than two threads within a matrix product, which wait for one another, above all
    while other programs run.
    """
    alike: dict[Hashable, Group] = {}
    for position, key in enumerate(keys):
        alike.setdefault(key, []).append(position)
    groups = [group[part::n_stacks] for group in alike.values() for part in range(min(n_stacks, len(group)))]
    return sorted(groups, key=len, reverse=True)


def work_on(groups: Sequence[Group], teach: Teach, *, deadline: Deadline, progress: Callable[[float], None] | None) -> None:
    """Call `teach` for each group, all at the same time, so that a deadline finds none untrained; what one raises is raised."""
    if len(groups) == 1:
        teach(groups[0], Watch(deadline, report=progress))
        return
    watches = [Watch(deadline) for _ in groups]
    with ThreadPoolExecutor(len(groups), thread_name_prefix="training") as threads:
        futures = [threads.submit(teach, group, watch) for group, watch in zip(groups, watches, strict=True)]
        try:
            _wait(futures, lambda: _done(groups, watches), progress)
        finally:
            for watch in watches:
                watch.call_off()  # those that have ended do not notice


def _wait(futures: Sequence[Future[None]], done: Callable[[], float], progress: Callable[[float], None] | None) -> None:
    waiting: set[Future[None]] = set(futures)
    while waiting:
        ended, waiting = wait(waiting, timeout=SECONDS_BETWEEN_REPORTS, return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()
        if progress is not None:
            progress(done())


def _done(groups: Sequence[Group], watches: Sequence[Watch]) -> float:
    n_models = sum(len(group) for group in groups)
    return sum(len(group) * watch.fraction for group, watch in zip(groups, watches, strict=True)) / n_models
