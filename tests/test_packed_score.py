"""What is packed is the mean of the folds' models: what to expect of it, and whether that holds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cupel import ensembling, evaluation, execution, making, packing, strangers, trust
from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.recipe import Recipe
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.uncertainty import Decision
from cupel.problem import understand
from cupel.verdict import Score

N_ROWS, N_NEW = 400, 20_000


def drawn(n_rows, seed):
    """A table on which trees that saw other rows differ."""
    u = np.random.default_rng(seed).random((n_rows, 5))
    noise = np.random.default_rng(seed + 1).normal(size=n_rows)
    y = 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2 + 10 * u[:, 3] + 5 * u[:, 4] + noise
    return {**{f"x{number}": u[:, number] for number in range(5)}, "y": y}


def told_of(path, name, *, sealed=(), corrected=0.0, kept=lambda unit: unit, **settings):
    """What is said of the mean of a family's models, and what each of them says of new rows."""
    problem = understand(drawn(N_ROWS, 4), "y", settings=Settings(families=("constant", name), **settings))
    if len(sealed):
        problem = replace(problem, splits=problem.splits.sealing(np.asarray(sealed)))
    family = registry.family_named(problem.modality, name)
    preset = family.portfolio(problem.task)[0]
    candidate = Candidate(
        name=name, modality="tabular", family=name, config=preset.config, preparation=preset.preparation, recipe=preset.recipe
    )
    with execution.RunFolder(path) as folder:
        executor = making.maker(making.handover(problem, units=folder.units.folder, kept_bytes=1e8), stopwatch=Stopwatch())
        runner = execution.Runner(problem.dataset, problem.splits, folder, executor)
        trial = runner.run(candidate, family, deadline=Deadline(), progress=lambda _: None)
        pick = ensembling.single(replace(trial, units=tuple(map(kept, trial.units))))
        told = strangers.score_of_packed(
            problem, pick, score=Score(estimate=1.6, low=1.5, high=1.7), corrected=corrected, model=folder.units.model
        )
        new = drawn(N_NEW, 100)
        feeds = {"number": np.column_stack([new[f"x{number}"] for number in range(5)])}
        said = [packing.run(packing.session(folder.units.model(unit.key)), feeds)[:, 0] for unit in trial.units]
    return told, said, new["y"]


def test_the_gain_is_what_the_mean_gains_on_new_rows(tmp_path):
    told, said, truth = told_of(tmp_path, "LightGBM")
    errors = [float(np.sqrt(np.mean((each - truth) ** 2))) for each in (*said, np.mean(said, axis=0))]
    gained = np.mean(errors[:-1]) - errors[-1]
    packed = told["packed"]
    assert 0 < packed["gain_low"] < gained < packed["gain_high"]
    assert packed["gain"] == pytest.approx(gained, rel=0.2)
    assert packed["estimate"] == pytest.approx(1.6 - packed["gain"])
    assert packed["low"] < 1.5 - 0.9 * packed["gain"]
    assert packed["high"] < 1.7
    assert (packed["n_models"], packed["n_rows"]) == (5, pytest.approx(0.41 * N_ROWS, abs=40))


def test_what_was_said_before_stop_rows_were_learned_from_is_taken(tmp_path, monkeypatch):
    """Its model, which knows them, is not asked; where nothing is held, as of units of an earlier version, nobody is."""
    monkeypatch.setattr(strangers, "feeds_of", lambda *given: pytest.fail("a model was asked"))
    plain = told_of(tmp_path, "LightGBM")[0]["packed"]
    shifted = told_of(tmp_path, "LightGBM", kept=lambda unit: replace(unit, stop_predictions=unit.stop_predictions + 1))[0]
    assert shifted["packed"]["gain"] > 1.5 * plain["gain"]
    assert told_of(tmp_path, "LightGBM", kept=lambda unit: replace(unit, stop_predictions=None))[0] == {}


@pytest.mark.parametrize(("name", "settings"), [("linear", {}), ("LightGBM", {"split": "holdout"})])
def test_where_nobody_is_a_stranger_to_the_same_rows_nothing_is_said(tmp_path, name, settings):
    """Linear models learn from their stop rows in the end; a single model has no mean."""
    assert told_of(tmp_path, name, **settings)[0] == {}


