from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from cupel.core.errors import DataError
from cupel.evaluation import calibration_curve, confusion_matrix, pr_curve, residuals, roc_curve, score


def scored(n_rows: int, *, decimals: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.random(n_rows) < 0.3
    return truth, np.round(np.clip(0.3 * truth + 0.7 * generator.random(n_rows), 0, 1), decimals)


@pytest.mark.parametrize("decimals", [1, 16])
def test_small_curves_hold_the_points_of_scikit_learn(decimals: int) -> None:
    truth, given = scored(80, decimals=decimals)
    curve = roc_curve(truth, given)
    x, y, _ = reference.roc_curve(truth, given, drop_intermediate=False)
    assert np.allclose(curve.x, x)
    assert np.allclose(curve.y, y)
    curve = pr_curve(truth, given)
    precision, recall, _ = reference.precision_recall_curve(truth, given)
    assert np.allclose(curve.x, recall[::-1])
    assert np.allclose(curve.y, precision[::-1])


def test_long_curves_are_thinned_out_without_changing_their_area() -> None:
    truth, given = scored(50_000)
    curve = roc_curve(truth, given)
    assert len(curve.x) <= 200
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    area = np.trapezoid(curve.y, curve.x)
    assert area == pytest.approx(score("roc_auc", truth.astype(int), np.column_stack([1 - given, given])), abs=1e-3)
    assert len(pr_curve(truth, given).x) <= 200


def test_curves_over_one_kind_of_row_are_refused() -> None:
    with pytest.raises(DataError, match="0 of 3 rows are positive"):
        roc_curve(np.zeros(3, bool), np.arange(3.0))
    with pytest.raises(DataError, match="none of 3"):
        pr_curve(np.zeros(3, bool), np.arange(3.0))


def test_calibration_bins_hold_every_row_once() -> None:
    truth, given = scored(1000)
    given[:2] = 0.0, 1.0
    curve = calibration_curve(truth, given, n_bins=10)
    assert curve.counts.sum() == 1000
    assert (curve.stated * curve.counts).sum() == pytest.approx(given.sum())
    assert (curve.observed * curve.counts).sum() == pytest.approx(truth.sum())


def test_confusion_counts_actual_by_predicted() -> None:
    target = np.array([0, 0, 1, 2])
    predictions = np.eye(3)[[0, 1, 1, 0]]
    assert confusion_matrix(target, predictions).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_residuals_are_in_order_of_prediction() -> None:
    target = np.random.default_rng(0).normal(size=1000)
    found = residuals(target, (target + 1)[:, None])
    assert len(found.predicted) == 200
    assert (np.diff(found.predicted) >= 0).all()
    assert np.allclose(found.residual, -1)
