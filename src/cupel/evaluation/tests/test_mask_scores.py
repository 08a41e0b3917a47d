"""Scores of masks, against sums made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cupel import evaluation
from cupel.core.masks import VOID
from cupel.evaluation.mask_scores import mask_counts


def probabilities(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Sure of these labels (rows, points)."""
    return np.eye(n_classes)[labels].transpose(0, 2, 1).reshape(len(labels), -1)


TRUTH = np.array([[0, 0, 1, 1], [0, 0, 0, VOID]], np.uint8)
SAID = np.array([[0, 1, 1, 1], [0, 0, 0, 1]])


def test_counts_are_by_true_and_predicted_class_and_leave_void_out() -> None:
    counts = mask_counts(TRUTH, probabilities(SAID, 2))
    assert counts.tolist() == [[[1, 1], [0, 2]], [[3, 0], [0, 0]]]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("dice", (2 * 4 / (5 + 4) + 2 * 2 / (2 + 3)) / 2),
        ("iou", (4 / 5 + 2 / 3) / 2),
        ("foreground_dice", 2 * 2 / (2 + 3)),
        ("foreground_iou", 2 / 3),
        ("pixel_accuracy", 6 / 7),
        ("dice_by_picture", ((2 / 3 + 4 / 5) / 2 + 1) / 2),
        ("iou_by_picture", ((1 / 2 + 2 / 3) / 2 + 1) / 2),
    ],
)
def test_each_metric_is_what_its_formula_says(metric: str, expected: float) -> None:
    assert evaluation.score(metric, TRUTH, probabilities(SAID, 2)) == pytest.approx(expected)


def test_a_row_of_weight_two_counts_like_two_rows() -> None:
    twice = np.concatenate([TRUTH, TRUTH[:1]]), np.concatenate([SAID, SAID[:1]])
    for metric in ("dice", "iou_by_picture", "foreground_dice"):
        weighted = evaluation.score(metric, TRUTH, probabilities(SAID, 2), weights=np.array([2.0, 1.0]))
        assert weighted == pytest.approx(evaluation.score(metric, twice[0], probabilities(twice[1], 2)))


def test_a_picture_that_is_void_everywhere_counts_nothing() -> None:
    truth = np.concatenate([TRUTH, np.full((1, 4), VOID, np.uint8)])
    said = np.concatenate([SAID, np.ones((1, 4), int)])
    for metric in ("dice", "dice_by_picture"):
        assert evaluation.score(metric, truth, probabilities(said, 2)) == evaluation.score(metric, TRUTH, probabilities(SAID, 2))


def test_better_masks_are_told_from_worse_ones_and_equal_ones_are_not() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, (30, 50)).astype(np.uint8)
    worse = np.where(generator.random(truth.shape) < 0.3, (truth + 1) % 3, truth)
    right, wrong = probabilities(truth, 3), probabilities(worse, 3)
    assert evaluation.paired_difference("dice", truth, right, wrong).probability_worse == 0
    assert evaluation.paired_difference("dice", truth, wrong, wrong).probability_worse == 0.5
    found = evaluation.interval("iou", truth, wrong)
    assert found.low < found.estimate < found.high < 1


def test_whole_masks_are_judged_in_their_own_sizes_class_by_class() -> None:
    truth = np.empty(8, dtype=object)
    for row in range(8):
        truth[row] = np.zeros((6 + row, 10, 1), np.uint8)
        truth[row][:, :5] = 1

    def predict(row: int) -> np.ndarray:
        said = truth[row][:, :, 0].copy()
        said[: row // 2] = 0
        return said

    found = evaluation.whole_masks(np.arange(8), predict, truth=truth, classes=("0", "1"), seconds=60.0)
    assert found is not None
    assert found.n_rows == 8
    n_true = sum(5 * (6 + row) for row in range(8))
    n_missed = sum(5 * (row // 2) for row in range(8))
    one = found.classes[1]
    assert one.dice.estimate == pytest.approx(2 * (n_true - n_missed) / (2 * n_true - n_missed))
    assert one.iou.estimate == pytest.approx((n_true - n_missed) / n_true)
    assert one.iou.low < one.iou.estimate < one.iou.high
    wider = evaluation.whole_masks(np.arange(8), predict, truth=truth, classes=("0", "1"), seconds=60.0, stretch=1.3)
    assert wider is not None
    stretched = wider.classes[1].iou
    assert (stretched.high - stretched.low) / (one.iou.high - one.iou.low) == pytest.approx(1.3)
    assert wider.classes[1].dice.high <= 1
    assert one.share == pytest.approx(0.5)
    assert next(row for row, _, _ in found.shown["worst"]) in (6, 7)
    assert {row for row, _, _ in found.shown["best"]} <= {0, 1, 2, 3}


def test_without_time_nothing_is_judged() -> None:
    truth = np.empty(1, dtype=object)
    truth[0] = np.zeros((2, 2, 1), np.uint8)
    assert (
        evaluation.whole_masks(np.arange(1), lambda row: truth[row][:, :, 0], truth=truth, classes=("0", "1"), seconds=-1.0)
        is None
    )
