import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, Preset
from cupel.core.observer import Silent
from cupel.core.space import Range, sample
from cupel.core.task import Task, TaskKind
from cupel.core.trial import Status, Trial
from cupel.tuning import PortfolioThenRandom, Search, TimeModel, search

TASK = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")


@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Range(1, 1000)] = 10


def family(name, *, n_presets=1, seconds=1.0, deep=False, baseline=False):
    return Family(
        name=name,
        source="made for this test",
        tasks=frozenset(TaskKind),
        config=Config,
        portfolio=lambda task: [Preset(config=Config(width=10 + i), preparation=None) for i in range(n_presets)],
        search=lambda task, seed: Preset(config=sample(Config, seed=seed), preparation=None),
        cost=lambda *given: Cost(seconds=seconds, memory_bytes=1),
        is_deep=deep,
        is_baseline=baseline,
        fit=lambda units, **given: [],
    )


FAMILIES = [family("deep", n_presets=2, deep=True), family("constant", baseline=True), family("trees", n_presets=2)]


def strategy(n_candidates=8, seed=0):
    return PortfolioThenRandom(FAMILIES, TASK, modality="m", n_candidates=n_candidates, seed=seed)


def run_all(strategy, *, run, deadline=None, seconds=1.0):
    setup = Search(
        run=run,
        score=lambda trial: float(trial.out_of_fold[0, 0]),
        show=str,
        planned=strategy.candidates,
        time_model=TimeModel(lambda candidate, family: Cost(seconds=seconds, memory_bytes=1)),
        observer=Silent(),
    )
    return search(strategy, setup=setup, deadline=deadline or Deadline())


def done(candidate, family, until, progress):
    return Trial(
        candidate=candidate,
        is_deep=family.is_deep,
        is_baseline=family.is_baseline,
        status=Status.DONE,
        out_of_fold=np.ones((1, 1)),
    )


def test_baselines_come_first_then_every_family_then_second_presets():
    names = [candidate.name for candidate, _ in strategy().candidates]
    assert names[:5] == ["constant-1", "trees-1", "deep-1", "trees-2", "deep-2"]


def test_the_number_of_candidates_is_the_effort_and_none_is_tried_twice():
    candidates = [candidate for candidate, _ in strategy(30).candidates]
    assert len(candidates) == 30
    assert len({candidate.key for candidate in candidates}) == 30
    assert len({candidate.name for candidate in candidates}) == 30


def test_the_same_seed_gives_the_same_candidates_and_another_seed_others():
    keys = [[candidate.key for candidate, _ in strategy(20, seed).candidates] for seed in (0, 0, 1)]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_every_family_is_seen_even_with_the_smallest_budget():
    assert {candidate.family for candidate, _ in strategy(1).candidates} == {"deep", "constant", "trees"}


def test_without_a_cap_everything_is_run():
    assert all(trial.status is Status.DONE for trial in run_all(strategy(), run=done))


def test_when_time_is_up_the_rest_is_skipped_with_a_reason_and_one_deep_model_is_tried():
    def slow(candidate, family, until, progress):
        time.sleep(0.06)
        return done(candidate, family, until, progress)

    trials = run_all(strategy(), run=slow, deadline=Deadline(0.1), seconds=100.0)
    assert [trial.status for trial in trials[:3]] == [Status.DONE, Status.SKIPPED, Status.DONE]
    assert all(trial.status is Status.SKIPPED and "--time" in trial.reason for trial in trials[3:])


def test_something_is_tried_even_when_time_was_up_before_it_began():
    trials = run_all(strategy(), run=done, deadline=Deadline(0.0))
    assert trials[0].status is Status.DONE
    assert all(trial.status is Status.SKIPPED for trial in trials[1:])


def test_estimates_are_corrected_by_what_was_observed():
    model = TimeModel(lambda candidate, family: Cost(seconds=2.0, memory_bytes=1))
    (candidate, kind), *_ = strategy().candidates
    assert model.cost(candidate, kind).seconds == 2.0
    model.learn(done(candidate, kind, None, None), kind, seconds=6.0)
    assert model.cost(candidate, kind).seconds == pytest.approx(6.0)
