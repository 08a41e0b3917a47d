"""Movements against Pillow, against each other, and by what each must leave as it is."""

import numpy as np
import pytest
import torch
from PIL import Image

from cupel.core.errors import UsageError
from cupel.modalities.image.augmentation.geometry import Motion, compose, warp
from cupel.modalities.image.augmentation.shifting import alternating_flip, shift


def drawn(n=4, n_channels=3, height=12, width=15, *, seed=0):
    return torch.rand(n, n_channels, height, width, generator=torch.Generator().manual_seed(seed))


def test_shifted_pictures_are_those_of_numpy():
    pictures = drawn()
    down, right = torch.tensor([2, -3, 0, 14]), torch.tensor([-1, 0, 4, 30])
    mirrored, upturned = torch.tensor([True, False, True, False]), torch.tensor([False, True, True, False])
    moved = shift(pictures, down=down, right=right, mirrored=mirrored, upturned=upturned)
    blacked = shift(pictures, down=down, right=right, mirrored=mirrored, upturned=upturned, padding="zeros")
    for row, picture in enumerate(pictures.numpy()):
        seen = picture[:, :, ::-1] if mirrored[row] else picture
        seen = seen[:, ::-1] if upturned[row] else seen
        y, x = int(down[row]), int(right[row])
        for given, mode in ((moved, "symmetric"), (blacked, "constant")):
            wide = np.pad(seen, ((0, 0), (40, 40), (40, 40)), mode=mode)
            assert np.array_equal(given[row].numpy(), wide[:, 40 - y : 52 - y, 40 - x : 55 - x])


def test_bytes_and_labels_are_shifted_as_they_are():
    labels = torch.arange(2 * 5 * 6, dtype=torch.int64).view(2, 1, 5, 6)
    moved = shift(labels, right=torch.tensor([1, -1]))
    assert moved.dtype == torch.int64
    assert moved[0, 0, 0].tolist() == [0, 0, 1, 2, 3, 4]
    assert shift(labels.to(torch.uint8), right=torch.tensor([1, -1])).dtype == torch.uint8


def test_interpolation_by_whole_pixels_is_a_shift():
    pictures, down, right = drawn(), torch.tensor([2, -3, 0, 1]), torch.tensor([-1, 0, 4, 7])
    flips = {"mirrored": torch.tensor([True, False, True, False]), "upturned": torch.tensor([False, True, True, False])}
    motion = Motion(**flips, down=down.float(), right=right.float())
    for padding in ("reflect", "zeros"):
        warped = warp(pictures, motion.matrices(4, pictures.device), padding=padding)
        shifted = shift(pictures, down=down, right=right, padding=padding, **flips)
        torch.testing.assert_close(warped, shifted, atol=1e-5, rtol=0)


def test_nothing_moved_is_the_picture():
    pictures = drawn()
    still = Motion(
        zoom=torch.ones(4), shear_x=torch.zeros(4), shear_y=torch.zeros(4), degrees=torch.zeros(4), right=torch.zeros(4)
    )
    torch.testing.assert_close(warp(pictures, still.matrices(4, pictures.device)), pictures, atol=1e-5, rtol=0)
    torch.testing.assert_close(shift(pictures), pictures, atol=0, rtol=0)


@pytest.mark.parametrize("degrees", [30.0, -75.0, 180.0])
def test_rotation_is_pillows(degrees):
    pictures = drawn(2, 1, 20, 27)
    moved = warp(pictures, Motion(degrees=torch.full((2,), degrees)).matrices(2, pictures.device), padding="zeros")
    for given, picture in zip(moved, pictures, strict=True):
        expected = np.asarray(Image.fromarray(picture[0].numpy()).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=0))
        inner = (slice(2, -2), slice(2, -2))  # at a picture's rim Pillow does not interpolate with what is outside
        is_inside = np.asarray(Image.new("F", (27, 20), 1.0).rotate(degrees, Image.Resampling.BILINEAR))[inner] == 1
        difference = np.abs(given[0].numpy() - expected)[inner]
        assert (difference[is_inside] < 1e-3).mean() > 0.95
        assert is_inside.sum() > 100


