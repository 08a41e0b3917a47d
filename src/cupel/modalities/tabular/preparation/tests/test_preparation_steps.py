"""Each step gives what its name says."""

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cupel.core.task import ROW_KINDS
from cupel.modalities.tabular.preparation import FOR_REALMLP, FOR_TREES, TabularPreparation
from cupel.modalities.tabular.preparation.categories import LevelIndex, OneHot
from cupel.modalities.tabular.preparation.dates import PARTS, DateParts
from cupel.modalities.tabular.preparation.imputation import fit_fill
from cupel.modalities.tabular.preparation.missing import is_present
from cupel.modalities.tabular.preparation.scaling import Unscaled, fit_scaling


def test_date_parts_are_those_of_the_calendar():
    generator = np.random.default_rng(0)
    edges = [0, -1, 86399, 951782400, 951868800, 4107542400, -2203891200, -62135596800, 253402300799]
    seconds = np.concatenate([np.floor(generator.uniform(-6e10, 2e11, 500)), edges])
    parts = DateParts.fit(seconds[:, None]).apply(seconds[:, None])
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moments = [epoch + timedelta(seconds=float(value)) for value in seconds]
    expected = [(m.year, m.month, m.day, m.weekday(), m.hour) for m in moments]
    np.testing.assert_array_equal(parts[:, 1:6], expected)
    assert parts[:, 0].min() == 0
    np.testing.assert_allclose((parts[:, 6:] ** 2).sum(axis=1), 1.0)


def test_missing_and_absurd_dates_are_missing_in_every_part():
    seconds = np.array([[np.nan, 0.0], [1e300, 86400.0], [-np.inf, np.nan]])
    parts = DateParts.fit(seconds).apply(seconds).reshape(3, len(PARTS), 2)
    assert np.isnan(parts[:, :, 0]).all()
    assert np.isfinite(parts[:2, :, 1]).all()


@pytest.mark.parametrize(("strategy", "expected"), [("mean", 2.0), ("median", 1.0), ("most-frequent", 1.0)])
def test_one_value_fills_the_gaps(strategy, expected):
    values = np.array([[1.0], [1.0], [4.0], [np.nan], [np.inf]])
    present = is_present(values)
    filled = fit_fill(strategy, values, present, seed=0).apply(values, present)
    np.testing.assert_array_equal(filled[:, 0], [1, 1, 4, expected, expected])


@pytest.mark.parametrize("strategy", ["knn", "forest"])
def test_neighbours_and_forests_guess_better_than_the_mean(strategy):
    generator = np.random.default_rng(0)
    hidden = generator.uniform(-3, 3, 800)
    values = np.stack([hidden, np.sin(2 * hidden), hidden**2 * 1e6, generator.normal(size=800)], axis=1)
    gappy = values.copy()
    gappy[generator.random(values.shape) < 0.15] = np.nan
    present = is_present(gappy)
    mean, clever = (fit_fill(name, gappy[:500], present[:500], seed=0).apply(gappy, present) for name in ("mean", strategy))
    held_out = ~present & (np.arange(800) >= 500)[:, None]
    for column in (1, 2):
        rows = held_out[:, column]
        error_of_mean, error = (np.abs(filled - values)[rows, column].mean() for filled in (mean, clever))
        assert error < 0.6 * error_of_mean
    np.testing.assert_array_equal(clever[present], gappy[present])


def test_neighbours_agree_with_scikit_learn():
    from sklearn.impute import KNNImputer

    generator = np.random.default_rng(0)
    values = generator.normal(size=(60, 4))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    request = generator.normal(size=(40, 4))
    request[generator.random(request.shape) < 0.3] = np.nan
    request[np.isnan(request).all(axis=1)] = 0.0
    fill = fit_fill("knn", values, is_present(values), seed=0)
    np.testing.assert_allclose(
        fill.apply(request, is_present(request)), KNNImputer(n_neighbors=5).fit(values).transform(request), atol=1e-6
    )


