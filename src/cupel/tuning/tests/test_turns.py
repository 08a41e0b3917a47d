"""Who is next where time is short and all of it is to be used."""

from dataclasses import replace

import numpy as np
import pytest

from cupel.core.trial import Status
from cupel.tuning import Tried
from cupel.tuning.samplers import frozen, sampler_named
from cupel.tuning.strategies import _disappointments, strategy_named
from cupel.tuning.tests.planted import FAMILIES, done, family, ground
from cupel.tuning.turns import HURRIED_SHARE, LARGEST_SHARE, Turns

WHOLE = 300.0


def walk(families, *, scores, whole=WHOLE, fills_time=True, search="auto", raced_out=(), as_what=Status.DROPPED):
    """Names in the order in which they are tried, every one taking what it was estimated at; and what was tried."""
    strategy = strategy_named(search, ground(10_000, families=families))
    turns = Turns(strategy=strategy, cost=lambda each: each.family.cost().seconds, whole=whole, fills_time=fills_time)
    waiting, tried, left = list(strategy.planned), [], whole
    while left > 0:
        proposal, seconds = turns.next(waiting, tried, left=left)
        if proposal is None:
            break
        took = min(proposal.family.cost().seconds, seconds, left)
        left -= took
        name = proposal.family.name
        is_dropped = name in raced_out
        trial = replace(done(proposal), status=as_what if is_dropped else Status.DONE)
        tried.append(Tried(proposal=proposal, trial=trial, score=None if is_dropped else scores[name], seconds=took))
    return [each.trial.candidate.name for each in tried], tried


def seconds_on(tried, *names):
    return sum(each.seconds for each in tried if each.proposal.family.name in names)


CONSTANT = family("constant", baseline=True, seconds=0.0)
TREES = family("trees", n_presets=3, seconds=5.0, places=[1, 4, 5])
SCORES = {"constant": 0.0, "trees": 0.9, "first": 0.5, "second": 0.6, "third": 0.7}


def deep(name, *, seconds=60.0, places=(2, 3, 6)):
    return family(name, n_presets=len(places), seconds=seconds, deep=True, places=list(places))


def test_a_dear_second_of_a_family_comes_after_the_first_of_another():
    names, _ = walk([CONSTANT, TREES, deep("first"), deep("second", places=[7])], scores=SCORES)
    assert [name for name in names if name.startswith(("first", "second"))][:2] == ["first-1", "second-1"]


def test_without_time_to_fill_what_is_planned_keeps_its_order():
    names, _ = walk([CONSTANT, TREES, deep("first"), deep("second", places=[7])], scores=SCORES, fills_time=False, whole=1000.0)
    assert names[:8] == ["constant-1", "trees-1", "first-1", "first-2", "trees-2", "trees-3", "first-3", "second-1"]


def test_who_did_best_gets_as_much_time_as_dear_first_ones_do():
    families = [CONSTANT, TREES, deep("first"), deep("second", places=[7]), deep("third", places=[8])]
    _, tried = walk(families, scores=SCORES)
    new = [each for each in tried if each.proposal.candidate.name in ("second-1", "third-1")]
    assert seconds_on(tried, "trees") >= 60.0
    assert sum(each.seconds for each in new) <= (WHOLE - 60.0) / 2 + 60.0


def test_the_better_and_the_cheaper_are_drawn_more_often():
    families = [CONSTANT, TREES, deep("first", places=[2])]
    _, behind = walk(families, scores=SCORES)
    _, ahead = walk(families, scores={**SCORES, "first": 0.95})
    assert seconds_on(ahead, "first") > seconds_on(behind, "first")


def test_of_the_family_whose_turn_it_is_what_was_planned_comes_before_what_is_drawn():
    names, _ = walk([CONSTANT, deep("first")], scores=SCORES)
    assert names == ["constant-1", "first-1", "first-2", "first-3", "first-4", "first-5"]


