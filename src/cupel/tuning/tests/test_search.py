import math
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError, UsageError
from cupel.core.family import Cost
from cupel.core.presets import Space
from cupel.core.trial import Status
from cupel.tuning import SEARCHES, Racing, TimeModel, Tried, estimates_in_words, search, strategy_named, write_study
from cupel.tuning.samplers import GridSampler
from cupel.tuning.search import MOST_WITHOUT_TIME
from cupel.tuning.tests.planted import WITH_RECIPE, Config, done, family, ground, quality, setup_of, strategy, unit_that_took

GP_IS_SLOW = pytest.param("gp", marks=pytest.mark.slow)
ALL_SEARCHES = [GP_IS_SLOW if name == "gp" else name for name in SEARCHES]
DRAWING_SEARCHES = [GP_IS_SLOW if name == "gp" else name for name in ("auto", "grid", "random", "quasi-random", "tpe", "gp")]


def run_all(strategy, *, run=done, deadline=None, seconds=1.0):
    return [each.trial for each in search(strategy, setup=setup_of(run, seconds=seconds), deadline=deadline or Deadline())]


def test_baselines_come_first_then_every_family_then_second_presets():
    names = [proposal.candidate.name for proposal in strategy().planned]
    assert names[:5] == ["constant-1", "deep-1", "trees-1", "deep-2", "trees-2"]


def test_presets_with_a_place_come_in_its_order_before_those_without():
    families = [
        family("new", n_presets=2),
        family("a", n_presets=3, places=[3, 0]),
        family("constant", baseline=True),
        family("b", n_presets=2, places=[1, 2]),
    ]
    names = [proposal.candidate.name for proposal in strategy(8, families=families).planned]
    assert names == ["constant-1", "a-1", "b-1", "b-2", "a-2", "new-1", "new-2", "a-3"]
    asked_for = [p.candidate.family for p in strategy(4, families=families, every_family_first=True).planned]
    assert asked_for == ["constant", "b", "a", "new"]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("the run folder holds 60 MB, and may hold 60 MB; `cupel resume` with more --disk goes on", "more --disk goes on."),
        (
            "the folder cannot be written; free some space on its disk, then `cupel resume`: what was finished is kept.",
            "is kept.",
        ),
    ],
)
def test_a_candidate_whose_turn_did_not_come_names_the_remedy_of_what_ended_the_search(why, told):
    n_asked = []

    def reason_to_end():
        n_asked.append(1)
        return why if len(n_asked) > 2 else ""

    trials = [
        each.trial for each in search(strategy(), setup=replace(setup_of(), reason_to_end=reason_to_end), deadline=Deadline())
    ]
    assert [trial.status for trial in trials] == [Status.DONE] * 2 + [Status.SKIPPED] * 3
    assert {trial.reason for trial in trials[2:]} == {f"its turn did not come: {why.rstrip('.')}."}
    assert trials[-1].reason.endswith(told)


def test_no_candidate_of_the_plan_is_left_out_where_the_search_ends_for_want_of_memory():
    planned = [family("constant", baseline=True), *(family(f"deep{i}", memory_bytes=10**12) for i in range(60))]
    trials = [
        each.trial
        for each in search(strategy(61, families=planned), setup=replace(setup_of(), memory_bytes=10**9), deadline=Deadline())
    ]
    assert len({trial.candidate.name for trial in trials}) == len(trials) == 61
    assert all("1000.0 GB of memory" in trial.reason for trial in trials[1:])
    assert "its turn did not come: 40 in a row were skipped, the last since" in trials[-1].reason


@pytest.mark.parametrize("name", DRAWING_SEARCHES)
def test_the_number_of_candidates_is_the_effort_and_none_is_tried_twice(name):
    trials = run_all(strategy(30, name=name))
    assert len(trials) == 30
    assert len({trial.candidate.key for trial in trials}) == 30
    assert len({trial.candidate.name for trial in trials}) == 30


@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_seed_gives_the_same_candidates(name):
    first, second = ([trial.candidate.key for trial in run_all(strategy(12, name=name))] for _ in range(2))
    assert first == second


def test_another_seed_gives_others():
    assert [t.candidate.key for t in run_all(strategy(20, 0))] != [t.candidate.key for t in run_all(strategy(20, 1))]


@pytest.mark.parametrize("name", ALL_SEARCHES)
def test_narrowed_and_conditional_spaces_are_respected(name):
    wishes = {"*": {"width": [50, 60], "kind": "fancy"}, "Trees": {"rate": 0.25}}
    trials = run_all(strategy(25, name=name, wishes=wishes))
    for trial in trials:
        config = trial.candidate.config
        assert 50 <= config.width <= 60
        assert config.kind == "fancy"
        assert config.rate == 0.25 or trial.candidate.family != "trees"


