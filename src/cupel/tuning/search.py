"""The loop that spends the budget: propose, run, learn, until the strategy or the time is at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.family import Family
from cupel.core.observer import Observer
from cupel.core.trial import Status, Trial
from cupel.tuning.estimate import TimeModel
from cupel.tuning.proposal import Strategy

RunTrial = Callable[[Candidate, Family, Deadline, Callable[[float], None]], Trial]
MIN_SHARE = 0.5
"""A candidate that would get less than this share of the time it needs is skipped once something deep has finished."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the loop needs beside the strategy.

    `run` trains a candidate; `score` judges a usable trial (larger is better) and `show` writes such a score out for people;
    `planned` are the candidates expected, for the estimate of what is left.
    """

    run: RunTrial
    score: Callable[[Trial], float]
    show: Callable[[float], str]
    planned: Sequence[tuple[Candidate, Family]]
    time_model: TimeModel
    observer: Observer


def search(strategy: Strategy, *, setup: Search, deadline: Deadline) -> list[Trial]:
    """Every trial, in the order in which they were proposed, failed and skipped ones among them.

    The first baseline is run even when time is up already: there is always a model.
    """
    trials: list[Trial] = []
    best: tuple[float, str] = (-math.inf, "")
    while (proposed := strategy.propose(trials)) is not None:
        candidate, family = proposed
        left = _seconds_left(setup, len(trials))
        setup.observer.trial_started(
            candidate.name, number=len(trials) + 1, total=max(len(setup.planned), len(trials) + 1), seconds_left=left
        )
        reason = _reason_to_skip(setup, candidate, family, trials=trials, deadline=deadline)
        until = deadline if any(trial.is_usable for trial in trials) or not family.is_baseline else Deadline()
        trial = _skipped(candidate, family, reason) if reason else _run(setup, candidate, family, until)
        trials.append(trial)
        score = setup.score(trial) if trial.is_usable else None
        if score is not None and score > best[0]:
            best = (score, trial.candidate.name)
        shown = setup.show(score) if score is not None else ""
        setup.observer.trial_finished(trial, score=shown, best=best[1], best_score=setup.show(best[0]) if best[1] else "")
    return trials


def _run(setup: Search, candidate: Candidate, family: Family, deadline: Deadline) -> Trial:
    started = time.monotonic()
    trial = setup.run(candidate, family, deadline, setup.observer.trial_progress)
    setup.time_model.learn(trial, family, seconds=max(trial.fit_seconds, time.monotonic() - started))
    return trial


def _seconds_left(setup: Search, n_done: int) -> float:
    return sum(setup.time_model.cost(candidate, family).seconds for candidate, family in setup.planned[n_done:])


def _reason_to_skip(
    setup: Search, candidate: Candidate, family: Family, *, trials: Sequence[Trial], deadline: Deadline
) -> str | None:
    """Why a candidate is not worth starting. Something is always tried: the first usable model, then one deep one."""
    has_model = any(trial.is_usable for trial in trials)
    has_deep = any(trial.is_usable and trial.is_deep for trial in trials)
    if deadline.passed and has_model:
        return "the time was used up before its turn; give the run more time with --time."
    needed = setup.time_model.cost(candidate, family).seconds
    enough = deadline.remaining >= MIN_SHARE * needed
    if has_model and not enough and (has_deep or not family.is_deep):
        return (
            f"it needs about {needed:.0f} s and {max(deadline.remaining, 0):.0f} s were left; give the run more time with --time."
        )
    return None


def _skipped(candidate: Candidate, family: Family, reason: str) -> Trial:
    return Trial(
        candidate=candidate, is_deep=family.is_deep, is_baseline=family.is_baseline, status=Status.SKIPPED, reason=reason
    )