def test_scalings_agree_with_scikit_learn():
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    values = np.random.default_rng(0).normal(3, 5, size=(200, 3))
    for choice, reference in (("min-max", MinMaxScaler()), ("max-abs", MaxAbsScaler()), ("standard", StandardScaler())):
        scaled = fit_scaling(choice, values, is_present(values)).apply(values)
        np.testing.assert_allclose(scaled, reference.fit_transform(values), atol=1e-12)
    robust = RobustScaler().fit_transform(values)
    scaled = fit_scaling("robust", values, is_present(values)).apply(values)
    np.testing.assert_allclose(scaled, robust / np.sqrt(1 + (robust / 3) ** 2), atol=1e-12)


def test_robust_scaling_of_a_column_with_a_dominant_value_uses_half_its_range():
    values = np.array([0.0] * 98 + [-2.0, 6.0])[:, None]
    scaled = fit_scaling("robust", values, is_present(values)).apply(values)
    np.testing.assert_allclose(scaled[-1, 0], 1.5 / np.sqrt(1 + 0.5**2))


@pytest.mark.parametrize("distribution", ["lognormal", "integers", "two values"])
def test_normal_scores_follow_the_order_and_are_about_standard_normal(distribution):
    generator = np.random.default_rng(0)
    values = {
        "lognormal": generator.lognormal(0, 3, 5000),
        "integers": generator.poisson(20, 5000).astype(float),
        "two values": generator.integers(0, 2, 5000).astype(float),
    }[distribution]
    scaled = fit_scaling("quantile", values[:, None], np.ones((5000, 1), bool)).apply(values[:, None])[:, 0]
    order = np.argsort(values, kind="stable")
    assert (np.diff(scaled[order]) >= 0).all()
    assert abs(scaled.mean()) < 0.05
    if distribution != "two values":
        assert 0.9 < scaled.std() < 1.1


@pytest.mark.parametrize("choice", ["min-max", "max-abs", "standard", "robust", "quantile"])
def test_a_constant_or_empty_column_is_zero_everywhere(choice):
    values = np.full((50, 2), 0.1)
    present = np.stack([np.ones(50, bool), np.zeros(50, bool)], axis=1)
    scaling = fit_scaling(choice, values, present)
    np.testing.assert_array_equal(scaling.apply(np.array([[0.1, 0.0], [5.0, 1e30]])), 0.0)


def test_levels_are_ranked_by_frequency_and_rare_ones_are_as_unseen():
    codes = np.array([[2], [2], [2], [0], [0], [1], [-1]], np.int32)
    index = LevelIndex.fit(codes, [("a", "b", "c", "d")], min_count=2)
    assert index.kept == (("c", "a"),)
    np.testing.assert_array_equal(index.apply(np.array([[0], [1], [2], [3], [-1]], np.int32))[:, 0], [2, 0, 1, 0, 0])


def test_two_levels_become_one_signed_column_and_more_one_column_each():
    one_hot = OneHot.over([0, 1], (3, 4), two_levels=[True, False])
    coded = one_hot.apply(np.array([[1, 1], [2, 3], [0, 0]]))
    np.testing.assert_array_equal(coded, [[-1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]])


def test_trees_get_raw_numbers_with_their_gaps(make_dataset):
    dataset = make_dataset()
    numeric = FOR_TREES.fit(dataset, np.arange(300), seed=0).inputs.blocks["numeric"]
    np.testing.assert_array_equal(numeric[:, 7], dataset.columns["gappy"].astype(np.float32))
    assert np.isnan(numeric[:, 6]).all()


def test_only_columns_with_gaps_in_training_get_an_indicator_and_a_date_gets_one(make_dataset):
    dataset = make_dataset(categories=False)
    with_, without = (
        TabularPreparation(indicators=choice).fit(dataset, np.arange(300), seed=0).inputs.blocks["binary"]
        for choice in (True, False)
    )
    assert with_.shape[1] - without.shape[1] == 3  # empty, gappy, moment
    np.testing.assert_array_equal(with_[:, -1], np.isnan(dataset.columns["moment"]))


