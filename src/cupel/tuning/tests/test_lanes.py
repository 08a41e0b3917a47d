"""Candidates side by side: as many as there are lanes, taken up as they end, whatever they raise."""

import threading
import time
from dataclasses import replace

import pytest

from cupel.core.budget import Deadline
from cupel.core.trial import Status
from cupel.tuning import search
from cupel.tuning.lanes import Lanes
from cupel.tuning.tests.planted import done, setup_of, strategy, unit_that_took


def test_as_many_work_at_once_as_there_are_lanes():
    meeting = threading.Barrier(3)
    with Lanes(3) as lanes:
        for name in "abc":
            assert not lanes.are_full
            lanes.begin(name, lambda name=name: (meeting.wait(10), name)[1])
        assert lanes.are_full
        assert lanes.at_work == ["a", "b", "c"]
        assert sorted(lanes.first_ended() for _ in range(3)) == ["a", "b", "c"]
        assert lanes.at_work == []


def test_who_ends_first_is_taken_up_first():
    release = threading.Event()
    with Lanes(2) as lanes:
        lanes.begin("slow", lambda: (release.wait(10), "slow")[1])
        lanes.begin("fast", lambda: "fast")
        assert lanes.first_ended() == "fast"
        assert lanes.at_work == ["slow"]
        release.set()
        assert lanes.first_ended() == "slow"


def test_one_lane_works_in_the_thread_of_who_asks():
    with Lanes(1) as lanes:
        lanes.begin("a", threading.get_ident)
        assert lanes.are_full
        assert lanes.first_ended() == threading.get_ident()


@pytest.mark.parametrize("n_lanes", [1, 2])
def test_what_a_candidate_raises_reaches_who_takes_it_up(n_lanes):
    def fails():
        raise ValueError("of its own")

    def asked():
        with Lanes(n_lanes) as lanes:
            lanes.begin("a", fails)
            lanes.first_ended()

    with pytest.raises(ValueError, match="of its own"):
        asked()


class Watching:
    """Runs candidates that take a while, and counts how many are at work."""

    def __init__(self, seconds=0.02):
        self.seconds, self.lock, self.now, self.most, self.names, self.busy = seconds, threading.Lock(), 0, 0, [], 0.0

    def __call__(self, proposal, *, n_folds=None, deadline=None, progress=None):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.names.append(proposal.candidate.name)
        progress(0.5)
        began = time.monotonic()
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
            self.busy += time.monotonic() - began
        return done(proposal, n_folds=n_folds, deadline=deadline, progress=progress)


@pytest.mark.parametrize("name", ["auto", "random", "tpe", "halving-epochs"])
def test_a_search_side_by_side_tries_as_many_and_none_twice(name):
    watching = Watching()
    setup = replace(setup_of(watching), n_lanes=2)
    tried = search(strategy(20, name=name), setup=setup, deadline=Deadline())
    whole = [each for each in tried if not each.proposal.is_screening]
    assert watching.most == 2
    assert len({each.trial.candidate.key for each in whole}) == len(whole)
    assert len({each.proposal.candidate.name for each in whole}) == len(whole) >= 20
    assert sorted(watching.names) == sorted(each.proposal.candidate.name for each in tried)


def test_a_search_side_by_side_fills_its_time_and_ends_with_it():
    watching, seconds = Watching(0.1), 1.5
    setup = replace(setup_of(watching, seconds=0.1), n_lanes=2, fills_time=True)
    began = time.monotonic()
    tried = search(strategy(1000), setup=setup, deadline=Deadline(seconds))
    took = time.monotonic() - began
    assert took < seconds + 0.5
    assert watching.busy > 1.3 * took  # one at a time there would be at most as much
    assert sum(each.trial.status is Status.DONE for each in tried) == len(watching.names)


def test_what_is_at_work_is_the_first_of_its_family_already():
    begun = threading.Event()

    def run(proposal, *, n_folds=None, deadline=None, progress=None):
        if proposal.family.is_deep:
            begun.wait(5)
        else:
            begun.set()
        return done(proposal, n_folds=n_folds, deadline=deadline, progress=progress)

    setup = replace(setup_of(run, seconds=40.0), n_lanes=2, fills_time=True)
    tried = search(strategy(4), setup=setup, deadline=Deadline(200.0))
    families = [each.proposal.family.name for each in tried[:3]]
    assert sorted(families) == ["constant", "deep", "trees"]


def test_of_candidates_side_by_side_the_clock_says_what_they_took():
    def run(proposal, *, n_folds=None, deadline=None, progress=None):
        return replace(done(proposal), units=(unit_that_took(50.0),) * 2)  # two stacks that had half of a core each

    for n_lanes in (1, 2):
        tried = search(strategy(3), setup=replace(setup_of(run), n_lanes=n_lanes, clock=lambda: 0.0), deadline=Deadline())
        assert [each.seconds for each in tried] == [0.0] * len(tried)


def test_a_failure_in_one_lane_waits_for_the_others_and_is_raised():
    ended = []

    def run(proposal, *, n_folds=None, deadline=None, progress=None):
        if proposal.family.is_deep:
            raise RuntimeError("a bug")
        time.sleep(0.1)
        ended.append(proposal.candidate.name)
        return done(proposal)

    with pytest.raises(RuntimeError, match="a bug"):
        search(strategy(8), setup=replace(setup_of(run), n_lanes=2), deadline=Deadline())
    assert ended
