"""Rows that are said to belong together stay together when rows are divided."""

from __future__ import annotations

import numpy as np
import pytest

from cupel import data
from cupel.core.split import Splits
from cupel.data.dealing import joined
from cupel.data.tests.making_datasets import make_dataset

N = 400


def parts_of(splits: Splits, n_rows: int) -> np.ndarray:
    """Which fold judges each row."""
    parts = np.full(n_rows, -1)
    for fold in splits.folds:
        parts[fold.valid] = fold.index
    return parts


def numbers(*, seed: int = 0, **more: object):
    generator = np.random.default_rng(seed)
    return make_dataset({"x": generator.normal(size=N), "y": np.where(np.arange(N) % 2, "a", "b"), **more})


@pytest.mark.parametrize("scheme", ["auto", "stratified", "k-fold", "holdout"])
def test_twins_are_never_divided(scheme: str) -> None:
    twins = np.arange(N) // 3
    splits = data.split(numbers(), scheme=scheme, twins=twins)
    for fold in splits.folds:
        for part in (fold.train, fold.stop, fold.valid):
            rest = np.setdiff1d(np.arange(N), part)
            assert not set(twins[part]) & set(twins[rest])


def test_without_twins_some_of_these_rows_are_divided() -> None:
    parts = parts_of(data.split(numbers()), N)
    assert (parts[: N - 1 : 2] != parts[1::2]).any()


def test_twins_and_equal_rows_are_joined_through_one_another() -> None:
    dataset = numbers(z=np.random.default_rng(1).normal(size=N))  # in a single column equal cells may be chance
    for name in ("x", "z"):
        dataset.columns[name][1] = dataset.columns[name][2]
    twins = np.arange(N)
    twins[[0, 1]] = 0
    twins[[2, 3]] = 2
    parts = parts_of(data.split(dataset, twins=twins), N)
    assert len(set(parts[:4].tolist())) == 1


def test_how_many_rows_stay_together_is_said() -> None:
    twins = np.arange(N)
    twins[:3] = 0
    assert (
        "; 3 rows that equal others in every feature, or look like them, stay with them"
        in data.split(numbers(), twins=twins).reason
    )


def test_groups_that_are_named_decide_alone() -> None:
    dataset = numbers(place=np.array([f"p{i % 8}" for i in range(N)]))
    dataset = make_dataset(_cells(dataset), group="place")
    twins = np.arange(N) // 2
    assert data.split(dataset, twins=twins).key == data.split(dataset).key


def _cells(dataset):
    return {c.name: dataset.cells(c.name) for c in dataset.schema.columns}


def test_joining_finds_chains() -> None:
    first = np.array([0, 0, 1, 1, 2, 3])
    second = np.array([5, 6, 6, 7, 7, 8])
    assert joined(first, second).tolist() == [0, 0, 0, 0, 0, 1]


def test_joining_agrees_with_a_search_through_the_graph() -> None:
    generator = np.random.default_rng(0)
    for _ in range(30):
        first, second = generator.integers(0, 20, (2, 30))
        found = joined(first, second)
        reached = np.eye(30, dtype=bool) | (first[:, None] == first) | (second[:, None] == second)
        for _ in range(6):
            reached = (reached.astype(int) @ reached.astype(int)) > 0
        assert np.array_equal(found[:, None] == found, reached)


def test_no_rows_are_joined_to_none() -> None:
    assert len(joined(np.empty(0, np.int64), np.empty(0, np.int64))) == 0
