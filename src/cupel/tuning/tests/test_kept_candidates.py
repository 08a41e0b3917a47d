"""What an earlier process of a run has trained is taken up again, however little time or memory is left."""

from dataclasses import replace

import pytest

from cupel.core.budget import Deadline
from cupel.core.trial import Status
from cupel.tuning import Racing, search
from cupel.tuning.tests.planted import done, family, setup_of, strategy, unit_that_took

SECONDS = 400.0
FAMILIES = [family("constant", baseline=True), family("deep", n_presets=2, deep=True), family("trees", n_presets=2)]


def named(proposal):
    return proposal.candidate.name.split(" of ")[0]


class Folder:
    """Knows which folds of which candidates earlier searches have trained, and what this one trains."""

    def __init__(self, *, n_folds=1):
        self.n_folds, self.known, self.trained, self.asked, self.now = n_folds, {}, [], {}, 0.0

    def run(self, proposal, *, n_folds=None, **given):
        name, n_asked = named(proposal), n_folds or self.n_folds
        self.asked[name] = proposal
        if self.known.get(name, 0) < n_asked:
            self.trained.append(name)
            self.known[name] = n_asked
            self.now += SECONDS
        return replace(done(proposal), units=(unit_that_took(SECONDS),))

    def is_kept(self, proposal, n_folds):
        return self.known.get(named(proposal), 0) >= (n_folds or self.n_folds)

    def kept_before(self):
        return [proposal for proposal in self.asked.values() if self.is_kept(proposal, None)]

    def searched(self, *, seconds=None, n_candidates=5, families=FAMILIES, fills_time=False, **given):
        """What a later process of the run tries with so much time."""
        self.trained = []
        setup = setup_of(self.run, seconds=SECONDS, n_folds=self.n_folds, **given)
        setup = replace(setup, is_kept=self.is_kept, kept_before=self.kept_before, fills_time=fills_time, clock=lambda: self.now)
        return search(strategy(n_candidates, families=families), setup=setup, deadline=Deadline(seconds))


def names_of(tried, *statuses):
    return [each.trial.candidate.name for each in tried if not statuses or each.trial.status in statuses]


@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_what_is_kept_is_taken_up_in_its_order_however_little_time_is_left(seconds):
    folder = Folder()
    known = names_of(folder.searched(n_candidates=9))
    assert known[5:]  # some were drawn
    again = folder.searched(n_candidates=9, seconds=seconds)
    assert names_of(again, Status.DONE) == known
    assert folder.trained == []


def test_what_was_drawn_by_another_draw_is_taken_up_by_a_name_of_its_own():
    folder, other = Folder(), Folder()
    folder.searched(n_candidates=9)
    known = names_of(other.searched(n_candidates=5))
    drawn = [name for name in folder.asked if name not in known]
    for name in drawn:
        proposal = folder.asked[name]
        other.asked[f"{name} elsewhere"] = replace(proposal, candidate=replace(proposal.candidate, name="deep-1"))
    again = names_of(other.searched(n_candidates=5, seconds=0.0), Status.DONE)
    assert len(drawn) == 4
    assert len(again) == len(set(again)) == 5 + len(drawn)
    assert sum(name.startswith("deep-1 of ") for name in again) == len(drawn)


@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_what_comes_after_it_is_refused_for_want_of_time_all_the_same(seconds):
    folder = Folder()
    known = names_of(folder.searched())
    missing = known.pop(2)
    del folder.known[missing]
    again = folder.searched(seconds=seconds)
    assert names_of(again, Status.DONE) == known
    assert folder.trained == []
    assert names_of(again, Status.SKIPPED) == [missing]
    assert all("--time" in each.trial.reason for each in again if each.trial.status is Status.SKIPPED)


def test_all_planned_ones_that_are_kept_are_taken_up_where_time_is_to_be_filled():
    folder = Folder()
    known = names_of(folder.searched())
    again = folder.searched(n_candidates=10_000, seconds=1.0, fills_time=True)
    assert names_of(again, Status.DONE) == known
    assert folder.trained == []


def test_what_is_kept_needs_no_memory():
    families = [family("constant", baseline=True), family("huge", deep=True, memory_bytes=5e9), family("other", memory_bytes=5e9)]
    folder = Folder()
    folder.searched(families=families)
    del folder.known["other-1"]
    again = folder.searched(families=families, n_candidates=3, memory_bytes=1e9)
    assert names_of(again, Status.DONE) == ["constant-1", "huge-1"]
    assert names_of(again, Status.SKIPPED) == ["other-1"]


RACED = [family("constant", baseline=True), *(family(name, places=[place]) for place, name in enumerate(("a", "b", "c")))]


def worse_on_one_fold(*given, rows):
    return 1.0


def raced_in(folder, *, worse, seconds=None):
    return folder.searched(n_candidates=4, families=RACED, racing=Racing(worse, min_seconds=0.0), seconds=seconds)


def test_who_was_dropped_after_the_first_fold_stays_dropped_where_there_is_no_time_for_all():
    folder = Folder(n_folds=3)
    first = raced_in(folder, worse=worse_on_one_fold)
    assert names_of(first, Status.DROPPED) == ["c-1"]
    again = raced_in(folder, worse=worse_on_one_fold, seconds=20.0)
    assert [each.trial.status for each in again] == [each.trial.status for each in first]
    assert folder.trained == []


def test_who_went_on_after_the_first_fold_is_still_refused_where_there_is_no_time_for_the_others():
    folder = Folder(n_folds=3)
    raced_in(folder, worse=lambda *given, rows: 0.0)
    folder.known["c-1"] = 1
    again = raced_in(folder, worse=lambda *given, rows: 0.0, seconds=20.0)
    assert names_of(again, Status.SKIPPED) == ["c-1"]
    assert folder.trained == []


def test_what_is_kept_whole_is_not_dropped_for_what_was_trained_meanwhile():
    folder = Folder(n_folds=3)
    raced_in(folder, worse=lambda *given, rows: 0.0)
    again = raced_in(folder, worse=worse_on_one_fold, seconds=20.0)
    assert {each.trial.status for each in again} == {Status.DONE}


def test_what_is_kept_is_estimated_as_if_it_were_new():
    folder = Folder()
    assert [[each.estimated for each in folder.searched()] for _ in range(2)] == [[SECONDS] * 5] * 2
