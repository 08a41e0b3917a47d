"""Trees decide in ONNX as in the library that grew them, on every row and bit."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

from cupel.core import trees as trees_module
from cupel.core.graph import Graph
from cupel.core.trees import Trees, emit_trees, from_lightgbm, from_sklearn_forest, rounded_down


def matrix_of(n_rows: int, *, missing: float = 0.0, seed: int = 0) -> np.ndarray:
    """Numbers on a coarse grid among them, so that many fall exactly on thresholds."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(n_rows, 5))
    matrix[:, 0] = np.round(matrix[:, 0], 1)
    matrix[:, 1] *= 1e6
    matrix[:, 2] *= 1e-6
    matrix[generator.random(matrix.shape) < missing] = np.nan
    return matrix.astype(np.float32)


def target_of(matrix: np.ndarray) -> np.ndarray:
    filled = np.nan_to_num(matrix)
    return filled[:, 0] + np.sin(filled[:, 1] / 1e6) + (filled[:, 2] > 0) * filled[:, 3] + np.isnan(matrix[:, 4])


def computed(trees: Trees, matrix: np.ndarray, *, n_targets: int) -> np.ndarray:
    graph = Graph()
    tensor = graph.input("matrix", np.float32, width=matrix.shape[1])
    graph.output("sums", emit_trees(graph, tensor, trees, n_targets=n_targets), np.float64, width=n_targets)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString())
    result: np.ndarray = session.run(None, {"matrix": matrix})[0]
    return result


def boosted(matrix: np.ndarray, target: np.ndarray, n_rounds: int = 30, **parameters: Any) -> lightgbm.Booster:
    settings = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 3, "seed": 0, **parameters}
    return lightgbm.train(settings, lightgbm.Dataset(matrix, target), n_rounds)


@pytest.mark.parametrize("missing_in_training", [0.0, 0.2])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_boosted_trees_send_missing_values_where_lightgbm_does(missing_in_training: float, missing: float) -> None:
    matrix = matrix_of(500, missing=missing_in_training)
    booster = boosted(matrix, target_of(matrix), objective="l2")
    new = np.concatenate([matrix, matrix_of(500, missing=missing, seed=1)])
    raw = booster.predict(new, raw_score=True)
    assert np.abs(computed(from_lightgbm(booster, n_rounds=30), new, n_targets=1)[:, 0] - raw).max() < 1e-5


def test_boosted_trees_none_of_which_found_a_split_say_the_same_of_every_row() -> None:
    matrix = matrix_of(60)
    labels = np.digitize(target_of(matrix), [-1.0, 1.0])
    booster = boosted(matrix, labels, n_rounds=2, objective="multiclass", num_class=3, min_data_in_leaf=60)
    raw = booster.predict(matrix, raw_score=True)
    assert np.abs(computed(from_lightgbm(booster, n_rounds=2), matrix, n_targets=3) - raw).max() < 1e-5


def test_boosted_trees_of_many_classes_add_to_their_own_class() -> None:
    matrix = matrix_of(400)
    labels = np.digitize(target_of(matrix), [-1.0, 0.0, 1.0])
    booster = boosted(matrix, labels, n_rounds=12, objective="multiclass", num_class=4)
    raw = booster.predict(matrix, raw_score=True, num_iteration=7)
    trees = from_lightgbm(booster, n_rounds=7)
    assert trees.n_trees == 28
    assert np.abs(computed(trees, matrix, n_targets=4) - raw).max() < 1e-5


def test_a_booster_that_found_nothing_is_a_constant() -> None:
    matrix = np.zeros((30, 2), np.float32)
    booster = boosted(matrix, np.arange(30.0), n_rounds=3, objective="l2")
    found = computed(from_lightgbm(booster, n_rounds=3), matrix[:2], n_targets=1)
    assert found[:, 0] == pytest.approx(booster.predict(matrix[:2]))


def test_many_trees_lose_no_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = matrix_of(300)
    booster = boosted(matrix, target_of(matrix) + 1000.0, n_rounds=300, objective="l2", num_leaves=7)
    trees, raw = from_lightgbm(booster, n_rounds=300), booster.predict(matrix)
    assert np.abs(computed(trees, matrix, n_targets=1)[:, 0] - raw).max() < 1e-5
    monkeypatch.setattr(trees_module, "TREES_PER_NODE", 7)
    assert np.abs(computed(trees, matrix, n_targets=1)[:, 0] - raw).max() < 1e-5


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("forest", [RandomForestRegressor, ExtraTreesRegressor])
def test_forests_give_the_mean_of_their_trees(forest: type, missing: float) -> None:
    matrix = matrix_of(300, missing=missing)
    target = target_of(matrix)
    for columns in (target, np.column_stack([target, -2 * target])):
        fitted = forest(8, random_state=0, min_samples_leaf=2).fit(matrix, columns)
        expected = fitted.predict(matrix).reshape(len(matrix), -1)
        found = computed(from_sklearn_forest(fitted), matrix, n_targets=expected.shape[1])
        assert np.abs(found - expected).max() < 1e-5


def test_forests_of_classes_give_probabilities() -> None:
    matrix = matrix_of(300)
    fitted = RandomForestClassifier(8, random_state=0, min_samples_leaf=5).fit(
        matrix, np.digitize(target_of(matrix), [-0.5, 0.5])
    )
    found = computed(from_sklearn_forest(fitted), matrix, n_targets=3)
    assert np.abs(found - fitted.predict_proba(matrix)).max() < 1e-6


def test_a_rounded_threshold_divides_float32_numbers_as_the_double_did() -> None:
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=2000).astype(np.float32)
    thresholds = numbers.astype(np.float64) * (1 + generator.choice([-1e-9, 0.0, 1e-9], 2000))
    assert np.array_equal(numbers <= thresholds, numbers <= rounded_down(thresholds))
    assert np.isfinite(rounded_down(np.array([1.7e308, -1.7e308]))).all()
