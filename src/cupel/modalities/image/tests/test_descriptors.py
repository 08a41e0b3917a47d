"""What a picture looks like, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.modalities.image import descriptors
from cupel.modalities.image.descriptors import Descriptor

SIZE = 16


def described(*pictures: np.ndarray, n_orientations: int = 8, n_cells: int = 4, thumbnail: int = 4) -> np.ndarray:
    """Of grey pictures (height, width)."""
    pixels = np.stack(pictures)[:, None].astype(np.uint8)
    return Descriptor(n_orientations, n_cells, thumbnail, *pixels.shape[2:], 1).of(pixels)


def halves(angle: int) -> np.ndarray:
    """Bright below a line through the middle, turned by quarters."""
    picture = np.zeros((SIZE, SIZE), np.uint8)
    picture[SIZE // 2 :] = 200
    return np.rot90(picture, angle)


@pytest.mark.parametrize(("turns", "direction"), [(0, 2), (1, 0), (2, 6), (3, 4)])
def test_an_edge_counts_most_for_its_own_direction_and_not_for_those_across(turns: int, direction: int) -> None:
    inside = described(halves(turns), thumbnail=0).reshape(8, 4, 4)[:, 1:3, 1:3].sum(axis=(1, 2))
    assert inside.argmax() == direction
    assert inside[(direction + 1) % 8] == pytest.approx(inside[direction] * np.sqrt(0.5), rel=1e-4)
    assert max(inside[(direction + turn) % 8] for turn in (2, 3, 4, 5, 6)) < 1e-4


def test_a_plain_picture_has_no_edges_inside() -> None:
    cells = described(np.full((SIZE, SIZE), 90), thumbnail=0).reshape(8, 4, 4)
    assert not cells[:, 1:3, 1:3].any()


def test_contrast_keeps_the_directions_of_edges_and_changes_the_small_copy() -> None:
    picture = np.zeros((SIZE, SIZE))
    picture[4:12, 4:12] = 100
    first, second = described(picture, 2 * picture)
    n_edges = 8 * 16
    cells = [each[:n_edges].reshape(8, 16) for each in (first, second)]
    lengths = [np.linalg.norm(each, axis=0) for each in cells]
    assert lengths[0].min() > 0.1
    directions = [each / length for each, length in zip(cells, lengths, strict=True)]
    np.testing.assert_allclose(directions[0], directions[1], atol=1e-5)
    assert (lengths[0] < lengths[1]).all()
    assert lengths[1].max() <= 1
    np.testing.assert_allclose(2 * first[n_edges:], second[n_edges:], atol=1e-6)


def test_the_small_copy_holds_means_of_its_parts() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE))
    found = described(picture)[0, -16:].reshape(4, 4)
    np.testing.assert_allclose(found, picture.reshape(4, 4, 4, 4).mean(axis=(1, 3)) / 255, atol=1e-6)


def test_parts_that_do_not_divide_a_picture_count_pixels_in_part() -> None:
    found = Descriptor(6, 2, 2, 3, 5, 1).of(np.arange(15, dtype=np.uint8).reshape(1, 1, 3, 5) * 10)[0, -4:]
    rows = np.array([[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    columns = np.array([[0.4, 0.4, 0.2, 0, 0], [0, 0, 0.2, 0.4, 0.4]])
    np.testing.assert_allclose(found.reshape(2, 2), rows @ (np.arange(15).reshape(3, 5) / 25.5) @ columns.T, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)])
def test_pictures_smaller_than_the_cells_are_described_too(size: tuple[int, int]) -> None:
    found = Descriptor(8, 7, 8, *size, 3).of(np.full((2, 3, *size), 50, np.uint8))
    assert found.shape[0] == 2
    assert np.isfinite(found).all()


def test_many_pictures_are_described_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 8, 8)).astype(np.uint8)
    descriptor = Descriptor(8, 4, 4, 8, 8, 3)
    alone = np.concatenate([descriptor.of(pixels[row : row + 1]) for row in range(7)])
    monkeypatch.setattr(descriptors, "BYTES_AT_ONCE", 3 * 3 * 64)
    np.testing.assert_allclose(descriptor.of(pixels), alone, atol=1e-6)
    assert descriptor.of(pixels[:0]).shape == (0, alone.shape[1])


def test_equal_parts_of_pictures_are_equal_to_the_last_bit_however_many_go_through_at_once() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 3, 16, 16)).astype(np.uint8)
    descriptor = Descriptor(8, 4, 8, 16, 16, 3)
    together = descriptor.of(pixels)[:, -192:]
    alone = np.concatenate([descriptor.of(pixels[row : row + 1]) for row in range(24)])[:, -192:]
    assert np.array_equal(together, alone)
    means = pixels.reshape(24, 3, 8, 2, 8, 2).sum(axis=(3, 5)).reshape(24, 192)
    assert len(np.unique(together)) == len(np.unique(means))
