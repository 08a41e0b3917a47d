"""How long candidates are expected to take, from what others took."""

from dataclasses import replace

import pytest

from cupel.core.family import Cost
from cupel.core.trial import Status
from cupel.tuning import TimeModel
from cupel.tuning.tests.planted import done, family, strategy


def model_of(seconds):
    return TimeModel(lambda candidate, family: Cost(seconds=seconds, memory_bytes=1))


def test_estimates_are_corrected_by_what_was_observed():
    model = model_of(2.0)
    proposal = strategy().planned[0]
    assert model.cost(proposal.candidate, proposal.family).seconds == 2.0
    model.learn(done(proposal), proposal.family, seconds=6.0)
    assert model.cost(proposal.candidate, proposal.family).seconds == pytest.approx(6.0)


def test_what_was_cut_short_raises_its_familys_estimate_and_lowers_none():
    model = model_of(10.0)
    deep = next(each for each in strategy().planned if each.family.is_deep)
    kin, trees = family("kin", deep=True), next(each.family for each in strategy().planned if each.family.name == "trees")

    def learn(status, seconds):
        model.learn(replace(done(deep), status=status), deep.family, seconds=seconds)
        return [model.cost(deep.candidate, each).seconds for each in (deep.family, kin, trees)]

    assert learn(Status.CUT_SHORT, 8.0) == [10.0, 10.0, 10.0]
    assert learn(Status.CUT_SHORT, 40.0) == pytest.approx([40.0, 10.0, 10.0])
    assert learn(Status.CUT_SHORT, 30.0) == pytest.approx([40.0, 10.0, 10.0])
    assert learn(Status.DONE, 20.0) == pytest.approx([30.0, 20.0, 20.0])


def test_how_long_trees_took_says_nothing_of_networks():
    model = model_of(10.0)
    deep, trees = (next(each for each in strategy().planned if each.family.name == name) for name in ("deep", "trees"))
    model.learn(done(trees), trees.family, seconds=1.0)
    assert model.cost(trees.candidate, family("more trees")).seconds == pytest.approx(1.0)
    assert model.cost(deep.candidate, deep.family).seconds == 10.0
