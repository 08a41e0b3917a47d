"""A candidate run on some folds, or with a share of the rows, and then on all."""

import json
from pathlib import Path

import numpy as np
import pytest

from cupel import earlier, execution, making, pipeline, tuning
from cupel.core import registry
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.candidate import Candidate
from cupel.core.limits import Limits
from cupel.core.observer import Silent
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.trial import Status
from cupel.execution.units import UnitFiles
from cupel.problem import understand

N_ROWS = 360


@pytest.fixture
def problem():
    generator = np.random.default_rng(0)
    x, z = generator.normal(size=(2, N_ROWS))
    y = np.where(x + 0.5 * generator.normal(size=N_ROWS) > 0, "yes", "no")
    return understand({"x": x, "z": z, "y": y}, "y", settings=Settings(n_folds=3))


def runner_in(folder, problem, *, kept_bytes=np.inf, measure=lambda model, feeds: {"one": 2.0, "thousand": 10.0}):
    given = making.handover(problem, units=folder.units.folder, kept_bytes=kept_bytes)
    maker = making.maker(given, stopwatch=Stopwatch())
    maker.measure = measure
    return execution.Runner(dataset=problem.dataset, splits=problem.splits, folder=folder, executor=maker)


def candidate_of(problem, name):
    family = registry.family_named(problem.modality, name)
    preset = family.portfolio(problem.task)[0]
    candidate = Candidate(
        name=name, modality="tabular", family=name, config=preset.config, preparation=preset.preparation, recipe=preset.recipe
    )
    return candidate, family


def run(runner, candidate, family, **given):
    return runner.run(candidate, family, deadline=Deadline(), progress=lambda fraction: None, **given)


def test_the_first_fold_and_then_the_rest_is_the_same_as_all_at_once(problem, tmp_path):
    candidate, family = candidate_of(problem, "linear")
    with execution.RunFolder(tmp_path / "raced") as folder:
        runner = runner_in(folder, problem)
        first = run(runner, candidate, family, n_folds=1)
        raced = run(runner, candidate, family)
    with execution.RunFolder(tmp_path / "plain") as folder:
        plain = run(runner_in(folder, problem), candidate, family)
    assert np.array_equal(raced.out_of_fold, plain.out_of_fold)
    seen = np.isfinite(first.out_of_fold).all(axis=1)
    assert np.array_equal(np.flatnonzero(seen), np.sort(problem.splits.folds[0].valid))
    assert np.array_equal(first.out_of_fold[seen], plain.out_of_fold[seen])


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": np.array([10**9])},
        {"rows": np.array([-1])},
        {"predictions": np.ones((1, 7))},
        {"golden": np.ones((1, 7))},
        {"predictions": np.full((1, 2), np.nan)},
        {"facts": {"fold": 2}},
    ],
)
def test_a_unit_that_is_not_of_its_fold_is_made_anew(problem, tmp_path, changed):
    candidate, family = candidate_of(problem, "constant")
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_in(folder, problem)
        before = run(runner, candidate, family)
        whole, store = before.units[0], folder.units
        planted = {
            name: np.resize(values, (len(whole.rows), *values.shape[1:])) for name, values in changed.items() if name != "facts"
        }
        given = {"rows": whole.rows, "predictions": whole.predictions, "golden": store.array(whole.key, "golden"), **planted}
        facts = {"fold": 0, "seconds": 1.0, **changed.get("facts", {})}
        model = store.model(whole.key)
        store.discard(whole.key)
        store.save(whole.key, UnitFiles(**given, model=model, facts=facts, weights={}))
        again = run(runner_in(folder, problem), candidate, family)
        assert store.array(whole.key, "golden").shape[1] == 2
    assert np.array_equal(again.out_of_fold, before.out_of_fold)
    assert [unit.fold for unit in again.units] == [0, 1, 2]


@pytest.mark.parametrize("change", [lambda said: said[1:], lambda said: said[:, :1], lambda said: said * np.nan])
def test_a_unit_whose_stranger_speaks_of_other_stop_rows_is_made_anew(problem, tmp_path, change):
    candidate, family = candidate_of(problem, "LightGBM")
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_in(folder, problem)
        before = run(runner, candidate, family, n_folds=1).units[0]
        assert before.stop_predictions.shape == (len(problem.splits.folds[0].stop), 2)
        held = {"rows": before.rows, "predictions": before.predictions, "golden": folder.units.array(before.key, "golden")}
        held |= {"model": folder.units.model(before.key), "facts": {"fold": 0, "seconds": 1.0}, "weights": {}}
        folder.units.discard(before.key)
        folder.units.save(before.key, UnitFiles(**held, stop_predictions=change(before.stop_predictions)))
        (again,) = run(runner_in(folder, problem), candidate, family, n_folds=1).units
    assert np.array_equal(again.stop_predictions, before.stop_predictions)