def test_columns_with_gaps_can_be_dropped_even_if_none_is_left(make_dataset, blocks_by_graph):
    dataset = make_dataset(categories=False)
    gappy = {name: np.where(np.arange(300) == 0, np.nan, values) for name, values in dataset.columns.items() if name != "y"}
    dataset = dataclasses.replace(dataset, columns=gappy | {"y": dataset.columns["y"]})
    prepared = TabularPreparation(missing="drop-columns").fit(dataset, np.arange(300), seed=0)
    np.testing.assert_array_equal(prepared.inputs.blocks["numeric"], np.zeros((300, 1)))
    inputs = prepared.fitted.transform(dataset, np.arange(5))
    np.testing.assert_array_equal(
        blocks_by_graph(prepared.fitted, dataset, np.arange(5), expected=inputs)["numeric"], np.zeros((5, 1))
    )


@pytest.mark.parametrize("task", sorted(ROW_KINDS))
@pytest.mark.parametrize("selection", ["mutual-information", "model"])
def test_selection_keeps_what_tells_about_the_target(selection, task, make_dataset):
    dataset = make_dataset(n_rows=600, task=task)
    choices = TabularPreparation(selection=selection, keep=0.2, categories="embedding")
    prepared = choices.fit(dataset, np.arange(600), seed=0)
    assert 0 in prepared.fitted.kept["numeric"]  # "normal"
    assert prepared.fitted.kept["codes"].tolist() == [1]  # "colour"
    assert prepared.inputs.widths == {"numeric": 5, "binary": 1, "codes": 1}


def test_near_constant_columns_are_dropped(make_dataset):
    dataset = make_dataset()
    kept = TabularPreparation(selection="variance").fit(dataset, np.arange(300), seed=0).fitted.kept["numeric"]
    assert 0 in kept
    assert 5 not in kept  # "constant"
    assert 6 not in kept  # "empty"


def test_dates_without_times_get_no_hour_and_a_constant_date_keeps_its_indicator(make_dataset, blocks_by_graph):
    dataset = make_dataset().without([name for name in make_dataset().schema.names if name not in ("moment", "always", "y")])
    midnights = np.floor(dataset.columns["always"] / 86400) * 86400
    columns = {"always": midnights, "moment": np.where(np.arange(300) < 9, np.nan, 1e9), "y": dataset.columns["y"]}
    dataset = dataclasses.replace(dataset, columns=columns)
    prepared = FOR_REALMLP.fit(dataset, np.arange(300), seed=0)
    assert prepared.inputs.widths == {"numeric": 7 + 1, "binary": 1, "codes": 0}
    expected = prepared.fitted.transform(dataset, np.arange(300))
    for name, block in blocks_by_graph(prepared.fitted, dataset, np.arange(300), expected=expected).items():
        np.testing.assert_allclose(block, expected.blocks[name], rtol=1e-6, atol=1e-6)


def test_numbers_far_from_0_stay_apart_as_single_floats():
    hours = np.array([2024_000_000 + 100 * day + hour for day in range(101, 131) for hour in range(24)], np.float64)
    values = np.stack([hours, hours % 100 / 7, np.arange(len(hours)), np.where(hours > hours[300], 3e9, -3e9)], axis=1)
    scaling = fit_scaling("none", values, is_present(values))
    scaled = scaling.apply(values).astype(np.float32)
    assert [len(np.unique(column)) for column in scaled.T] == [len(np.unique(column)) for column in values.T]
    np.testing.assert_array_equal(scaled[:, 1:], values[:, 1:].astype(np.float32))
    assert len(np.unique(hours.astype(np.float32))) < len(hours) / 4
    assert isinstance(fit_scaling("none", values[:, 1:], is_present(values[:, 1:])), Unscaled)
