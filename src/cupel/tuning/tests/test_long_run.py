"""What most of a short time goes into, where the rows are divided once."""

from dataclasses import replace

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.trial import Status, Trial
from cupel.tuning import Racing, search
from cupel.tuning.long_run import LEAST_SHARE, SHARE_OF_A_LOOK, LongRun
from cupel.tuning.proposal import Prospects, Tried
from cupel.tuning.strategies import WORTH_SHARE
from cupel.tuning.tests.planted import done, family, setup_of, strategy

WHOLE = 100.0
SECONDS = {400: 900.0, 200: 200.0, 100: 100.0}
"""Of the networks of one long run, by width; those that are looked at take 60."""


def cost(proposal):
    return SECONDS.get(proposal.candidate.config.width, 60.0 if proposal.family.is_deep else 5.0)


def longer(preset):
    """Its rate tells of which preset a long run is made."""
    return [replace(preset, config=replace(preset.config, width=width, rate=preset.config.width / 100)) for width in SECONDS]


NETWORKS = replace(family("networks", n_presets=3, deep=True, seconds=60.0, places=[1, 2, 6]), longer=longer)
FAMILIES = [family("constant", baseline=True), family("trees", seconds=5.0), family("others", deep=True, seconds=30.0), NETWORKS]


def walked(*, whole=WHOLE, name="auto", racing=None, second=0.9, status=Status.CUT_SHORT, wishes=None, begun=None):
    """Everything that is next in a long run, with the seconds that it may take."""
    asked = strategy(10_000, name=name, families=FAMILIES, wishes=wishes)
    run = LongRun.of(
        asked, cost=cost, whole=whole, racing=racing, is_begun=lambda proposal: proposal.candidate.config.width == begun
    )
    waiting, tried, found = list(asked.planned), [], []
    while run is not None and (drawn := run.next(waiting, tried, left=0.8 * whole)) is not None:
        proposal, score = drawn[0], second if drawn[0].candidate.name == "networks-2" else 0.9
        trial = replace(done(proposal), status=status, out_of_fold=np.full((1, 1), score))
        trial = replace(trial, out_of_fold=None) if status is Status.FAILED else trial
        tried.append(Tried(proposal=proposal, trial=trial, score=score))
        found.append((proposal.candidate, drawn[1]))
    return found


def test_two_short_looks_are_followed_by_one_long_run_with_all_that_is_left():
    looks, (long, seconds) = walked()[:2], walked()[2]
    assert [(each.name, most) for each, most in looks] == [
        ("networks-1", SHARE_OF_A_LOOK * WHOLE),
        ("networks-2", SHARE_OF_A_LOOK * WHOLE),
    ]
    assert (long.name, long.config.width, seconds, len(walked())) == ("networks-long", 100, 0.8 * WHOLE, 3)


def test_the_largest_is_trained_that_gets_enough_of_what_it_needs():
    assert LEAST_SHARE * SECONDS[200] <= 0.8 * 150.0
    assert walked(whole=150.0)[2][0].config.width == 200
    assert walked(whole=10.0)[2][0].config.width == 100


def test_one_that_an_earlier_process_has_begun_is_gone_on_with_however_little_time_is_left():
    assert walked(whole=10.0, begun=200)[2][0].config.width == 200
    assert walked(whole=150.0, begun=100)[2][0].config.width == 100


@pytest.mark.parametrize("asked", [{"whole": 3000.0}, {"whole": np.inf}, {"name": "portfolio"}, {"name": "hyperband"}])
def test_there_is_none_where_there_is_time_for_a_search_or_another_is_asked_for(asked):
    assert walked(**asked) == []


def test_there_is_none_where_no_look_gave_a_model():
    assert [each.name for each, _ in walked(status=Status.FAILED)] == ["networks-1", "networks-2"]


@pytest.mark.parametrize(("chance", "made_of"), [(0.96, 0.10), (0.94, 0.11), (0.1, 0.11)])
def test_what_regularises_more_is_taken_unless_it_is_clearly_worse(chance, made_of):
    assert walked(racing=Racing(lambda *_, rows: chance))[2][0].config.rate == made_of


@pytest.mark.parametrize(("second", "made_of"), [(0.8, 0.10), (0.9, 0.11)])
def test_without_racing_the_better_look_is_taken(second, made_of):
    assert walked(second=second)[2][0].config.rate == made_of


def test_wishes_hold_for_the_long_run_too():
    assert walked(wishes={"networks": {"width": [10, 50]}})[2][0].config.width == 50


def run_of(*, n_folds=1, fills_time=True, seconds=60.0):
    """Names in the order in which a whole search trained them, each at an estimate of so many seconds."""
    setup = setup_of(taking, seconds=seconds, n_folds=n_folds)
    found = search(strategy(6, families=FAMILIES), setup=replace(setup, fills_time=fills_time), deadline=Deadline(WHOLE))
    return [each.trial.candidate.name for each in found if each.trial.status is Status.DONE]


def taking(proposal, **given) -> Trial:
    return done(proposal)


def test_a_search_on_one_division_makes_the_long_run_first_and_one_on_folds_makes_none():
    assert run_of()[:4] == ["constant-1", "networks-1", "networks-2", "networks-long"]
    assert "networks-long" not in run_of(n_folds=3)
    assert "networks-long" not in run_of(fills_time=False)


def test_looks_and_the_long_run_hurry_however_much_they_would_need():
    assert run_of(seconds=4000.0)[:4] == ["constant-1", "networks-1", "networks-2", "networks-long"]


@pytest.mark.parametrize("hurries", [True, False])
def test_what_can_hurry_is_drawn_while_most_of_what_it_needs_is_left(hurries):
    networks = replace(family("networks", deep=True, seconds=60.0), hurries=hurries)
    asked = strategy(10_000, families=[family("constant", baseline=True), networks])
    tried = [Tried(proposal=each, trial=done(each), score=0.5, seconds=60.0) for each in asked.planned]
    drawn = asked.propose(tried, Prospects(left=60.0 * WORTH_SHARE + 1, cost=cost, fills_time=True))
    assert (drawn is not None) is hurries
    assert asked.propose(tried, Prospects(left=60.0 * WORTH_SHARE - 1, cost=cost, fills_time=True)) is None
