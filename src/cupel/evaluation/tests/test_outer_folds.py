"""The score of several models, each on rows of its own."""

import numpy as np
import pytest

from cupel import evaluation


def two_models(n=400, *, seed=0):
    generator = np.random.default_rng(seed)
    target = generator.integers(0, 2, n)
    folds = np.repeat([0, 1], n // 2)
    said = 0.5 + 0.1 * (target - 0.5) + generator.normal(0, 0.05, n)
    said += np.where(folds == 0, -0.3, 0.3)  # the second model gives higher probabilities, to all alike
    return target, np.column_stack([1 - said, said]), folds


def test_what_ranks_is_not_pooled_over_models_of_different_scale():
    target, said, folds = two_models()
    own = [evaluation.score("roc_auc", target[folds == k], said[folds == k]) for k in (0, 1)]
    found = evaluation.interval_over_folds("roc_auc", target, said, folds=folds)
    assert found.estimate == pytest.approx(np.mean(own))
    assert found.low < found.estimate < found.high
    assert evaluation.score("roc_auc", target, said) < found.low


def test_what_is_a_mean_over_rows_is_that_of_all_rows():
    target, said, folds = two_models()
    found = evaluation.interval_over_folds("accuracy", target, said, folds=folds)
    plain = evaluation.interval("accuracy", target, said)
    assert (found.estimate, found.low, found.high) == (plain.estimate, plain.low, plain.high)


def test_a_fold_of_one_class_is_left_out_and_where_all_are_rows_are_pooled():
    target, said, folds = two_models()
    one = np.where(folds == 0, 1, target)
    found = evaluation.interval_over_folds("roc_auc", one, said, folds=folds)
    assert found.estimate == pytest.approx(evaluation.score("roc_auc", target[folds == 1], said[folds == 1]))
    assert np.isfinite([found.low, found.high]).all()
    pooled = evaluation.interval_over_folds("roc_auc", folds, said, folds=folds)
    assert pooled.estimate == evaluation.score("roc_auc", folds, said)


def test_groups_are_resampled_whole():
    target, said, folds = two_models()
    rows = evaluation.interval_over_folds("roc_auc", target, said, folds=folds)
    groups = evaluation.interval_over_folds("roc_auc", target, said, folds=folds, groups=np.arange(400) // 40)
    assert groups.estimate == rows.estimate
    assert (groups.low, groups.high) != (rows.low, rows.high)
