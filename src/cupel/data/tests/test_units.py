"""Rows that say little more than one of them are known: groups, stretches of time, copies."""

from __future__ import annotations

import numpy as np
import pytest

from cupel import data
from cupel.data.ordering import stretches
from cupel.data.splitting import independent_units
from cupel.data.tests.making_datasets import make_dataset

N = 300


def table(*, times: int = 1, **more: object) -> dict:
    generator = np.random.default_rng(0)
    columns = {"a": generator.normal(size=N), "b": generator.normal(size=N), "y": np.arange(N) % 2}
    return {name: np.repeat(values, times) for name, values in columns.items()} | more


def test_strangers_are_units_of_their_own() -> None:
    assert independent_units(make_dataset(table())) is None
    assert data.split(make_dataset(table())).units is None


def test_copies_count_once() -> None:
    splits = data.split(make_dataset(table(times=3)))
    assert (splits.units.reshape(N, 3) == splits.units[::3, None]).all()
    assert len(np.unique(splits.units)) == N
    twins = np.arange(N)
    twins[:4] = 0
    assert len(np.unique(independent_units(make_dataset(table()), twins=twins))) == N - 3


def test_groups_are_units_whatever_else_is_named() -> None:
    groups = (np.arange(N) // 10).astype(float)
    dataset = make_dataset(table(g=groups, t=np.arange(float(N))), group="g", time="t")
    splits = data.split(dataset)
    assert (splits.units == groups).all()


@pytest.mark.parametrize(("n_rows", "low", "high"), [(100, 15, 25), (1000, 38, 42), (10_000, 95, 105)])
def test_stretches_of_time_grow_with_the_rows_and_leave_enough_of_them(n_rows: int, low: int, high: int) -> None:
    moments = np.random.default_rng(0).permutation(n_rows).astype(float)
    units = stretches(make_dataset({"a": moments, "t": moments, "y": moments}, time="t"))
    assert units is not None
    assert low <= len(np.unique(units)) <= high
    assert (np.diff(units[np.argsort(moments)]) >= 0).all()


def test_rows_of_one_moment_are_in_one_stretch() -> None:
    moments = np.repeat(np.arange(10.0), 30)
    units = stretches(make_dataset(table(t=moments), time="t"))
    assert (units == np.arange(N) // 30).all()


def test_a_row_without_a_moment_leaves_no_stretches() -> None:
    assert stretches(make_dataset(table(t=np.r_[np.nan, np.arange(N - 1.0)]), time="t")) is None


def test_units_follow_their_rows_into_a_larger_table() -> None:
    splits = data.split(make_dataset(table(times=3)))
    placed = splits.placed(np.arange(100, 100 + 3 * N), n_samples=2000)
    assert (placed.units[100 : 100 + 3 * N] == splits.units).all()
    assert (placed.units[:100] == -1).all()


def test_few_groups_are_told() -> None:
    few, many = (make_dataset(table(g=(np.arange(N) // size).astype(float)), group="g") for size in (30, 10))
    (finding,) = data.few_units(few, data.split(few))
    assert "10 groups only" in finding.what
    assert data.few_units(many, data.split(many)) == []
    assert data.few_units(make_dataset(table()), data.split(make_dataset(table()))) == []
