"""Faulty cells, planted one kind at a time, and that honest columns are left alone."""

import time

import numpy as np
import pytest

from cupel.data.gate import judge_cells
from cupel.data.profiling import profile
from cupel.data.tests.making_datasets import make_dataset

N = 600


def found(columns: dict, **options) -> dict:
    dataset = make_dataset({"y": np.random.default_rng(5).integers(0, 2, N), **columns}, **options)
    return {finding.code: finding for finding in judge_cells(dataset, profile(dataset))}


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_in_honest_columns(seed):
    random = draw(seed)
    columns = {
        "normal": random.normal(size=N),
        "income": np.exp(random.normal(10, 1, N)),
        "count": random.poisson(3, N).astype(float),
        "mostly_zero": np.where(random.random(N) < 0.8, 0.0, random.exponential(100, N)),
        "two_humps": np.r_[random.normal(10, 1, N // 2), random.normal(20, 1, N // 2)],
        "temperature": random.normal(8, 6, N),
        "city": random.choice(["Paris", "London", "Rome", "Lyon"], N),
        "code": random.choice(["A1", "A2", "a10", "B1"], N),
        "letter": random.choice(list("aAbB"), N),
    }
    assert found(columns) == {}


def test_spellings_that_differ_in_case_blanks_and_accents_are_merged_into_the_commonest():
    random = draw()
    names, shares = ["New York", "new-york", "NEW YORK ", "Zürich", "Zurich", "Rome"], [0.5, 0.05, 0.05, 0.2, 0.05, 0.15]
    cities = random.choice(names, N, p=shares)
    finding = found({"city": cities})["spellings"]
    assert dict(finding.fix.mending.spellings)["new-york"] == "New York"
    assert dict(finding.fix.mending.spellings)["Zurich"] == "Zürich"
    assert finding.fix.is_safe


def test_short_forms_and_slips_are_only_suggested():
    random = draw()
    cities = random.choice(["New York", "NY", "Washington"], N, p=[0.5, 0.2, 0.3])
    cities = np.where(np.arange(N) < 2, "Washingtn", cities)
    finding = found({"city": cities})["possible-spellings"]
    assert dict(finding.fix.mending.spellings) == {"NY": "New York", "Washingtn": "Washington"}
    assert not finding.fix.is_safe


@pytest.mark.parametrize(("factor", "share"), [(1000.0, 0.05), (0.001, 0.1), (2.54, 0.1), (100.0, 0.2), (0.01, 0.02)])
def test_a_second_unit_is_found_with_its_factor(factor, share):
    random = draw()
    heights = random.normal(170, 9, N)
    off = random.random(N) < share
    finding = found({"height": np.where(off, heights * factor, heights)})["mixed-units"]
    ((low, high, found_factor),) = finding.fix.mending.scales
    assert found_factor == pytest.approx(1 / factor)
    assert low <= (heights * factor)[off].min()
    assert high >= (heights * factor)[off].max()
    assert finding.what.startswith(f"{off.sum()} of")


def test_codes_for_missing_negatives_and_strays_are_found():
    random = draw()
    age = random.integers(18, 90, N).astype(float)
    assert found({"age": np.where(np.arange(N) < 8, 999.0, age)})["missing-code"].fix.mending.codes == (999.0,)
    assert found({"age": np.where(np.arange(N) < 3, -age, age)})["impossible-values"].fix.mending.low == 0.0
    x = random.normal(size=N)
    x[7] = 1e5
    finding = found({"x": x})["outliers"]
    assert "in row 8." in finding.what
    assert finding.fix.mending.high < 10


def test_dates_in_the_future_and_long_ago_are_found():
    now = time.time()
    days = now - 86400 * draw().integers(1, 2000, N).astype(float)
    future = np.where(np.arange(N) < 3, now + 86400 * 400, days)
    assert "future-dates" in found({"day": future}, kinds={"day": "datetime"})
    ancient = np.where(np.arange(N) < 3, -2.2e9, days)
    assert "ancient-dates" in found({"day": ancient}, kinds={"day": "datetime"})
    assert found({"day": days}, kinds={"day": "datetime"}) == {}


def test_absence_that_tells_and_nearly_constant_columns_are_told():
    random = draw()
    y = random.integers(0, 2, N)
    columns = {
        "y": y,
        "asked": np.where((y == 1) & (random.random(N) < 0.5), np.nan, random.normal(size=N)),
        "blank": np.where(random.random(N) < 0.3, np.nan, random.normal(size=N)),
        "same": np.where(np.arange(N) == 5, 1.0, 0.0),
    }
    codes = found(columns)
    assert codes["telling-absence"].where == "asked"
    assert codes["nearly-constant"].where == "same"
