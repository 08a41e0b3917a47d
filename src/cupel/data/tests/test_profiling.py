"""What a profile says of columns, and what it must not be confused by."""

import time

import numpy as np
import pytest

from cupel.data.association import average_ranks, corrected_cramers_v
from cupel.data.profiling import histogram, profile
from cupel.data.tests.making_datasets import make_dataset

N = 2000


def column(found, name):
    return next(column for column in found.columns if column.name == name)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_moments_and_missing_cells_are_those_of_the_present_values(generator):
    values = generator.normal(3, 2, N)
    values[:100] = np.nan
    found = column(profile(make_dataset({"a": values, "y": generator.integers(0, 2, N)})), "a")
    present = values[100:]
    assert found.n_missing == 100
    assert found.n_unique == N - 100
    assert (found.mean, found.std, found.median) == pytest.approx((present.mean(), present.std(), np.median(present)))
    assert (found.low, found.high) == (present.min(), present.max())
    assert sum(found.histogram) == N - 100
    assert len(found.edges) == len(found.histogram) + 1


def test_whole_numbers_of_a_small_span_have_a_bin_each():
    edges, counts = histogram(np.array([1.0, 1, 2, 5, 5, 5]))
    assert counts.tolist() == [2, 1, 0, 0, 3]
    assert edges.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


@pytest.mark.parametrize(
    "values",
    [[0.0], [1e308, -1e308, 5.0], [1e-320, 2e-320], [1e16, 1e16 + 2], [-1.0, -1.0, -1.0], [1e300, 1e300], [0.1, 0.2, 1e15]],
)
def test_any_finite_numbers_have_a_histogram_that_counts_each_once(values):
    ordered = np.sort(np.array(values))
    edges, counts = histogram(ordered)
    assert counts.sum() == len(values)
    assert (counts >= 0).all()
    assert 1 <= len(counts) <= 20
    assert np.isfinite(edges).all()
    found = column(profile(make_dataset({"a": ordered, "y": np.arange(len(ordered)) % 2}, target=None)), "a")
    assert np.isfinite([found.mean, found.std, found.median]).all()


def test_infinite_and_absent_values_do_not_break_a_profile():
    dataset = make_dataset({"a": [np.inf, 1.0, -np.inf, 2.0], "b": [np.nan] * 4, "c": ["", "", "", ""], "y": [0, 1, 0, 1]})
    found = profile(dataset)
    assert column(found, "a").high == 2
    assert column(found, "b").n_missing == 4
    assert column(found, "b").low is None
    assert column(found, "c").n_missing == 4


def test_levels_are_listed_most_frequent_first_and_the_rest_summed():
    cells = np.repeat([f"level {i:02d}" for i in range(30)], np.arange(30, 0, -1))
    found = column(profile(make_dataset({"a": cells, "y": np.arange(len(cells)) % 2})), "a")
    assert found.n_unique == 30
    assert found.labels[0] == "level 00"
    assert found.labels[-1] == "other"
    assert sum(found.histogram) == len(cells)
    assert found.histogram[0] == 30


def test_texts_show_examples_and_no_association():
    cells = [f"some text {i}" for i in range(10)] * 2 + [None]
    found = column(profile(make_dataset({"a": cells, "y": np.arange(21) % 2}, kinds={"a": "text"})), "a")
    assert found.examples == ("some text 0", "some text 1", "some text 2")
    assert (found.n_unique, found.n_missing, found.association) == (10, 1, None)


@pytest.mark.parametrize("n_classes", [0, 2, 5])
def test_association_is_small_for_noise_and_one_for_the_target_itself(n_classes, generator):
    target = generator.normal(size=N) if n_classes == 0 else generator.integers(0, n_classes, N)
    columns = {
        "copy": np.exp(target) if n_classes == 0 else target.astype(float),
        "noise": generator.normal(size=N),
        "coarse noise": generator.integers(0, 40, N).astype(str),
        "rare levels": generator.integers(0, 1500, N).astype(str),
        "some": target + generator.normal(size=N) * (1.0 if n_classes == 0 else 0.5 * n_classes),
        "y": target,
    }
    found = profile(make_dataset(columns))
    assert column(found, "copy").association > 0.97
    assert max(column(found, name).association for name in ("noise", "coarse noise", "rare levels")) < 0.08
    assert 0.2 < column(found, "some").association < 0.95
    assert column(found, "y").association is None


def test_association_sees_relations_that_are_not_monotone_and_telling_absences(generator):
    target = generator.normal(size=N)
    columns = {
        "bowl": target**2 * np.sign(generator.normal(size=N)),
        "valley": np.abs(target),
        "absence": np.where(target > 0, generator.normal(size=N), np.nan),
        "y": np.abs(target),
    }
    found = profile(make_dataset({**columns, "y": target**2}))
    assert column(found, "bowl").association > 0.9
    classes = (target > 0).astype(int)
    assert column(profile(make_dataset({**columns, "y": classes})), "absence").association > 0.99


def test_the_bias_correction_gives_cramers_v_its_known_value():
    assert corrected_cramers_v(np.array([[30, 0], [0, 30]])) == pytest.approx(1, abs=1e-6)
    assert corrected_cramers_v(np.array([[25, 25], [25, 25]])) == 0
    assert corrected_cramers_v(np.array([[10, 20]])) == 0
    n, phi2 = 100, (40 * 30 - 10 * 20) ** 2 / (50 * 50 * 60 * 40)
    expected = np.sqrt(max(0, phi2 - 1 / (n - 1)) / (2 - 1 / (n - 1) - 1))
    assert corrected_cramers_v(np.array([[40, 10], [20, 30]])) == pytest.approx(expected)


def test_equal_values_share_their_ranks():
    assert average_ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [2.5, 0, 2.5, 1]


def test_a_table_without_a_target_has_a_profile(generator):
    found = profile(make_dataset({"a": generator.normal(size=50), "b": ["x", "y"] * 25}, target=None))
    assert found.task is None
    assert all(column.association is None for column in found.columns)
    assert found.n_features == 2


def test_a_wide_table_is_profiled_in_a_millisecond_or_two_per_column(generator):
    columns = {f"x{i}": values for i, values in enumerate(generator.normal(size=(300, 500)))}
    started = time.perf_counter()
    profile(make_dataset({**columns, "y": generator.normal(size=500)}))
    assert time.perf_counter() - started < 3
