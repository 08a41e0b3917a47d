"""The test over folds beside the bootstrap over rows."""

from dataclasses import replace

import numpy as np
import pytest

from cupel import evaluation
from cupel.core.task import TaskKind
from cupel.verdict.court import open_court, single
from cupel.verdict.leaderboard import COLUMNS, leaderboard_csv
from cupel.verdict.second_opinion import Opinion, opinion_on, opinions
from cupel.verdict.tests.verdict_examples import constant_predictions, make_dataset, make_splits, make_trial, predictions


@pytest.fixture(scope="module")
def made():
    dataset = make_dataset(TaskKind.BINARY, n_rows=400)
    splits = make_splits(dataset)
    trials = [
        make_trial("good", "lightgbm", predictions(dataset, skill=0.8, seed=1), splits),
        make_trial("also", "tabm", predictions(dataset, skill=0.75, seed=2), splits, is_deep=True),
        make_trial("constant-1", "constant", constant_predictions(dataset), splits),
    ]
    return dataset, splits, trials


def test_it_is_the_corrected_test_on_the_scores_of_the_folds(made):
    dataset, splits, trials = made
    court = open_court(trials, dataset=dataset, splits=splits)
    found = opinions(court, splits)
    assert set(found) == {"also", "constant-1"}
    scores = [
        [evaluation.score("roc_auc", dataset.target[fold.valid], trial.out_of_fold[fold.valid]) for fold in splits.folds]
        for trial in trials
    ]
    expected = evaluation.corrected_resampled_t(np.subtract(scores[0], scores[2]), test_share=0.25)
    assert found["constant-1"].p_folds == pytest.approx(expected.p_value)
    assert found["constant-1"].estimate == pytest.approx(expected.estimate)
    assert found["constant-1"].p_bootstrap < 0.001
    assert found["constant-1"].agrees


def test_the_models_of_a_fold_are_judged_where_its_rows_were_drawn_several_times(made):
    dataset, splits, trials = made
    twice = replace(splits, folds=(*splits.folds, *(replace(fold, index=fold.index + 5) for fold in splits.folds)))
    again = [
        replace(
            trial,
            units=(
                *trial.units,
                *(replace(unit, fold=unit.fold + 5, predictions=unit.predictions[:, ::-1]) for unit in trial.units),
            ),
        )
        for trial in trials[:1]
    ]
    court = open_court([*again, *trials[1:]], dataset=dataset, splits=twice)
    opinion = opinion_on(court, twice, first=single(again[0]), second=trials[2])
    assert opinion.n_folds == 10
    assert opinion.estimate == pytest.approx(0.0, abs=0.02)  # half of its models say the opposite


def test_a_holdout_has_no_second_opinion(made):
    dataset, _, trials = made
    splits = make_splits(dataset, holdout=True)
    court = open_court(trials, dataset=dataset, splits=splits)
    assert opinions(court, splits) == {}
    assert opinion_on(court, splits, first=single(trials[0]), second=trials[1]) is None


def opinion(p_folds, p_bootstrap, estimate=0.01):
    return Opinion(
        first="a", second="b", estimate=estimate, low=0.0, high=0.02, p_folds=p_folds, p_bootstrap=p_bootstrap, n_folds=5
    )


def test_words_come_only_where_the_two_differ():
    assert opinion(0.01, 0.02).words == ""
    assert opinion(0.3, 0.2).words == ""
    assert "Resampling rows says that a is better than b (p = 0.010), comparing folds does not" in opinion(0.2, 0.01).words
    assert "(p <0.001)" in opinion(0.2, 1e-9).words
    assert "Comparing folds says that b is better than a" in opinion(0.01, 0.2, estimate=-0.01).words


def test_the_leaderboard_file_has_both_tests():
    assert COLUMNS[-2:] == ("p_bootstrap", "p_folds")
    row = dict.fromkeys(COLUMNS, "") | {"p_bootstrap": 0.25, "p_folds": None}
    assert leaderboard_csv([row]).splitlines()[1].endswith("0.25,")