@pytest.mark.parametrize(
    "facts",
    [
        {"key": "k"},
        {"key": ["k"], "folds": [0]},
        {"key": "k", "share": {}, "folds": [0]},
        {"key": "k", "folds": 5},
        {"key": "k", "folds": [9]},
        {"key": "k", "folds": [0, 0]},
        {"key": "k", "folds": [[0]]},
        {"key": "k", "folds": [True]},
    ],
)
def test_a_record_that_no_runner_wrote_is_passed_over(problem, tmp_path, facts):
    with execution.RunFolder(tmp_path) as folder:
        folder.journal.append("started", candidate="constant", **facts)
        runner = runner_in(folder, problem)
    assert runner._begun == {}


def test_speed_is_measured_on_one_fold_and_kept(problem, tmp_path):
    candidate, family = candidate_of(problem, "linear")
    measured = []

    def measure(model, feeds):
        measured.append(len(model))
        return {"one": 2.0, "thousand": 10.0}

    with execution.RunFolder(tmp_path) as folder:
        runner = runner_in(folder, problem, measure=measure)
        trials = [run(runner, candidate, family, n_folds=1), run(runner, candidate, family), run(runner, candidate, family)]
    assert len(measured) == 1
    assert [trial.latency_ms["one"] for trial in trials] == [2.0, 6.0, 6.0]


def test_finished_folds_are_not_trained_again(problem, tmp_path):
    candidate, family = candidate_of(problem, "linear")
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_in(folder, problem)
        run(runner, candidate, family, n_folds=1)
        run(runner, candidate, family)
        run(runner, candidate, family)
        started = [record["folds"] for record in folder.journal.read() if record["event"] == "started"]
    assert started == [[0], [1, 2]]


def test_a_share_of_the_rows_is_another_unit_and_shares_are_nested(problem, tmp_path):
    candidate, family = candidate_of(problem, "constant")
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_in(folder, problem)
        fold = problem.splits.folds[0]
        third, half = (set(runner.executor._some(fold, share).tolist()) for share in (1 / 2, 3 / 4))
        screened = run(runner, candidate, family, n_folds=1, share=0.5)
        full = run(runner, candidate, family)
    assert third < half < set(fold.train.tolist())
    assert screened.status is full.status is Status.DONE
    assert {unit.key for unit in screened.units}.isdisjoint(unit.key for unit in full.units)


def test_prepared_folds_are_kept_as_far_as_memory_is_given_and_change_nothing(problem, tmp_path):
    candidate, family = candidate_of(problem, "linear")
    found = []
    for number, (kept_bytes, n_kept) in enumerate([(np.inf, 3), (4 * 240 * 2, 1), (0, 0)]):
        with execution.RunFolder(tmp_path / str(number)) as folder:
            runner = runner_in(folder, problem, kept_bytes=kept_bytes)
            found.append(run(runner, candidate, family).out_of_fold)
            assert len(runner.executor._prepared) == n_kept
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_what_makes_units_knows_which_rows_are_copies():
    x, z = np.repeat(np.random.default_rng(0).normal(size=(2, 100)), 2, axis=1)
    columns = {"x": x, "z": z, "y": np.where(x > 0, "yes", "no")}
    problem = understand(columns, "y", settings=Settings(n_folds=3), seconds=1.0)
    maker = making.maker(making.handover(problem, units=Path("units"), kept_bytes=0.0), stopwatch=Stopwatch())
    assert maker.dataset.units is problem.splits.units is not None


