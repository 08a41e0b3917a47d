"""Masks from files of every form: which classes they hold, and what is no class."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cupel.core.errors import DataError
from cupel.core.masks import VOID, Masks
from cupel.modalities.image.reading import read_masks


def saved(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def grey(levels: list[int], *, size: int = 8) -> np.ndarray:
    """Stripes of these levels."""
    return np.repeat(np.array(levels, np.uint8), size // len(levels))[None].repeat(size, axis=0)


def read(*cells: object) -> Masks:
    column = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return read_masks(column, folder=Path())


def codes(masks: Masks) -> list[str]:
    return [finding.code for finding in masks.findings]


def test_black_and_white_are_two_classes() -> None:
    found = read(saved(Image.fromarray(grey([0, 255]))), saved(Image.fromarray(grey([0, 0])).convert("1")))
    assert found.classes == ("0", "255")
    assert found.labels[0].tolist() == (grey([0, 255]) // 255).tolist()
    assert found.labels[1].max() == 0
    assert found.labels[0].dtype == np.uint8


def test_255_beside_low_levels_is_void_and_beside_grey_ones_a_class() -> None:
    low = read(grey([0, 1, 2, 255]))
    assert low.classes == ("0", "1", "2")
    assert (low.labels[0] == VOID).mean() == 0.25
    assert codes(low) == ["void-pixels"]
    assert read(grey([0, 128, 255, 255])).classes == ("0", "128", "255")


def test_indices_of_one_palette_are_classes_and_of_several_the_colours_are() -> None:
    def with_palette(colours: list[int]) -> bytes:
        image = Image.frombytes("P", (8, 8), grey([0, 1]).tobytes())
        image.putpalette(colours)
        return saved(image)

    red_first, black_first = [255, 0, 0, 0, 0, 0], [0, 0, 0, 255, 0, 0]
    same = read(with_palette(red_first), with_palette(red_first))
    assert same.classes == ("0", "1")
    other = read(with_palette(red_first), with_palette(black_first))
    assert other.classes == ("#000000", "#ff0000")
    assert (other.labels[0] == 1 - other.labels[1]).all()


def test_colours_are_classes_and_grey_ones_join_them() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[:2, :, 0] = 255
    found = read(saved(Image.fromarray(red)), saved(Image.fromarray(np.zeros((3, 5), np.uint8))))
    assert found.classes == ("#000000", "#ff0000")
    assert found.labels[0][:2].min() == 1
    assert found.labels[1].tolist() == np.zeros((3, 5)).tolist()


def test_the_void_colour_of_pascal_is_no_class() -> None:
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[0], mask[1] = (128, 0, 0), (224, 224, 192)
    found = read(mask)
    assert found.classes == ("#000000", "#800000")
    assert (found.labels[0][1] == VOID).all()


def test_sixteen_bits_are_numbers_of_classes() -> None:
    found = read(saved(Image.fromarray(np.array([[0, 300], [300, 7]], np.uint16))))
    assert found.classes == ("0", "7", "300")


def test_what_jpeg_smeared_is_divided_in_the_middle() -> None:
    disc = (np.hypot(*(np.mgrid[:64, :64] - 32)) < 20).astype(np.uint8) * 255
    found = read(saved(Image.fromarray(disc), "JPEG", quality=85))
    assert found.classes == ("0", "255")
    assert codes(found) == ["soft-masks"]
    assert (found.labels[0] == disc // 255).mean() > 0.99


def test_photographs_are_no_masks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    with pytest.raises(DataError, match="different values; expected one for each class, 100 at most"):
        read(noise)


def test_masks_of_one_value_are_refused() -> None:
    with pytest.raises(DataError, match="one value, 3, throughout"):
        read(np.full((4, 4), 3))


def test_what_cannot_be_read_is_missing_and_named() -> None:
    found = read(grey([0, 255]), b"<html>", None)
    assert found.labels[1] is None
    assert found.labels[2] is None
    assert codes(found) == ["unreadable-masks"]
    assert "row 2" in found.findings[0].what
    with pytest.raises(DataError, match="not one of 1 masks can be read"):
        read(b"<html>")


def test_arrays_of_fractions_are_refused_by_their_row() -> None:
    with pytest.raises(DataError, match="the mask in row 2 is an array of float64"):
        read(grey([0, 1]), np.zeros((3, 3)))


def test_large_masks_are_thinned_as_pictures_are() -> None:
    large = np.zeros((1100, 700), np.uint8)
    large[:, 350:] = 1
    found = read(large)
    assert found.labels[0].shape == (550, 350)
    assert set(np.unique(found.labels[0])) == {0, 1}
