"""Families and runs made for tests of the search: no data, a score that is a function of the config."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from cupel.core.family import Cost, Family
from cupel.core.observer import Silent
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range, When
from cupel.core.task import ROW_KINDS, Task, TaskKind
from cupel.core.trial import Status, Trial, UnitResult
from cupel.tuning import Ground, Search, TimeModel, strategy_named

TASK = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")


@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Range(1, 1000, log=True)] = 10
    rate: Annotated[float, Range(0.0, 1.0)] = 0.5
    kind: Annotated[str, Choice("plain", "fancy")] = "plain"
    fanciness: Annotated[float, Range(0.0, 1.0), When("kind", "fancy")] = 0.1


def family(name, *, n_presets=1, seconds=1.0, deep=False, baseline=False, recipe=None, places=(), memory_bytes=1):
    placed = [*places, *[None] * n_presets][:n_presets]
    presets = [Preset(config=Config(width=10 + i), preparation=None, recipe=recipe, place=p) for i, p in enumerate(placed)]
    return Family(
        name=name,
        source="made for this test",
        tasks=ROW_KINDS,
        config=Config,
        portfolio=lambda task: presets,
        space=lambda task: Space.around(presets[0]),
        cost=lambda *given: Cost(seconds=seconds, memory_bytes=memory_bytes),
        is_deep=deep,
        is_baseline=baseline,
        fit=lambda units, **given: [],
    )


FAMILIES = [family("deep", n_presets=2, deep=True), family("constant", baseline=True), family("trees", n_presets=2)]
WITH_RECIPE = [family("constant", baseline=True), family("deep", deep=True, recipe=Recipe(epochs=90))]


def ground(n_candidates=8, *, seed=0, families=FAMILIES, wishes=None, **given):
    return Ground(families=families, task=TASK, modality="m", n_candidates=n_candidates, seed=seed, wishes=wishes or {}, **given)


def quality(config):
    """Best at width 100, rate 0.8, fancy with much fanciness."""
    bonus = config.fanciness if config.kind == "fancy" else 0.0
    return -((np.log10(config.width) - 2) ** 2) - (config.rate - 0.8) ** 2 + 0.1 * bonus


def done(proposal, *, n_folds=None, deadline=None, progress=None):
    return Trial(
        candidate=proposal.candidate,
        is_deep=proposal.family.is_deep,
        is_baseline=proposal.family.is_baseline,
        status=Status.DONE,
        out_of_fold=np.full((1, 1), quality(proposal.candidate.config)),
    )


def strategy(n_candidates=8, seed=0, name="auto", **given):
    return strategy_named(name, ground(n_candidates, seed=seed, **given))


def setup_of(run=done, *, seconds=1.0, racing=None, n_folds=1, score=None, log=None, memory_bytes=math.inf):
    return Search(
        run=run,
        score=score or (lambda trial: float(trial.out_of_fold[0, 0])),
        show=str,
        sure=lambda trial: "0 to 1",
        n_folds=n_folds,
        time_model=TimeModel(lambda candidate, family: Cost(seconds=seconds, memory_bytes=family.cost().memory_bytes)),
        observer=Silent(),
        racing=racing,
        log=log or (lambda *_, **__: None),
        memory_bytes=memory_bytes,
        clock=lambda: time.monotonic() + sum(PRETENDED),
    )


PRETENDED: list[float] = []
"""Seconds that units pretend to have taken, which the clock of a search has seen and that of a test has not."""


def unit_that_took(seconds):
    PRETENDED.append(seconds)
    rows, predictions = np.arange(1), np.zeros((1, 1))
    return UnitResult(key="", fold=0, rows=rows, predictions=predictions, seconds=seconds, folder=Path())
