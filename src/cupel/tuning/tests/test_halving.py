"""Many with little, few with everything: what comes of it where time is short, spaces are small, or looks fail."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cupel.core.presets import Space
from cupel.core.recipe import Recipe
from cupel.core.trial import Status
from cupel.tuning import SEARCHES, Tried
from cupel.tuning.strategies import strategy_named
from cupel.tuning.tests.planted import done, family, ground, quality
from cupel.tuning.turns import Turns

N_FOLDS = 5
HALVINGS = [name for name in SEARCHES if name.startswith("halving") or name in ("one-epoch", "hyperband")]
FAMILIES = [
    family("constant", baseline=True, seconds=0.0),
    family("trees", seconds=5.0),
    *(family(name, seconds=seconds, deep=True, recipe=Recipe(epochs=90)) for name, seconds in (("net", 20.0), ("dear", 60.0))),
]


def cost(proposal):
    candidate, n_folds = proposal.candidate, proposal.n_folds or N_FOLDS
    epochs = 1.0 if candidate.recipe is None else max(candidate.recipe.epochs_share, 0.01)
    return proposal.family.cost().seconds * epochs * proposal.share * n_folds / N_FOLDS


def walk(name, families, *, seconds, fills_time=True, n_candidates=10_000, score=None, slowness=1.0):
    """What is tried while time lasts, every one taking so many times what it was estimated at, or what is left."""
    score = score or (lambda each: quality(each.candidate.config))
    strategy = strategy_named(name, ground(n_candidates, families=families))
    turns = Turns(strategy=strategy, cost=cost, whole=seconds, fills_time=fills_time)
    waiting, tried, left = list(strategy.planned), [], seconds
    while left > 0:
        proposal, most = turns.next(waiting, tried, left=left)
        if proposal is None:
            break
        took = min(slowness * cost(proposal), most, left)
        left -= took
        found = score(proposal)
        trial = replace(done(proposal), status=Status.FAILED if found is None else Status.DONE)
        tried.append(Tried(proposal=proposal, trial=trial, score=found, seconds=took, estimated=cost(proposal)))
    return tried


def whole_of(tried):
    return [each for each in tried if not (each.proposal.is_screening or each.proposal.family.is_baseline)]


@pytest.mark.parametrize("given", [{}, {"fills_time": False, "n_candidates": 24}])
@pytest.mark.parametrize("name", HALVINGS)
def test_looks_never_take_the_time_that_the_best_of_them_needs(name, given):
    tried = walk(name, FAMILIES, seconds=30.0, **given)
    first = whole_of(tried)[0]
    looks = [each for each in tried[: tried.index(first)] if each.proposal.is_screening]
    assert len(looks) > 5
    assert first.seconds == cost(first.proposal)
    assert first.score == max(each.score for each in looks)


@pytest.mark.parametrize("name", HALVINGS)
def test_looks_that_take_longer_than_estimated_leave_more_time_for_the_best(name):
    first = whole_of(walk(name, FAMILIES[:2], seconds=18.0, slowness=3.0))[0]
    assert first.seconds > 0.9 * 3.0 * cost(first.proposal)


def test_of_those_that_survive_the_best_are_trained_first():
    whole = whole_of(walk("halving-rows", FAMILIES, seconds=math.inf, n_candidates=10))
    scores = [each.score for each in whole]
    assert len(scores) == 9
    assert scores == sorted(scores, reverse=True)


def test_where_nothing_fits_whole_something_is_begun_nevertheless():
    families = [FAMILIES[0], family("net", seconds=100.0, deep=True, recipe=Recipe(epochs=90))]
    for name in (*HALVINGS, "random", "tpe", "grid"):
        whole = whole_of(walk(name, families, seconds=60.0))
        assert [each.proposal.family.name for each in whole] == ["net"]


@pytest.mark.parametrize("name", HALVINGS)
def test_a_space_of_one_point_is_looked_at_once_and_then_is_over(name, monkeypatch):
    drawn, draw = [], Space.sample

    def counted(*given):
        drawn.append(1)
        assert len(drawn) < 1000, "it draws on and on"
        return draw(*given)

    monkeypatch.setattr(Space, "sample", counted)
    fixed = {"only": {"width": 10, "rate": 0.5, "kind": "plain"}}
    strategy = strategy_named(name, ground(10_000, families=[FAMILIES[0], family("only")], wishes=fixed))
    tried = [Tried(proposal=each, trial=done(each), score=0.0) for each in strategy.planned]
    while (proposal := strategy.propose(tried)) is not None:
        tried.append(Tried(proposal=proposal, trial=done(proposal), score=0.0))
    assert [each.proposal.family.name for each in whole_of(tried)] == ["only"]


@pytest.mark.parametrize("nothing", [None, math.nan])
@pytest.mark.parametrize("name", [name for name in HALVINGS if name != "hyperband"])  # its last brackets look at nobody
def test_whose_look_came_to_nothing_is_not_trained_whole(name, nothing):
    def score(proposal):
        return nothing if proposal.family.name.startswith("broken") else quality(proposal.candidate.config)

    families = [FAMILIES[0], *(family(f"broken{place}") for place in range(9)), family("sound")]
    whole = whole_of(walk(name, families, seconds=math.inf, n_candidates=4, score=score))
    assert {each.proposal.family.name for each in whole} == {"sound"}


def test_where_no_look_can_be_scored_some_are_trained_all_the_same():
    whole = whole_of(walk("halving-rows", FAMILIES, seconds=math.inf, n_candidates=4, score=lambda _: np.nan))
    assert len(whole) == 3
