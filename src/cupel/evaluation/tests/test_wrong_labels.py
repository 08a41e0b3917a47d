"""Wrong labels that were planted are found, right ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.core.errors import DataError
from cupel.evaluation import likely_wrong_labels


def planted(*, n_rows: int = 3000, n_classes: int = 4, share: float = 0.05, skill: float = 4.0, seed: int = 0):
    """Labels, true classes, and what a good model that learned from the labels says of rows that it did not see."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, n_classes, n_rows)
    labels = truth.copy()
    wrong = generator.random(n_rows) < share
    labels[wrong] = (truth[wrong] + generator.integers(1, n_classes, int(wrong.sum()))) % n_classes
    logits = generator.normal(0, 1, (n_rows, n_classes))
    logits[np.arange(n_rows), truth] += skill
    exponent = np.exp(logits)
    return labels, truth, exponent / exponent.sum(axis=1, keepdims=True)


def test_planted_wrong_labels_are_found_and_the_first_are_nearly_all_wrong() -> None:
    labels, truth, probabilities = planted()
    found = likely_wrong_labels(labels, probabilities)
    is_wrong = labels != truth
    assert is_wrong[found.rows].sum() > 0.6 * is_wrong.sum()
    assert is_wrong[found.rows[:50]].mean() > 0.95
    assert (found.suggested[:50] == truth[found.rows[:50]]).mean() > 0.95
    assert found.share == pytest.approx(0.05, abs=0.02)


def test_where_all_labels_are_right_and_the_model_knows_nothing_is_accused() -> None:
    labels, _, probabilities = planted(share=0.0, skill=12.0)
    found = likely_wrong_labels(labels, probabilities)
    assert len(found.rows) == 0
    assert found.share == 0


def test_the_joint_tells_which_class_is_taken_for_which() -> None:
    labels, truth, probabilities = planted(share=0.0, n_classes=3, skill=6.0)
    moved = np.flatnonzero(truth == 0)[::10]  # a tenth of the class 0 is labelled 2
    labels[moved] = 2
    joint = likely_wrong_labels(labels, probabilities).joint
    assert joint.sum() == pytest.approx(1.0)
    assert np.allclose(joint.sum(axis=1), np.bincount(labels) / len(labels))
    assert joint[2, 0] == pytest.approx(len(moved) / len(labels), rel=0.4)  # the doubtful are not counted
    assert joint[0, 2] < 0.2 * joint[2, 0]


def test_a_model_that_is_timid_about_a_class_accuses_nobody_for_that() -> None:
    # All of class 1 get 0.3 for it and 0.7 for class 0, which is the usual there; class 0 is usually at 0.95.
    labels = np.array([0] * 50 + [1] * 50)
    probabilities = np.array([[0.95, 0.05]] * 50 + [[0.7, 0.3]] * 50)
    assert len(likely_wrong_labels(labels, probabilities).rows) == 0


def test_the_surest_come_first_and_margins_are_negative() -> None:
    labels, _, probabilities = planted()
    found = likely_wrong_labels(labels, probabilities)
    assert (np.diff(found.margins) >= 0).all()
    assert (found.margins < 0).all()
    given = probabilities[found.rows, labels[found.rows]] - probabilities[found.rows, found.suggested]
    assert np.allclose(given, found.margins)


def test_a_class_without_rows_claims_none() -> None:
    labels, _, probabilities = planted(n_classes=3)
    wide = np.column_stack([0.5 * probabilities, np.full(len(labels), 0.5)])
    found = likely_wrong_labels(labels, wide)
    assert 3 not in found.suggested
    assert found.joint[3].sum() == 0


def test_a_single_row_is_judged_without_fault() -> None:
    assert len(likely_wrong_labels(np.array([1]), np.array([[0.9, 0.1]])).rows) == 0


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        (np.empty(0, np.int64), np.empty((0, 2)), "one at least"),
        (np.array([2]), np.array([[0.5, 0.5]]), "expected 0 to 1"),
        (np.array([0]), np.array([[np.nan, 0.5]]), "outside 0 to 1"),
        (np.array([0]), np.array([[1.5, -0.5]]), "outside 0 to 1"),
    ],
)
def test_what_are_no_labels_or_probabilities_is_refused(labels, probabilities, words) -> None:
    with pytest.raises(DataError, match=words):
        likely_wrong_labels(labels, probabilities)


def test_claims_on_one_label_do_not_accuse_rows_of_another():
    shapes = [(0, 850, 0.98), (0, 50, 0.55), (1, 60, 0.4), (1, 40, 0.9)]  # label, rows, probability of the first class
    labels = np.concatenate([np.full(n, label) for label, n, _ in shapes])
    first = np.concatenate([np.full(n, share) for _, n, share in shapes])
    found = likely_wrong_labels(labels, np.column_stack([first, 1 - first]))
    assert found.joint[0, 1] > 0.03
    assert len(found.rows) == 0


def test_rows_of_each_label_are_named_up_to_its_own_number():
    generator = np.random.default_rng(0)
    truth = np.repeat([0, 1], [900, 100])
    labels = truth.copy()
    labels[:40], labels[900:920] = 1, 0
    right = np.clip(generator.normal(0.9, 0.05, 1000), 0.6, 0.99)
    first = np.where(truth == 0, right, 1 - right)
    found = likely_wrong_labels(labels, np.column_stack([first, 1 - first]))
    wrong = (set(range(40)), set(range(900, 920)))
    assert [len(own & set(found.rows.tolist())) > 0.6 * len(own) for own in wrong] == [True, True]
    assert set(found.rows.tolist()) <= wrong[0] | wrong[1]
    assert (np.diff(found.margins) >= 0).all()
