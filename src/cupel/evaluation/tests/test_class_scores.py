"""Scores of single classes, with intervals that hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from cupel.evaluation import class_scores, confusion_matrix, share_interval, worth_of_classes


def test_recall_precision_and_f1_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    target, predictions = generator.integers(0, 4, 200), generator.random((200, 4))
    found = class_scores(confusion_matrix(target, predictions))
    precision, recall, f1, support = precision_recall_fscore_support(target, predictions.argmax(axis=1))
    assert [score.n_rows for score in found] == support.tolist()
    assert np.allclose([score.precision.estimate for score in found], precision)
    assert np.allclose([score.recall.estimate for score in found], recall)
    assert np.allclose([score.f1 for score in found], f1)


def test_a_class_that_is_neither_there_nor_said_has_no_score() -> None:
    empty = class_scores(np.array([[3, 0], [0, 0]]))[1]
    assert math.isnan(empty.f1)
    assert math.isnan(empty.recall.estimate)
    missed = class_scores(np.array([[3, 0], [2, 0]]))[1]
    assert missed.f1 == 0
    assert math.isnan(missed.precision.estimate)


def test_intervals_agree_with_wilson_and_stay_within_shares() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for n_part, n_whole in ((0, 10), (10, 10), (3, 17), (500, 1000)):
        found = share_interval(n_part, n_whole)
        assert (found.low, found.high) == pytest.approx(proportion_confint(n_part, n_whole, method="wilson"), abs=1e-9)
        assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_stretched_intervals_reach_so_many_times_as_far() -> None:
    plain, stretched = share_interval(300, 1000), share_interval(300, 1000, stretch=1.3)
    assert stretched.estimate == plain.estimate
    assert (stretched.high - stretched.low) / (plain.high - plain.low) == pytest.approx(1.3, abs=0.01)
    matrix = np.array([[300, 700], [200, 800]])
    assert class_scores(matrix, stretch=1.3)[0].recall == stretched


def test_copies_make_no_class_surer() -> None:
    generator = np.random.default_rng(0)
    target, said = generator.integers(0, 3, 150), generator.integers(0, 3, 150)
    once = class_scores(confusion_matrix(target, np.eye(3)[said]))
    groups = np.repeat(np.arange(150), 4)
    worth = worth_of_classes(target[groups], said[groups], groups=groups, n_classes=3)
    copied = class_scores(confusion_matrix(target[groups], np.eye(3)[said[groups]]), worth=worth)
    for one, several in zip(once, copied, strict=True):
        assert several.n_rows == 4 * one.n_rows
        assert several.recall.low == pytest.approx(one.recall.low, abs=0.01)
        assert several.precision.high == pytest.approx(one.precision.high, abs=0.01)
    assert worth_of_classes(target, said, groups=None, n_classes=3) is None