def test_what_does_not_fit_any_more_is_not_proposed():
    names, tried = walk([CONSTANT, TREES, deep("first", places=[2])], scores={**SCORES, "first": 0.95}, whole=100.0)
    assert seconds_on(tried, "first") == pytest.approx(60.0)
    assert "first-2" not in names


def test_the_first_of_a_family_may_hurry_where_it_gets_most_of_what_it_needs():
    assert LARGEST_SHARE * WHOLE < 150.0
    families = [CONSTANT, TREES, deep("first", places=[2]), deep("second", seconds=150.0, places=[3])]
    _, tried = walk(families, scores=SCORES)
    assert seconds_on(tried, "second") == pytest.approx(HURRIED_SHARE * WHOLE)
    families[-1] = deep("second", seconds=900.0, places=[3])
    _, tried = walk(families, scores=SCORES)
    assert seconds_on(tried[:-1], "second") == 0.0


@pytest.mark.parametrize(("seconds", "tried"), [(1300.0, "second-1"), (900.0, "first-1")])
def test_one_deep_candidate_is_tried_however_dear_it_is_the_first_of_those_that_are_about_as_cheap_as_any(seconds, tried):
    families = [CONSTANT, TREES, deep("first", seconds=seconds, places=[2]), deep("second", seconds=600.0, places=[3])]
    names, _ = walk(families, scores=SCORES)
    assert names == ["constant-1", "trees-1", "trees-2", "trees-3", tried]


def test_a_strategy_that_draws_nothing_leaves_what_is_planned_to_be_run():
    names, _ = walk([CONSTANT, TREES, deep("first")], scores=SCORES, search="portfolio")
    assert names == ["constant-1", "trees-1", "first-1", "trees-2", "trees-3", "first-2", "first-3"]


@pytest.mark.parametrize("status", [Status.DROPPED, Status.FAILED])
def test_a_family_whose_draws_come_to_nothing_is_drawn_ever_more_seldom(status):
    families = [CONSTANT, TREES, family("near", n_presets=1, seconds=5.0, places=[2])]
    scores = {**SCORES, "near": 0.8}
    _, welcome = walk(families, scores=scores)
    _, in_vain = walk(families, scores=scores, raced_out={"near"}, as_what=status)
    assert seconds_on(in_vain, "near") < seconds_on(welcome, "near") / 3


def test_what_was_skipped_makes_no_draws_welcome_that_came_to_nothing():
    tried = [
        Tried(proposal=proposal, trial=replace(done(proposal), status=status), score=None)
        for proposal in strategy_named("auto", ground()).planned[1:2]
        for status in (Status.DONE, Status.FAILED, Status.DROPPED, Status.SKIPPED)
    ]
    assert _disappointments(tried, tried[0].proposal.family) == 2


def test_a_preset_outside_of_the_space_teaches_a_sampler_nothing_about_the_default():
    space = ground().space(FAMILIES[0])
    inside = space.preset({"width": 20, "rate": 0.9})
    narrow = replace(space, dimensions={"rate": space.dimensions["rate"]}, parts={"rate": "config"})
    assert (space.holds(inside), narrow.holds(inside)) == (True, False)
    assert frozen(space, inside, score=1.0).params == {"width": 20, "rate": 0.9, "kind": "plain"}
    assert frozen(narrow, inside, score=1.0) is None
    assert frozen(narrow, narrow.preset({"rate": 0.9}), score=1.0).params == {"rate": 0.9}


def test_where_candidates_were_raced_out_less_is_drawn():
    space = ground().space(FAMILIES[0])
    generator = np.random.default_rng(0)
    history = [(space.preset({"rate": rate, "width": 10}), 1.0 if rate > 0.7 else -np.inf) for rate in generator.random(30)]
    drawn = {}
    for told in (history, [(preset, score if np.isfinite(score) else None) for preset, score in history]):
        sampler = sampler_named("tpe", space, seed=0)
        drawn[told is history] = np.mean([sampler.draw(told).config.rate > 0.7 for _ in range(30)])
    assert drawn[True] > drawn[False]