@pytest.mark.parametrize("name", ALL_SEARCHES)
def test_what_does_not_matter_stays_at_its_default(name):
    for trial in run_all(strategy(25, name=name)):
        config = trial.candidate.config
        assert config.kind == "fancy" or config.fanciness == Config().fanciness


@pytest.mark.parametrize("name", ["tpe", GP_IS_SLOW])
def test_learning_from_scores_finds_better_places_than_chance(name):
    alone = [family("only")]
    best = {
        search_name: np.mean(
            [
                max(float(t.out_of_fold[0, 0]) for t in run_all(strategy(24, seed, name=search_name, families=alone)))
                for seed in range(3)
            ]
        )
        for search_name in (name, "random")
    }
    assert best[name] > best["random"]


def test_a_grid_ends_when_every_combination_was_tried():
    trials = run_all(strategy(1000, name="grid", families=[family("only")], wishes={"only": {"width": [1, 2], "rate": 0.5}}))
    assert len(trials) == 2 * (1 + 3)  # of width both ends (the middle is one of them), plain or fancy with 3 values


def test_a_grid_too_large_to_write_down_ends_where_conditions_leave_few_cells(monkeypatch):
    drawn, draw = [], Space.preset

    def counted(*given):
        drawn.append(1)
        assert len(drawn) < 5000, "it draws on and on"
        return draw(*given)

    monkeypatch.setattr(Space, "preset", counted)
    monkeypatch.setattr(GridSampler, "LARGEST", 15)
    wishes = {"only": {"width": {"options": [1, 2, 3]}, "rate": 0.5}}
    trials = run_all(strategy(1000, name="grid", families=[family("only")], wishes=wishes))
    assert len(trials) == 3 * (1 + 3)


def test_a_range_of_one_number_has_one_place_on_a_grid():
    space = ground(wishes={"*": {"width": [2, 3], "rate": [0.5, 0.5]}}).space(family("only"))
    assert space.axes(3) == {"width": [2, 3], "rate": [0.5], "kind": ["plain", "fancy"], "fanciness": [0.0, 0.5, 1.0]}


def test_the_ends_of_a_grid_lie_within_their_range_so_that_the_study_has_them():
    on = ground(30, families=[family("only")], wishes={"only": {"rate": {"low": 0.01, "high": 0.1, "log": True}}})
    tried = search(strategy_named("grid", on), setup=setup_of(), deadline=Deadline())
    assert all(on.space(each.proposal.family).holds(each.preset) for each in tried)


@pytest.mark.parametrize("name", ["auto", "random", "quasi-random", "tpe"])
def test_a_small_space_ends_when_all_of_it_was_tried(name, monkeypatch):
    drawn, draw = [], Space.preset
    monkeypatch.setattr(Space, "preset", lambda *given: drawn.append(1) or draw(*given))
    small = {"only": {"width": {"options": [1, 2, 3]}, "rate": {"options": [0.1, 0.5]}, "kind": "plain"}}
    families = [family("constant", baseline=True), family("only")]
    trials = run_all(strategy(1000, name=name, families=families, wishes=small))
    assert len({trial.candidate.key for trial in trials if not trial.is_baseline}) == 6
    assert len(drawn) < 150


def test_halving_gives_everything_to_a_few_and_a_ninth_to_many():
    chosen = strategy(4, name="halving-epochs", families=WITH_RECIPE)
    trials = run_all(chosen, run=done)
    shares = [trial.candidate.recipe.epochs_share for trial in trials if trial.status is Status.SCREENED]
    full = [trial for trial in trials if trial.status is Status.DONE and not trial.is_baseline]
    assert (shares.count(1 / 9), shares.count(1 / 3), len(full)) == (27, 9, 3)
    assert all(trial.candidate.recipe.epochs_share == 1 for trial in full)
    assert len({trial.candidate.name for trial in trials}) == len(trials)


def test_one_epoch_decides_who_of_nine_gets_everything():
    trials = run_all(strategy(4, name="one-epoch", families=WITH_RECIPE))
    looks = [trial.candidate for trial in trials if trial.status is Status.SCREENED]
    full = [trial.candidate for trial in trials if trial.status is Status.DONE and not trial.is_baseline]
    assert (len(looks), len(full)) == (27, 3)
    assert {look.recipe.pace(1000).n_epochs for look in looks} == {1}
    assert all(candidate.recipe.pace(1000).n_epochs > 1 for candidate in full)
    best = sorted((quality(look.config) for look in looks), reverse=True)[:3]
    assert sorted((quality(candidate.config) for candidate in full), reverse=True) == best