def test_networks_that_learned_from_their_stop_rows_are_no_strangers_to_them(tmp_path, monkeypatch):
    assert told_of(tmp_path / "stopped", "MLP")[0] != {}
    monkeypatch.setattr(Recipe, "learns_all", lambda recipe, n_rows: True)
    assert told_of(tmp_path / "all", "MLP")[0] == {}


def test_what_correcting_probabilities_gains_is_in_what_is_packed(tmp_path):
    plain, corrected = (told_of(tmp_path / str(gain), "LightGBM", corrected=gain)[0]["packed"] for gain in (0.0, 0.2))
    assert corrected["estimate"] == pytest.approx(plain["estimate"] - 0.2)
    alone = told_of(tmp_path / "alone", "linear", corrected=0.2)[0]["packed"]
    assert (alone["estimate"], alone["low"], alone["high"]) == pytest.approx((1.4, 1.3, 1.5))
    assert told_of(tmp_path / "much", "LightGBM", corrected=9.0)[0]["packed"]["estimate"] == 0.0


def test_a_metric_of_answers_is_to_be_expected_by_the_threshold_that_they_are_given_by():
    """One row of twenty is said yes to from 0.9 on: the F1 of the more probable class is not that of what is packed."""
    generator = np.random.default_rng(0)
    chance = generator.random(N_ROWS)
    columns = {"x": chance, "y": np.where(generator.random(N_ROWS) < chance, "yes", "no")}
    problem = understand(columns, "y", settings=Settings(metric="f1", families=("constant", "linear")))
    pick = SimpleNamespace(out_of_fold=np.column_stack([1 - chance, chance]), members=[])
    measured, served = (
        evaluation.score("f1", problem.target, np.column_stack([chance <= at, chance > at])) for at in (0.5, 0.95)
    )
    score = Score(estimate=measured - 0.01, low=measured - 0.05, high=measured + 0.05)  # a hundredth was luck of choosing
    told = strangers.score_of_packed(problem, pick, score=score, decision=Decision(0.95), model=lambda _: b"")["packed"]
    assert served < measured - 0.3
    assert told["estimate"] == pytest.approx(max(served - 0.01, 0.0))
    assert told["decided"] == pytest.approx(served - measured)
    assert 0.0 <= told["low"] < told["estimate"] < told["high"] < 0.4
    assert strangers.score_of_packed(problem, pick, score=score, model=lambda _: b"") == {}
    ranked = replace(problem, dataset=replace(problem.dataset, task=replace(problem.task, metric="roc_auc")))
    assert strangers.score_of_packed(ranked, pick, score=score, decision=Decision(0.95), model=lambda _: b"") == {}


@pytest.mark.parametrize(("time", "said"), [("day", "on the latest fifth of the rows"), (None, "on unseen rows")])
def test_a_promise_over_time_is_told_as_it_held_for_the_latest_rows(time, said):
    generator, day = np.random.default_rng(0), np.arange(N_ROWS, dtype=np.float64)
    y = generator.normal(size=N_ROWS) * (0.5 + day / 100)
    problem = understand(
        {"x": generator.random(N_ROWS), "day": day, "y": y}, "y", settings=Settings(families=("linear",), time=time)
    )
    out_of_fold = np.full((N_ROWS, 1), np.nan)
    out_of_fold[problem.splits.covered] = 0.0
    pick = SimpleNamespace(out_of_fold=out_of_fold, members=[])
    told = trust.promises(problem, pick, uncertainty=trust.uncertainty_of(problem, pick), calibration=None)
    assert said in told["words"][0]
    assert (told["coverage"][0]["observed"] < 0.7) == (time is not None)


def test_rows_that_are_in_no_fold_are_left_out(tmp_path):
    packed = told_of(tmp_path, "LightGBM", sealed=range(N_ROWS - 40, N_ROWS))[0]["packed"]
    assert packed["n_rows"] == pytest.approx(0.41 * (N_ROWS - 40), abs=40)
    assert packed["gain"] > 0
