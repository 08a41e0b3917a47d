"""Units that train themselves: order, and a fair share of the time for each."""

import threading
import time

import pytest

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline


def test_results_come_in_the_order_of_the_units_whoever_ends_first():
    def fit_unit(unit, deadline):
        time.sleep(0.02 * (3 - unit))
        return unit

    assert fit_each([0, 1, 2], fit_unit, threads=3) == [0, 1, 2]


def test_units_that_wait_share_what_is_left():
    given = {}

    def fit_unit(unit, deadline):
        given[unit] = deadline.remaining
        return unit

    fit_each(range(5), fit_unit, threads=2, deadline=Deadline(30.0))
    assert [round(given[unit]) for unit in range(5)] == [10, 10, 15, 15, 30]


def test_a_fold_that_takes_all_it_is_given_leaves_time_for_the_last():
    def fit_unit(unit, deadline):
        while not deadline.passed:
            time.sleep(0.001)
        return unit

    whole = Deadline(0.3)
    assert fit_each(range(3), fit_unit, threads=1, deadline=whole) == [0, 1, 2]
    assert whole.elapsed < 0.4


def test_without_a_cap_nobody_is_hurried():
    given = fit_each(range(3), lambda unit, deadline: deadline.remaining, threads=1)
    assert given == [float("inf")] * 3


def test_no_more_threads_than_asked_for_and_an_error_is_raised():
    running, most, lock = set(), [], threading.Lock()

    def fit_unit(unit, deadline):
        with lock:
            running.add(unit)
            most.append(len(running))
        time.sleep(0.01)
        with lock:
            running.remove(unit)
        if unit == 3:
            raise ValueError("this fold")
        return unit

    with pytest.raises(ValueError, match="this fold"):
        fit_each(range(6), fit_unit, threads=2)
    assert max(most) == 2