def test_halving_keeps_the_best_of_those_it_looked_at():
    trials = run_all(strategy(4, name="halving-rows", families=WITH_RECIPE))
    looked = {
        trial.candidate.name.split(" at")[0]: trial.candidate.config for trial in trials if "at 11%" in trial.candidate.name
    }
    kept = {trial.candidate.name for trial in trials if trial.status is Status.DONE and not trial.is_baseline}

    assert kept == set(sorted(looked, key=lambda name: -quality(looked[name]))[:3])


@pytest.mark.parametrize("name", ["halving-epochs", "halving-rows", "one-epoch", "hyperband"])
def test_halving_without_an_end_soon_trains_something_whole(name):
    chosen = strategy_named(name, ground(10_000, families=WITH_RECIPE))
    tried = [Tried(proposal=proposal, trial=done(proposal), score=0.0) for proposal in chosen.planned]
    while len(tried) < 200:
        proposal = chosen.propose(tried)
        tried.append(Tried(proposal=proposal, trial=done(proposal), score=0.0))
    assert sum(not each.proposal.is_screening for each in tried) > 9


def test_hyperband_also_starts_some_with_everything():
    trials = run_all(strategy(13, name="hyperband", families=WITH_RECIPE))
    assert sum(trial.status is Status.DONE for trial in trials) == 13


def test_the_portfolio_ends_with_its_last_preset():
    assert len(run_all(strategy(100, name="portfolio"))) == 5


@pytest.mark.parametrize("n_candidates", [72, 10_000])
def test_where_all_fail_the_search_ends_with_its_time(n_candidates):
    def run(proposal, **given):
        time.sleep(0.02)
        return replace(done(proposal), out_of_fold=None, status=Status.FAILED, reason="broken")

    setup = replace(setup_of(run), fills_time=n_candidates > 72)
    tried = search(strategy(n_candidates), setup=setup, deadline=Deadline(0.1))
    assert 3 <= sum(each.trial.status is Status.FAILED for each in tried) <= 8
    late = search(strategy(n_candidates), setup=setup, deadline=Deadline(0.0))
    assert sum(each.trial.status is Status.FAILED for each in late) == MOST_WITHOUT_TIME


def test_an_unknown_search_is_refused():
    with pytest.raises(UsageError, match="quasi-random"):
        strategy(name="magic")


def test_every_family_fits_into_the_smallest_effort_that_has_room():
    assert {proposal.candidate.family for proposal in strategy(3).planned} == {"deep", "constant", "trees"}


def test_without_a_cap_everything_is_run():
    assert all(trial.status is Status.DONE for trial in run_all(strategy()))


def test_when_time_is_up_the_rest_is_skipped_with_a_reason_and_one_deep_model_is_tried():
    def slow(proposal, **given):
        time.sleep(0.06)
        return done(proposal)

    hopeless = run_all(strategy(), run=slow, deadline=Deadline(0.1), seconds=100.0)
    assert hopeless[0].status is Status.DONE
    assert {trial.status for trial in hopeless[1:]} == {Status.SKIPPED}
    trials = run_all(strategy(), run=slow, deadline=Deadline(0.1), seconds=0.15)
    assert [trial.status for trial in trials] == [Status.DONE, Status.DONE, Status.SKIPPED, Status.SKIPPED, Status.SKIPPED]
    assert all("--time" in trial.reason for trial in trials[2:])


def as_long_as_estimated(proposal, **given):
    return replace(done(proposal), units=(unit_that_took(proposal.family.cost().seconds),))


def test_what_takes_a_third_of_the_time_waits_until_cheaper_ones_are_done():
    families = [
        family("constant", baseline=True),
        family("dear", n_presets=1, seconds=40.0, places=[0]),
        family("cheap", n_presets=2, seconds=1.0, places=[1, 2]),
    ]
    for seconds, names in ((100.0, ["cheap-1", "cheap-2", "dear-1"]), (None, ["dear-1", "cheap-1", "cheap-2"])):
        setup = replace(setup_of(run=as_long_as_estimated), time_model=TimeModel(lambda candidate, f: f.cost()))
        tried = search(strategy(4, families=families), setup=setup, deadline=Deadline(seconds))
        assert [each.trial.candidate.name for each in tried] == ["constant-1", *names]


