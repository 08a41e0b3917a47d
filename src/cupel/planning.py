"""What would be tried, and what it would take, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from cupel import tuning
from cupel.core.budget import Budget, Effort
from cupel.core.candidate import Candidate
from cupel.core.family import Cost, Family
from cupel.pipeline import effort_named, ground_of, seconds_to_conclude
from cupel.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Longest:
    """The one long run that gets most of the time: after looks at `looked_at`, `candidate` for about `seconds`."""

    looked_at: tuple[str, ...]
    candidate: Candidate
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """A candidate with the estimated cost of all its units, and the `fault` for which it cannot be trained, "" where it can."""

    candidate: Candidate
    family: Family
    cost: Cost
    fault: str


def plan(problem: Problem, *, effort: str | None = None, seconds: float | None = None) -> list[Step]:
    """What would be tried, in order. Trains nothing."""
    model = tuning.TimeModel(problem.estimator())
    planned = [(each.candidate, each.family) for each in _strategy(problem, effort_named(effort, seconds)).planned]
    return [Step(candidate=one, family=kin, cost=model.cost(one, kin), fault=model.fault(one, kin)) for one, kin in planned]


def draws_more(problem: Problem, *, than: int, effort: str | None = None, seconds: float | None = None) -> bool:
    """Whether the search goes on after so many that were planned."""
    return problem.settings.search != "portfolio" and than < ground_of(problem, effort_named(effort, seconds)).n_candidates


def longest(problem: Problem, *, effort: str | None = None, seconds: float | None = None) -> Longest | None:
    """The long run that takes the place of a search where time is short for one; None where there is none."""
    named = effort_named(effort, seconds)
    if named is not Effort.OPEN or seconds is None or len(problem.splits.folds) != 1:
        return None
    model = tuning.TimeModel(problem.estimator())
    whole = max(seconds - seconds_to_conclude(problem, Budget(named, seconds), trials=[]), 0.0)
    run = tuning.LongRun.of(
        _strategy(problem, named), cost=lambda each: model.cost(each.candidate, each.family).seconds, whole=whole
    )
    if run is None:
        return None
    proposal, left = run.foreseen()
    return Longest(looked_at=tuple(each.candidate.name for each in run.looked_at), candidate=proposal.candidate, seconds=left)


def _strategy(problem: Problem, effort: Effort) -> tuning.Strategy:
    return tuning.strategy_named(problem.settings.search, ground_of(problem, effort))
