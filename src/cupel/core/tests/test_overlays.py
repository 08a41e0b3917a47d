"""Masks laid over their pictures."""

from __future__ import annotations

import numpy as np

from cupel.core.masks import VOID
from cupel.core.overlays import colours_of, errors, overlaid

PICTURE = np.full((4, 6, 1), 100, np.uint8)


def test_the_first_class_is_left_as_it_is_and_others_have_colours_of_their_own() -> None:
    labels = np.array([0, 1, 2, VOID, 0, 1], np.uint8)[None].repeat(4, axis=0)
    found = overlaid(PICTURE, labels, n_classes=3)
    assert found.shape == (4, 6, 3)
    assert found[0, 0].tolist() == [100, 100, 100]
    assert len({tuple(found[0, place]) for place in (0, 1, 2, 3)}) == 4
    assert len({tuple(colour) for colour in colours_of(20).tolist()}) == 20


def test_masks_of_another_size_are_stretched_over_their_picture() -> None:
    labels = np.array([[0, 1]], np.uint8)
    found = overlaid(PICTURE, labels, n_classes=2)
    assert (found[:, :3] == 100).all()
    assert (found[:, 3:] != 100).any(axis=2).all()


def test_only_wrong_pixels_that_are_not_void_are_red() -> None:
    truth = np.array([[0, 0, 1, 1, VOID, VOID]], np.uint8).repeat(4, axis=0)
    said = np.array([[0, 1, 1, 0, 1, 0]], np.uint8).repeat(4, axis=0)
    found = errors(PICTURE, said, truth=truth)
    is_red = found[0, :, 0] > found[0, :, 1]
    assert is_red.tolist() == [False, True, False, True, False, False]