def test_what_can_hurry_is_tried_in_its_turn_within_a_share_of_the_time():
    given = {}

    def run(proposal, *, deadline, **others):
        given[proposal.family.name] = deadline.remaining
        return as_long_as_estimated(proposal)

    families = [
        family("constant", baseline=True),
        replace(family("hurries", seconds=80.0, places=[0]), hurries=True),
        replace(family("cannot", seconds=300.0, places=[1]), hurries=True),
        family("cheap", seconds=1.0, places=[2]),
    ]
    setup = replace(setup_of(run=run), time_model=TimeModel(lambda candidate, f: f.cost()))
    tried = search(strategy(4, families=families), setup=setup, deadline=Deadline(100.0))
    assert [each.trial.candidate.name for each in tried] == ["constant-1", "hurries-1", "cheap-1", "cannot-1"]
    assert given["hurries"] == pytest.approx(40.0, abs=1)
    assert given["cheap"] == pytest.approx(100.0, abs=1)
    assert given["cannot"] == pytest.approx(100.0, abs=1)


def test_what_has_to_hurry_does_not_race_first_lest_one_fold_takes_all_the_time():
    asked = []

    def run(proposal, *, n_folds, **others):
        asked.append((proposal.family.name, n_folds))
        return as_long_as_estimated(proposal)

    families = [
        family("constant", baseline=True),
        family("rival", n_presets=2, seconds=5.0, places=[0, 1]),
        family("fits", seconds=20.0, places=[2]),
        replace(family("hurries", seconds=120.0, places=[3]), hurries=True),
    ]
    racing = Racing(lambda *given, rows: 0.0, min_seconds=0.0)
    setup = replace(setup_of(run, n_folds=3), time_model=TimeModel(lambda candidate, f: f.cost()), racing=racing)
    search(strategy(5, families=families), setup=setup, deadline=Deadline(100.0))
    assert [n_folds for name, n_folds in asked if name == "hurries"] == [None]
    assert 1 in [n_folds for name, n_folds in asked if name == "fits"]


def test_time_that_concluding_will_take_is_left_however_large_the_models_become():
    given = []

    def run(proposal, *, deadline, **others):
        given.append(deadline.remaining)
        return replace(done(proposal), n_bytes=10)

    setup = replace(setup_of(run), to_conclude=lambda trials: 5.0 + sum(trial.n_bytes for trial in trials))
    search(strategy(4), setup=setup, deadline=Deadline(100.0))
    assert [round(left) for left in given[1:]] == [85, 75, 65]  # the first baseline is always run
    short = search(strategy(4), setup=setup, deadline=Deadline(12.0))
    assert [each.trial.status for each in short][:2] == [Status.DONE, Status.SKIPPED]


def test_something_is_tried_even_when_time_was_up_before_it_began():
    trials = run_all(strategy(), deadline=Deadline(0.0))
    assert trials[0].status is Status.DONE
    assert all(trial.status is Status.SKIPPED for trial in trials[1:])


def test_an_open_search_ends_soon_after_its_time():
    trials = run_all(strategy(10_000, name="random"), deadline=Deadline(0.3))
    assert sum(trial.status is Status.DONE for trial in trials) > 5
    assert sum(trial.status is Status.SKIPPED for trial in trials) <= 40


def test_what_does_not_fit_into_memory_is_skipped_with_a_remedy_and_never_started():
    started = []

    def run(proposal, **given):
        started.append(proposal.family.name)
        return done(proposal)

    families = [family("constant", baseline=True), family("small"), family("huge", deep=True, memory_bytes=5e9)]
    tried = search(strategy(families=families), setup=setup_of(run, memory_bytes=2e9), deadline=Deadline())
    ended = {each.trial.candidate.family: each.trial for each in tried}
    assert "huge" not in started
    assert ended["small"].status is Status.DONE
    assert ended["huge"].status is Status.SKIPPED
    assert "about 5.0 GB of memory and 2.0 GB may be taken" in ended["huge"].reason
    assert "--drop" in ended["huge"].reason


def test_what_fits_alone_is_not_sent_to_another_machine():
    families = [family("constant", baseline=True), family("small"), family("large", memory_bytes=3e9)]
    setup = replace(setup_of(memory_bytes=2e9), n_lanes=2)
    tried = search(strategy(families=families), setup=setup, deadline=Deadline())
    reason = next(each.trial.reason for each in tried if each.trial.candidate.family == "large")
    assert reason == (
        "it needs about 3.0 GB of memory and 2.0 GB may be taken by each of 2 trained at once; "
        "train one at a time with --at-once 1."
    )


