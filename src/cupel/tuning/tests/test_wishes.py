"""What users wish for in a space: met, or refused before anything runs."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.errors import UsageError
from cupel.core.presets import Preset, Space
from cupel.tuning import search
from cupel.tuning.tests.planted import Config, family, setup_of, strategy


def run_all(strategy):
    return [each.trial for each in search(strategy, setup=setup_of(), deadline=Deadline())]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"nobody": {"rate": 1}}, "nobody"),
        ({"*": {"nothing": 1}}, "nothing"),
        ({"*": {"kind": "huge"}}, "huge"),
        ({"trees": {"nothing": 1}}, "trees"),
        ({"trees": {"kind": "huge"}}, "plain, fancy"),
        ({"trees": {"rate": [1, 0]}}, "smaller first"),
        ({"trees": {"width": {"low": 0, "log": True}}}, "above 0"),
        ({"trees": {"rate": {"from": 1}}}, "cannot be read"),
        ({"trees": {"rate": "much"}}, "a number"),
        ({"trees": {"fanciness": 0.5, "kind": "plain"}}, "'fanciness' matters only where 'kind' is 'fancy', and it never is"),
        ({"*": {"fanciness": 0.5, "kind": "plain"}}, "matters only where 'kind' is 'fancy'"),
        ({"trees": {"rate": [-0.5, 0.5]}}, "0 or more"),
        ({"trees": {"rate": [0.1, 0.2, -0.3]}}, "0 or more"),
        ({"trees": {"rate": []}}, "cannot be read"),
        ({"trees": {"width": 0}}, "0 is no value for 'width'; expected a number of 1 or more"),
        ({"trees": {"width": {"low": 0, "high": 5, "log": False}}}, "1 or more"),
        ({"trees": {"width": np.array([-1, 5, 7])}}, "-1 is no value for 'width'"),
        ({"trees": {"width": [0.5, 3.5]}}, "0.5 is no value for 'width'; expected a whole number"),
        ({"trees": {"width": 2.5}}, "2.5 is no value for 'width'; expected a whole number"),
        ({"trees": {"width": {"high": math.inf}}}, "inf is no value for 'width'"),
        ({"trees": {"rate": [0, math.inf]}}, "inf is no value for 'rate'; expected a finite number"),
        ({"trees": {"rate": [0.1, math.nan, 0.2]}}, "nan is no value for 'rate'"),
    ],
)
def test_a_wish_that_cannot_be_met_says_so_before_anything_runs(wishes, words):
    with pytest.raises(UsageError, match=words):
        strategy(wishes=wishes)


def test_of_options_for_all_each_family_takes_those_that_it_knows():
    trials = run_all(strategy(12, name="random", wishes={"*": {"kind": ["fancy", "unheard of"]}}))
    assert {trial.candidate.config.kind for trial in trials} == {"fancy"}


@pytest.mark.parametrize("wish", [np.geomspace(0.1, 0.4, 3), list(np.geomspace(0.1, 0.4, 3)), [np.float64(0.1), 0.2, 0.4]])
def test_a_wish_may_be_of_numbers_of_numpy(wish):
    trials = run_all(strategy(12, name="random", wishes={"trees": {"rate": wish, "width": [np.int64(7), np.int64(31)]}}))
    configs = [trial.candidate.config for trial in trials if trial.candidate.family == "trees"]
    assert {round(config.rate, 6) for config in configs} == {0.1, 0.2, 0.4}
    assert all(7 <= config.width <= 31 for config in configs)


def test_a_wish_for_what_matters_in_a_preset_alone_is_met_there():
    fancy = Preset(config=Config(kind="fancy", width=20), preparation=None)
    plain = Preset(config=Config(width=10), preparation=None)
    one = replace(
        family("networks"), portfolio=lambda task: [plain, fancy], space=lambda task: Space.around(plain, config={"kind": None})
    )
    for wishes in ({"networks": {"fanciness": 0.7}}, {"*": {"fanciness": 0.7}}):
        planned = strategy(families=[one], wishes=wishes, name="portfolio").planned
        assert [(each.candidate.config.kind, each.candidate.config.fanciness) for each in planned][1] == ("fancy", 0.7)


def test_a_range_may_be_extended_beyond_what_is_declared():
    trials = run_all(strategy(25, name="random", wishes={"*": {"width": {"low": 5000, "high": 9000}}}))
    assert all(5000 <= trial.candidate.config.width <= 9000 for trial in trials)