def test_what_is_kept_is_known_and_read_once(problem, tmp_path, monkeypatch):
    candidate, family = candidate_of(problem, "linear")
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_in(folder, problem)
        assert not runner.is_kept(candidate)
        run(runner, candidate, family, n_folds=1)
        later = runner_in(folder, problem)
        assert [later.is_kept(candidate, n_folds=n_folds) for n_folds in (1, None)] == [True, False]
        whole = run(runner, candidate, family)
        later, read, load = runner_in(folder, problem), [], folder.units.load
        monkeypatch.setattr(folder.units, "load", lambda key, **given: read.append(key) or load(key, **given))
        assert [later.is_kept(candidate, n_folds=n_folds) for n_folds in (1, None, None)] == [True] * 3
        assert not later.is_kept(candidate, n_folds=1, share=0.5)
        assert np.array_equal(run(later, candidate, family).out_of_fold, whole.out_of_fold)
    assert len(read) == 3 + 1


@pytest.mark.parametrize("drawn", [False, True])
def test_a_search_that_has_no_time_left_takes_up_what_an_earlier_one_has_trained(problem, tmp_path, drawn):
    proposals = []
    for name in ("constant", "linear", "LightGBM"):
        candidate, family = candidate_of(problem, name)
        proposals.append(tuning.Proposal(candidate=candidate, family=family))
    found = []
    later = [proposals[0], proposals[2]] if drawn else proposals
    for planned, seconds in ((proposals[:2], None), (later, 0.0)):
        how = {"observer": Silent(), "stopwatch": Stopwatch(), "guard": execution.Guard(tmp_path, Limits(workers=0))}
        how |= {"budget": Budget(Effort.STANDARD, seconds), "deadline": Deadline(seconds)}
        with execution.RunFolder(tmp_path) as folder:
            found.append([each.trial for each in pipeline.search(problem, folder, tuning.Given(tuple(planned)), **how)])
    assert [trial.status for trial in found[1]] == [Status.DONE, Status.DONE, Status.SKIPPED]
    assert [trial.candidate.name for trial in found[1]] == ["constant", "linear", "LightGBM"]
    assert np.array_equal(found[1][1].out_of_fold, found[0][1].out_of_fold)


def test_what_was_cut_short_will_do_where_there_is_no_time_to_train_it_again(problem, tmp_path):
    candidate, family = candidate_of(problem, "linear")
    proposal = tuning.Proposal(candidate=candidate, family=family)
    with execution.RunFolder(tmp_path) as folder:
        first = run(runner_in(folder, problem), candidate, family)
        for unit in first.units:
            facts = json.loads((unit.folder / "unit.json").read_text())
            (unit.folder / "unit.json").write_text(json.dumps({**facts, "cut_short": True}))
        later = runner_in(folder, problem)
        assert [later.is_kept(candidate, cut_short=cut_short) for cut_short in (False, True)] == [False, True]
        assert [each.candidate for each in earlier.kept_before(problem, later)] == [candidate]
    constant = tuning.Proposal(**dict(zip(("candidate", "family"), candidate_of(problem, "constant"), strict=True)))
    statuses = []
    for seconds in (0.0, 600.0):
        how = {"observer": Silent(), "stopwatch": Stopwatch(), "guard": execution.Guard(tmp_path, Limits(workers=0))}
        how |= {"budget": Budget(Effort.STANDARD, seconds), "deadline": Deadline(seconds)}
        with execution.RunFolder(tmp_path) as folder:
            trials = [each.trial for each in pipeline.search(problem, folder, tuning.Given((constant, proposal)), **how)]
        statuses.append(trials[1].status)
        assert np.array_equal(trials[1].out_of_fold, first.out_of_fold)
    assert statuses == [Status.CUT_SHORT, Status.DONE]


def test_what_an_earlier_process_trained_is_made_again_unless_it_is_not_what_its_key_says(problem, tmp_path):
    candidate, family = candidate_of(problem, "linear")
    with execution.RunFolder(tmp_path) as folder:
        run(runner_in(folder, problem), candidate, family)
        known = runner_in(folder, problem)
        (kept,) = earlier.kept_before(problem, known)
        assert kept.candidate == candidate
        for made in (
            {**candidate.to_plain(), "family": "gone"},
            {"name": 3},
            {**candidate.to_plain(), "config": {"os": "system"}},
        ):
            folder.journal.append("started", key=candidate.key, candidate="linear", folds=[0, 1, 2], made=made)
            assert earlier.kept_before(problem, runner_in(folder, problem)) == []
        folder.journal.append("started", key="another", candidate="linear", folds=[0, 1, 2], made=candidate.to_plain())
        assert earlier.kept_before(problem, runner_in(folder, problem)) == []
