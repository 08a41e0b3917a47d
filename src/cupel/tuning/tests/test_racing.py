"""Who is dropped after the first fold."""

from dataclasses import replace

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.trial import Status, Trial
from cupel.tuning import Racing, search
from cupel.tuning.tests.planted import done, family, setup_of, strategy, unit_that_took

N_FOLDS, FOLD_ROWS = 5, 40


def raced(qualities, *, seed, clearly=0.95, estimated=10.0, took=None, min_seconds=0.0):
    """Statuses of candidates whose squared errors have these means, on five folds of 40 rows."""
    generator = np.random.default_rng(seed)
    n_rows = N_FOLDS * FOLD_ROWS
    target, shared = np.zeros(n_rows), generator.normal(size=n_rows)
    errors = [np.sqrt(q) * (0.7 * shared + 0.7 * generator.normal(size=n_rows)) for q in qualities]
    chosen = strategy(len(qualities), families=[family(f"f{i}") for i in range(len(qualities))])
    order = {proposal.candidate.name: number for number, proposal in enumerate(chosen.planned)}

    def run(proposal, *, n_folds, **given):
        predictions = errors[order[proposal.candidate.name]][:, None].copy()
        if n_folds:
            predictions[n_folds * FOLD_ROWS :] = np.nan
        trial = Trial(candidate=proposal.candidate, is_deep=False, is_baseline=False, status=Status.DONE, out_of_fold=predictions)
        return trial if took is None else replace(trial, units=(unit_that_took(took),))

    def worse(first, second, *, rows):
        from cupel.evaluation import paired_difference

        return paired_difference("rmse", target[rows], first, second, n_resamples=100).probability_worse

    def score(trial):
        return -float(np.sqrt(np.nanmean(trial.out_of_fold**2)))

    logged = []
    setup = setup_of(
        run,
        seconds=estimated,
        racing=Racing(worse, clearly, min_seconds=min_seconds),
        n_folds=N_FOLDS,
        score=score,
        log=lambda *a, **k: logged.append(k),
    )
    return [each.trial for each in search(chosen, setup=setup, deadline=Deadline())], logged


@pytest.mark.slow
def test_racing_drops_the_true_best_in_less_than_5_percent_of_200_seeds():
    dropped = sum(raced([1.3, 1.2, 1.5, 1.0, 1.4], seed=seed)[0][3].status is Status.DROPPED for seed in range(200))
    assert dropped <= 10


def test_racing_drops_the_hopeless_after_one_fold_and_says_at_what_probability():
    trials, logged = raced([1.0, 1.1, 30.0, 1.05], seed=0)
    assert [trial.status for trial in trials] == [Status.DONE, Status.DONE, Status.DROPPED, Status.DONE]
    assert "probability" in trials[2].reason
    assert not trials[2].is_usable
    assert {entry["candidate"]: entry["dropped"] for entry in logged if "dropped" in entry} == {"f2-1": True, "f3-1": False}


@pytest.mark.parametrize(("estimated", "races"), [(0.5, False), (2.0, True)])
def test_how_long_earlier_ones_took_does_not_decide_who_races(estimated, races):
    for took in (0.01, 100.0):
        trials, _ = raced([1.0, 1.1, 30.0], seed=0, estimated=estimated, took=took, min_seconds=1.0)
        assert (trials[2].status is Status.DROPPED) == races


def test_where_splits_repeat_one_model_races_against_one():
    generator = np.random.default_rng(0)
    target, said = np.zeros(FOLD_ROWS), generator.normal(size=(3, FOLD_ROWS, 1))

    def trial_of(*units):
        trial = done(strategy().planned[0])
        return replace(trial, units=units, out_of_fold=np.mean([unit.predictions for unit in units], axis=0))

    def unit(fold, predictions):
        return replace(unit_that_took(1.0), fold=fold, rows=np.arange(FOLD_ROWS), predictions=predictions)

    def worse(first, second, *, rows):
        asked.append(float(np.mean((first[:, 0] - target[rows]) ** 2) - np.mean((second[:, 0] - target[rows]) ** 2)))
        return float(asked[-1] > 0)

    asked = []
    rival = trial_of(unit(0, said[0]), unit(5, said[1]))
    equal = trial_of(unit(0, said[0]))
    assert Racing(worse).chance_of_being_worse(equal, rival) == (0.0, False)
    assert asked == [0.0]
    assert np.mean(rival.out_of_fold**2) < np.mean(said[0] ** 2)  # the mean of two would have won


def test_who_is_dropped_does_not_count_as_a_score():
    trials, _ = raced([1.0, 1.1, 30.0], seed=0)
    assert trials[2].out_of_fold is None


def test_a_first_fold_leaves_the_others_their_time_however_wrong_the_estimate_was():
    given = []

    def run(proposal, *, n_folds, deadline, **others):
        if proposal.family.name == "f2":
            given.append((n_folds, deadline.remaining))
        return replace(done(proposal), status=Status.CUT_SHORT if n_folds else Status.DONE)

    chosen = strategy(3, families=[family(f"f{i}") for i in range(3)])
    setup = setup_of(run, racing=Racing(lambda *rivals, rows: 0.0, min_seconds=0.0), n_folds=N_FOLDS)
    search(chosen, setup=setup, deadline=Deadline(100.0))
    assert [n_folds for n_folds, _ in given] == [1, None]
    assert given[0][1] == pytest.approx(1.5 / N_FOLDS * 100.0, abs=2.0)
    assert given[1][1] == pytest.approx(100.0, abs=2.0)
