"""What a graph reads, and calls of one size each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.feeds import feeds_of, pictures_as_cells, run_in_calls
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, ColumnKind, Schema


def pictures(*sizes: tuple[int, ...] | None) -> np.ndarray:
    cells = np.empty(len(sizes), dtype=object)
    for row, size in enumerate(sizes):
        cells[row] = None if size is None else np.full((*size, 1), row, np.uint8)
    return cells


def noting(calls: list[tuple[int, ...]]) -> Any:
    """Gives the first pixel of each picture, and notes the shape of each call."""

    def run(feeds: dict[str, np.ndarray]) -> np.ndarray:
        calls.append(feeds["photo"].shape)
        return np.stack([feeds["photo"][:, 0, 0, 0], feeds["photo"].sum(axis=(1, 2, 3))], axis=1).astype(np.float64)

    return run


def test_pictures_of_many_sizes_are_answered_in_their_order_one_call_a_size() -> None:
    calls: list[tuple[int, ...]] = []
    cells = pictures_as_cells(pictures((2, 2), (3, 1), (2, 2), None, (1, 3), (3, 1)), channels=1)
    found = run_in_calls(noting(calls), {"photo": cells})
    assert found[:, 0].tolist() == [0, 1, 2, 0, 4, 5]
    assert found[:, 1].tolist() == [0, 3, 8, 0, 12, 15]
    assert sorted(calls) == [(1, 1, 1, 1), (1, 1, 3, 1), (2, 2, 2, 1), (2, 3, 1, 1)]


def test_pictures_of_one_size_go_in_one_call() -> None:
    calls: list[tuple[int, ...]] = []
    run_in_calls(noting(calls), {"photo": pictures_as_cells(pictures((2, 3), (2, 3)), channels=1)})
    assert calls == [(2, 2, 3, 1)]


def test_other_inputs_follow_the_pictures_beside_them() -> None:
    def run(feeds: dict[str, np.ndarray]) -> np.ndarray:
        assert feeds["number"].dtype == np.float64
        return feeds["number"] * 10 + feeds["photo"][:, 0, 0]

    cells = pictures_as_cells(pictures((1, 2), (2, 1), (1, 2)), channels=1)
    found = run_in_calls(run, {"photo": cells, "number": np.array([[1.0], [2.0], [3.0]])})
    assert found[:, 0].tolist() == [10, 21, 32]


def test_two_columns_of_pictures_are_grouped_by_both_sizes() -> None:
    sizes: list[Any] = []

    def run(feeds: dict[str, np.ndarray]) -> np.ndarray:
        sizes.append((feeds["a"].shape, feeds["b"].shape))
        return feeds["a"][:, 0, 0] * 10.0 + feeds["b"][:, 0, 0]

    first = pictures_as_cells(pictures((1, 1), (1, 1), (2, 2)), channels=1)
    second = pictures_as_cells(pictures((3, 3), (1, 1), (3, 3)), channels=1)
    assert run_in_calls(run, {"a": first, "b": second})[:, 0].tolist() == [0, 11, 22]
    assert len(sizes) == 3


def test_tables_of_numbers_and_texts_are_one_call() -> None:
    feeds = {"number": np.zeros((3, 2)), "category": np.array([["a"], ["b"], [""]], dtype=object)}
    calls = []
    run_in_calls(lambda given: calls.append(given) or np.zeros((3, 1)), feeds)
    assert len(calls) == 1
    assert calls[0]["category"] is feeds["category"]


def test_feeds_of_a_dataset_hold_pictures_as_cells_and_black_for_missing_ones() -> None:
    schema = Schema((Column(name="photo", kind=ColumnKind.IMAGE, channels=3), Column(name="size", kind=ColumnKind.NUMBER)))
    cells = np.empty(3, dtype=object)
    cells[0], cells[2] = np.full((4, 5, 3), 7, np.uint8), np.full((4, 5, 3), 9, np.uint8)
    dataset = Dataset(schema=schema, columns={"photo": cells, "size": np.array([1.0, np.nan, 3.0])}, fingerprint="f")
    inputs = [
        GraphInput(name="photo", kind="pixels", columns=("photo",)),
        GraphInput(name="number", kind="numbers", columns=("size",)),
    ]
    feeds = feeds_of(dataset, np.array([2, 1]), inputs)
    assert feeds["photo"].shape == (2, 1)
    assert feeds["photo"][0, 0][0, 0].tolist() == [9, 9, 9]
    assert feeds["photo"][1, 0].shape == (1, 1, 3)
    assert not feeds["photo"][1, 0].any()
    assert np.isnan(feeds["number"][1, 0])


@pytest.mark.parametrize("n_rows", [1, 4])
def test_pictures_of_one_size_stay_separate_cells(n_rows: int) -> None:
    cells = pictures_as_cells(pictures(*[(2, 2)] * n_rows), channels=1)
    assert cells.shape == (n_rows, 1)
    assert all(cell.shape == (2, 2, 1) for cell in cells[:, 0])
