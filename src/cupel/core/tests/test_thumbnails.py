"""Small pictures of rows: small, true to what they show, and absent where there is nothing to show."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.thumbnails import Thumbnails, small_data_url


def shown(url: str) -> Any:
    head, _, content = url.partition(";base64,")
    assert head in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def make_dataset(pictures: list[Any], **options: Any) -> Dataset:
    cells = np.empty(len(pictures), dtype=object)
    cells[:] = pictures
    schema = Schema((Column(name="photo", kind=ColumnKind.IMAGE, channels=3),))
    return Dataset(schema, {"photo": cells}, "made", **options)


@pytest.mark.parametrize(("height", "width"), [(200, 300), (3, 900), (900, 1), (64, 64), (513, 512)])
def test_large_pictures_become_small_and_keep_their_proportions(height: int, width: int) -> None:
    picture = np.full((height, width, 3), (200, 100, 0), np.uint8)
    small = shown(small_data_url(picture, side=48))
    assert max(small.shape[:2]) == 48
    scale = 48 / max(height, width)
    assert small.shape[:2] == (max(1, round(height * scale)), max(1, round(width * scale)))
    assert np.abs(small.reshape(-1, 3).mean(axis=0) - (200, 100, 0)).max() < 4


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_few_pixels_stay_as_they_are(n_channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, n_channels), dtype=np.uint8)
    small = shown(small_data_url(picture))
    assert np.array_equal(small.reshape(4, 5, n_channels), picture)


def test_noise_of_full_size_takes_a_few_kilobytes_at_most() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    assert len(small_data_url(noise)) < 6_000


def test_rows_are_called_by_their_files_and_else_by_their_place() -> None:
    pictures = [np.zeros((2, 2, 3), np.uint8), None, np.zeros((2, 2, 3), np.uint8)]
    names = np.array(["a/1.png", "a/2.png", None], dtype=object)
    dataset = make_dataset(pictures, names={"photo": names}, row_numbers=np.array([0, 4, 8]))
    thumbnails = Thumbnails.of(dataset)
    assert thumbnails is not None
    assert [thumbnails.name(row) for row in range(3)] == ["a/1.png", "a/2.png", "row 9"]
    assert [thumbnails(row) is None for row in range(3)] == [False, True, False]
    assert make_dataset(pictures).name_of(2) == "row 3"


def test_names_leave_with_their_column() -> None:
    dataset = make_dataset([None], names={"photo": np.array(["1.png"], dtype=object)})
    assert dataset.without(["photo"]).names == {}


def test_tables_have_no_thumbnails() -> None:
    schema = Schema((Column(name="age", kind=ColumnKind.NUMBER),))
    assert Thumbnails.of(Dataset(schema, {"age": np.zeros(3)}, "made")) is None