@pytest.mark.parametrize("is_begun", [False, True])
def test_folds_that_train_at_the_same_time_take_the_time_of_the_clock(is_begun):
    """But where some were there before: the clock has not seen those."""

    def run(proposal, **given):
        return replace(done(proposal), units=(unit_that_took(50.0),) * 5)

    setup = replace(setup_of(run), is_kept=lambda proposal, n_folds: is_begun and n_folds == 1)
    tried = search(strategy(4), setup=setup, deadline=Deadline())
    assert all(each.seconds == pytest.approx(250.0 if is_begun else 50.0, abs=1.0) for each in tried)


def test_the_first_baseline_is_tried_whatever_its_memory():
    families = [family("constant", baseline=True, memory_bytes=5e9), family("second", baseline=True, memory_bytes=5e9)]
    tried = search(strategy(families=families), setup=setup_of(memory_bytes=2e9), deadline=Deadline())
    assert [each.trial.status for each in tried[:2]] == [Status.DONE, Status.SKIPPED]


def test_what_cannot_be_estimated_has_failed_alone_and_says_why():
    def estimate(candidate, family):
        if family.name == "deep":
            raise TrainingError("only 0 of 150 training rows have no missing cell")
        if family.name == "trees":
            return Cost(seconds=1 / (candidate.config.width - 11), memory_bytes=1)
        return Cost(seconds=1.0, memory_bytes=1)

    for deadline in (Deadline(), Deadline(1000.0)):
        setup = replace(setup_of(), time_model=TimeModel(estimate), fills_time=deadline.remaining < math.inf)
        tried = search(strategy(12), setup=setup, deadline=deadline)
        ended = {each.trial.candidate.name: each.trial for each in tried}
        assert ended["constant-1"].status is ended["trees-1"].status is Status.DONE
        assert (ended["deep-1"].status, ended["deep-1"].reason) == (
            Status.FAILED,
            "only 0 of 150 training rows have no missing cell",
        )
        assert (ended["trees-2"].status, ended["trees-2"].reason[:17]) == (Status.FAILED, "ZeroDivisionError")


def test_a_family_that_is_too_dear_is_cut_short_once():
    def run(proposal, *, deadline, **given):
        needs = 90.0 if proposal.family.name == "dear" else 1.0
        unit = unit_that_took(min(needs, deadline.remaining))
        return replace(done(proposal), units=(unit,), status=Status.DONE if unit.seconds == needs else Status.CUT_SHORT)

    families = [family("constant", baseline=True), family("dear", seconds=9.0), family("cheap")]
    setup = replace(setup_of(run), time_model=TimeModel(lambda candidate, f: f.cost()), fills_time=True)
    tried = search(strategy(20, families=families), setup=setup, deadline=Deadline(60.0))
    assert [each.trial.status for each in tried if each.proposal.family.name == "dear"] == [Status.CUT_SHORT]
    assert sum(each.proposal.family.name == "cheap" for each in tried) == 18


def test_the_study_can_be_read_back(tmp_path):
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    on = ground(12)
    tried = search(strategy_named("auto", on), setup=setup_of(), deadline=Deadline())
    for _ in range(2):  # written again it replaces what there was
        write_study(tmp_path / "study.log", tried, ground=on)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    studies = {study.study_name: study for study in optuna.get_all_study_summaries(storage)}
    assert set(studies) == {"constant", "deep", "trees"}
    assert sum(study.n_trials for study in studies.values()) == 12
    trees = optuna.load_study(study_name="trees", storage=storage)
    assert trees.best_value == max(each.score for each in tried if each.proposal.family.name == "trees")


def test_a_lock_that_a_killed_process_left_stops_no_study(tmp_path, monkeypatch):
    def waited(*_):
        raise AssertionError("it waits for a process that is gone")

    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/study.log.lock").symlink_to("run/study.log")  # leads nowhere: it is read as seen from its own folder
    on = ground(4)
    tried = search(strategy_named("auto", on), setup=setup_of(), deadline=Deadline())
    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(20)
    try:
        write_study(Path("run/study.log"), tried, ground=on)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert Path("run/study.log").read_bytes()


def test_estimates_are_compared_with_what_was_taken():
    proposal = strategy().planned[0]
    tried = [Tried(proposal=proposal, trial=done(proposal), score=0.0, estimated=2.0, seconds=s) for s in (2.0, 6.0)]
    assert estimates_in_words(tried) == (
        "2 candidates were estimated at 4 s in all and took 8 s; half of the estimates were right within a factor of 3.0"
    )
    assert estimates_in_words(tried[:1]) == ""
