"""Real sets of pictures are read whole, and what is wrong with them is found."""

import os
from pathlib import Path

import numpy as np
import pytest

from cupel.core.errors import DataError
from cupel.modalities.image.reading import exact_copies, near_copies, read_pictures, read_source
from cupel.modalities.image.reading.hashing import thumbnails

pytestmark = pytest.mark.real

FOLDER = Path(os.environ.get("CUPEL_DATA", Path(__file__).parents[6] / ".." / "shared" / "data"))


def source(name):
    if not (FOLDER / name).exists():
        pytest.skip(f"{name} is not in {FOLDER}")
    return FOLDER / name


def n_shared(numbers):
    return int((np.bincount(numbers)[numbers] > 1).sum())


def test_flowers_are_photographs_of_which_some_stand_there_twice():
    table = read_source(source("flowers5"))
    classes, counts = np.unique(table.columns["label"].astype(str), return_counts=True)
    assert dict(zip(classes.tolist(), counts.tolist(), strict=True)) == {
        "daisy": 764,
        "dandelion": 1052,
        "rose": 784,
        "sunflower": 733,
        "tulip": 984,
    }
    images, findings = read_pictures(table.columns["picture"], folder=table.folder)
    assert [said.code for said in findings] == ["grey-among-colour"]
    assert np.unique(images.shapes[:, :2], axis=0).tolist() == [[128, 128]]
    assert images.n_channels == 3
    assert n_shared(exact_copies(images)) == 12
    assert n_shared(near_copies(thumbnails(images))) == 26  # looked at one by one: all are the same photograph


def test_fashion_mnist_is_read_with_the_moments_that_everybody_knows():
    table = read_source(source("fashion_mnist"))
    images = table.columns["picture"]
    assert images.stacked().shape == (60000, 28, 28, 1)
    assert np.bincount(table.columns["label"]).tolist() == [6000] * 10
    assert images.stacked().mean() / 255 == pytest.approx(0.2860, abs=0.002)
    assert images.stacked().std() / 255 == pytest.approx(0.3530, abs=0.002)
    assert n_shared(near_copies(thumbnails(images[np.arange(0, 60000, 6)]))) < 100


def test_membranes_are_pairs_of_pictures_and_masks():
    table = read_source(source("isbi_membrane"))
    assert table.n_rows == 30
    for column in table.pictures:
        images, findings = read_pictures(table.columns[column], folder=table.folder)
        assert not findings
        assert images.stacked().shape == (30, 512, 512, 1)
    assert np.unique(images.stacked()).tolist() == [0, 255]
    assert (images.stacked() == 255).mean() == pytest.approx(0.780, abs=0.001)


def test_cells_with_boxes_but_no_classes_are_refused_by_what_they_hold():
    with pytest.raises(DataError, match="one folder of pictures, 'JPEGImages'"):
        read_source(source("bccd"))