def test_zoom_and_shears_go_where_the_matrix_says():
    pictures = torch.zeros(3, 1, 21, 21)
    pictures[:, 0, 10, 12] = 1.0  # two to the right of the centre
    pictures[2, 0, 10, 12], pictures[2, 0, 8, 10] = 0.0, 1.0  # two above it
    motion = Motion(
        zoom=torch.tensor([2.0, 1.0, 1.0]), shear_y=torch.tensor([0.0, 1.5, 0.0]), shear_x=torch.tensor([0.0, 0.0, 1.5])
    )
    moved = warp(pictures, motion.matrices(3, pictures.device), padding="zeros")
    assert [divmod(int(picture.argmax()), 21) for picture in moved] == [(10, 14), (13, 12), (8, 7)]


def test_movements_compose():
    pictures = drawn(3, 2, 16, 24)
    first = Motion(degrees=torch.tensor([10.0, 80.0, -30.0]), right=torch.tensor([1.0, -2.0, 0.5])).matrices(3, pictures.device)
    second = Motion(zoom=torch.tensor([1.2, 0.8, 1.0]), down=torch.tensor([2.0, 0.0, -1.0])).matrices(3, pictures.device)
    point = torch.tensor([3.0, -4.0, 1.0])
    by_hand = (second[:, :, :2] @ (first @ point)[:, :, None])[:, :, 0] + second[:, :, 2]
    torch.testing.assert_close(compose(first, second) @ point, by_hand)


def test_labels_follow_their_pictures():
    pictures = drawn(4, 1, 24, 24)
    masks = (pictures > 0.5).to(torch.int64) * 7
    matrices = Motion(degrees=torch.tensor([90.0, 180.0, 270.0, 90.0]), mirrored=torch.tensor([True, False, False, True]))
    matrices = matrices.matrices(4, pictures.device)
    moved, labels = warp(pictures, matrices), warp(masks, matrices, nearest=True)
    assert labels.dtype == torch.int64
    assert torch.equal((moved > 0.5).to(torch.int64) * 7, labels)


def test_nearest_makes_no_new_labels():
    masks = torch.randint(0, 2, (3, 1, 17, 17), generator=torch.Generator().manual_seed(0)) * 200 + 3
    matrices = Motion(degrees=torch.tensor([13.0, 45.0, 200.0]), zoom=torch.tensor([0.7, 1.3, 1.0])).matrices(3, masks.device)
    assert set(warp(masks, matrices, nearest=True).unique().tolist()) == {3, 203}
    assert set(warp(masks, matrices, nearest=True, padding="zeros").unique().tolist()) == {0, 3, 203}


def test_a_row_does_not_depend_on_the_others():
    pictures = drawn(5)
    matrices = Motion(degrees=torch.arange(5) * 20.0, zoom=torch.arange(5) / 10 + 0.8).matrices(5, pictures.device)
    down = torch.arange(5) - 2
    for row in range(5):
        alone = slice(row, row + 1)
        torch.testing.assert_close(warp(pictures[alone], matrices[alone]), warp(pictures, matrices)[alone], atol=1e-6, rtol=0)
        assert torch.equal(shift(pictures[alone], down=down[alone]), shift(pictures, down=down)[alone])


def test_one_pixel_survives():
    pictures = drawn(2, 1, 1, 1)
    motion = Motion(degrees=torch.tensor([20.0, 90.0]))
    torch.testing.assert_close(warp(pictures, motion.matrices(2, pictures.device)), pictures)
    assert torch.equal(shift(pictures, down=torch.tensor([3, -1]), right=torch.tensor([0, 5])), pictures)


def test_an_unknown_padding_is_refused():
    with pytest.raises(UsageError, match="'wrap'"):
        warp(drawn(), Motion().matrices(4, torch.device("cpu")), padding="wrap")
    with pytest.raises(UsageError, match="'wrap'"):
        shift(drawn(), down=torch.ones(4, dtype=torch.int64), padding="wrap")


def test_alternating_flips_alternate():
    rows = torch.arange(10_000)
    flips = torch.stack([alternating_flip(rows, epoch=epoch, seed=3) for epoch in range(4)])
    assert torch.equal(flips[0], ~flips[1])
    assert torch.equal(flips[0], flips[2])
    assert 0.48 < flips[0].float().mean() < 0.52
    assert 0.47 < (flips[0, 1:] == flips[0, :-1]).float().mean() < 0.53  # neighbours are not alike, nor opposite
    assert torch.equal(alternating_flip(rows[[17, 5]], epoch=0, seed=3), flips[0, [17, 5]])
    assert 0.45 < (alternating_flip(rows, epoch=0, seed=4) == flips[0]).float().mean() < 0.55
