"""Maps of what an answer rests on point at what a planted model looks at, and end when time is up."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.evaluation import occluded

INPUTS = (GraphInput(name="photo", kind="pixels", columns=("photo",)),)


def make_dataset(*pictures: Any) -> Dataset:
    cells = np.empty(len(pictures), dtype=object)
    cells[:] = pictures
    return Dataset(Schema((Column(name="photo", kind=ColumnKind.IMAGE, channels=1),)), {"photo": cells}, "made")


def looks_at(rows: slice, columns: slice) -> Any:
    """A model whose class 1 is as probable as one part of the picture is bright."""

    def predict(feeds: Any) -> Any:
        bright = np.array([picture[rows, columns].mean() / 255 for picture in feeds["photo"][:, 0]])
        return np.column_stack([1 - bright, bright])

    return predict


def maps_of(dataset: Dataset, wanted: list[Any], **options: Any) -> list[Any]:
    return occluded(wanted, dataset, inputs=INPUTS, seconds=options.pop("seconds", 60.0), column="photo", **options)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 40), (9, 17), (8, 8)])
def test_the_map_is_deepest_where_the_model_looks_and_zero_elsewhere(height: int, width: int) -> None:
    white = np.full((height, width, 1), 255, np.uint8)
    predict = looks_at(slice(0, height // 4), slice(width - width // 4, width))
    (found,) = maps_of(make_dataset(white), [(0, 1, predict)])
    assert (found.row, found.output, found.plain) == (0, 1, 1.0)
    down, across = np.unravel_index(found.drops.argmax(), found.drops.shape)
    assert (down + 0.5) / found.drops.shape[0] < 0.3
    assert (across + 0.5) / found.drops.shape[1] > 0.7
    assert np.abs(found.drops[5:, :4]).max() == 0
    assert (found.drops >= 0).all()


def test_what_speaks_against_a_class_rises_when_it_is_covered() -> None:
    white = np.full((16, 16, 1), 255, np.uint8)
    (found,) = maps_of(make_dataset(white), [(0, 0, looks_at(slice(0, 16), slice(0, 16)))])
    assert found.plain == 0
    assert (found.drops < 0).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 20, 1), (2, 3, 1)])
def test_pictures_of_few_pixels_have_few_cells(shape: Any) -> None:
    white = np.full(shape, 255, np.uint8)
    (found,) = maps_of(make_dataset(white), [(0, 1, looks_at(slice(0, 9), slice(0, 99)))])
    assert found.drops.shape == (min(8, shape[0]), min(8, shape[1]))
    assert np.isfinite(found.drops).all()


def test_the_dataset_itself_is_never_covered() -> None:
    white = np.full((16, 16, 1), 255, np.uint8)
    white.flags.writeable = False
    dataset = make_dataset(white)
    maps_of(dataset, [(0, 1, looks_at(slice(0, 4), slice(0, 4)))])
    assert (dataset.columns["photo"][0] == 255).all()


def test_rows_without_a_picture_are_passed_over_and_time_ends_it() -> None:
    white = np.full((16, 16, 1), 255, np.uint8)
    dataset = make_dataset(None, white, white)
    predict = looks_at(slice(0, 4), slice(0, 4))
    assert [found.row for found in maps_of(dataset, [(row, 1, predict) for row in range(3)])] == [1, 2]
    assert maps_of(dataset, [(1, 1, predict)], seconds=0.0) == []

    def slow(feeds: Any) -> Any:
        time.sleep(0.05)
        return predict(feeds)

    started = time.monotonic()
    assert len(maps_of(dataset, [(1, 1, predict), (1, 1, slow), (2, 1, predict)], seconds=0.06)) <= 2
    assert time.monotonic() - started < 2


def test_a_column_that_no_graph_reads_has_no_maps() -> None:
    white = np.full((4, 4, 1), 255, np.uint8)
    assert occluded([(0, 1, None)], make_dataset(white), inputs=(), seconds=9.0, column="photo") == []
