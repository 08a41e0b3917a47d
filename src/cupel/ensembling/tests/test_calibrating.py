"""Probabilities are corrected where that surely helps, and nowhere else; what is packed computes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from cupel.core.combination import WeightedMean
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.trial import Ensemble
from cupel.ensembling import Evidence, calibrate
from cupel.ensembling.calibrating import Calibrated, Isotonic, Temperature, learn_isotonic, learn_temperature

ROWS = 1500


def drawn(n_classes: int, *, n_rows: int = ROWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and classes drawn by them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (n_rows, n_classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares, (shares.cumsum(axis=1) > generator.random((n_rows, 1))).argmax(axis=1)


def sharpened(shares: np.ndarray, power: float) -> np.ndarray:
    powered = shares**power
    return powered / powered.sum(axis=1, keepdims=True)


def case(said: np.ndarray, target: np.ndarray) -> tuple[Ensemble, Evidence]:
    def accuracy(predictions: np.ndarray, rows: np.ndarray) -> float:
        return float((predictions.argmax(axis=1) == target[rows]).mean())

    evidence = Evidence(predictions=(said,), score=accuracy, target=target, parts=np.arange(len(target)) % 5, form=Form.CLASSES)
    return Ensemble(name="it", members=(), weights=(1.0,), out_of_fold=said), evidence


@pytest.mark.parametrize("n_classes", [2, 4])
def test_too_sure_a_model_is_cooled(n_classes: int) -> None:
    shares, target = drawn(n_classes)
    said = sharpened(shares, 2.0)
    ensemble, found = calibrate(*case(said, target), rows=np.arange(ROWS))
    assert found.calibrated_log_loss < found.log_loss
    assert ensemble.is_cross_fitted
    assert np.abs(ensemble.out_of_fold - shares).mean() < 0.5 * np.abs(said - shares).mean()
    assert learn_temperature(said, target).temperature == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("n_rows", [60, ROWS])
def test_a_model_that_means_what_it_says_is_left_alone(n_rows: int) -> None:
    shares, target = drawn(3, n_rows=n_rows, seed=1)
    ensemble, found = calibrate(*case(shares, target), rows=np.arange(n_rows))
    assert found.method == "none"
    assert ensemble.combination is None


def test_what_no_temperature_mends_is_bent() -> None:
    shares, target = drawn(2, n_rows=6000, seed=2)
    said = shares.copy()
    said[:, 1] = shares[:, 1] ** 3  # wrong on one side
    said[:, 0] = 1 - said[:, 1]
    ensemble, found = calibrate(*case(said, target), rows=np.arange(6000))
    assert found.method == "isotonic"
    assert np.abs(ensemble.out_of_fold - shares).mean() < 0.3 * np.abs(said - shares).mean()


def test_a_step_that_would_harm_the_metric_is_not_taken() -> None:
    shares, target = drawn(2)
    said = sharpened(shares, 2.0)
    ensemble, evidence = case(said, target)
    worse = replace(evidence, score=lambda predictions, rows: -float(np.abs(predictions - said[rows]).sum()))
    assert calibrate(ensemble, worse, rows=np.arange(ROWS))[1].method == "none"


def test_rows_that_were_not_judged_stay_without_predictions() -> None:
    shares, target = drawn(2)
    said = sharpened(shares, 3.0)
    said[:100] = np.nan
    ensemble, found = calibrate(*case(said, target), rows=np.arange(100, ROWS))
    assert found.method != "none"
    assert np.isnan(ensemble.out_of_fold[:100]).all()
    assert np.isfinite(ensemble.out_of_fold[100:]).all()


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_graph_computes_the_same(n_classes: int) -> None:
    shares, target = drawn(n_classes)
    shares[0], shares[1] = np.eye(n_classes)[0], np.eye(n_classes)[-1]
    steps: list[Temperature | Isotonic] = [Temperature(1.7)]
    if n_classes == 2:
        steps.append(learn_isotonic(shares, target))
    for step in steps:
        rule = Calibrated(WeightedMean((0.25, 0.75)), step)
        graph = Graph()
        inputs = [graph.input(name, np.float64, width=n_classes) for name in ("first", "second")]
        graph.output("prediction", rule.emit(graph, inputs), np.float64, width=n_classes)
        session = onnxruntime.InferenceSession(graph.model().SerializeToString())
        given = session.run(None, {"first": shares, "second": shares[::-1].copy()})[0]
        expected = rule.apply([shares, shares[::-1]])
        np.testing.assert_allclose(given, expected, atol=1e-9)
        np.testing.assert_allclose(expected.sum(axis=1), 1.0)


def test_the_rising_line_keeps_the_order_and_stays_off_certainty() -> None:
    shares, target = drawn(2, n_rows=3000)
    step = learn_isotonic(sharpened(shares, 4.0), target)
    grid = np.linspace(0, 1, 201)
    line = step.apply(np.column_stack([1 - grid, grid]))[:, 1]
    assert (np.diff(line) >= 0).all()
    assert line[0] > 0
    assert line[-1] < 1


def test_equal_probabilities_have_one_share_however_the_file_is_sorted() -> None:
    generator = np.random.default_rng(0)
    levels = np.array([0.1, 0.3, 0.5, 0.9])
    truth = np.array([0.05, 0.35, 0.45, 0.8])
    places = generator.integers(4, size=6000)
    target = (generator.random(6000) < truth[places]).astype(np.int64)
    said = np.stack([1 - levels[places], levels[places]], axis=1)
    order = np.argsort(target, kind="stable")
    found, of_sorted = learn_isotonic(said, target), learn_isotonic(said[order], target[order])
    mapped = found.apply(np.stack([1 - levels, levels], axis=1))[:, 1]
    np.testing.assert_allclose(mapped, truth, atol=0.04)
    np.testing.assert_allclose(of_sorted.apply(said), found.apply(said), atol=1e-9)
