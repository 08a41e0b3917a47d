"""Masks laid over their pictures, for people."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from cupel.core.masks import VOID, on_grid

Pixels = NDArray[np.uint8]
Labels = NDArray[np.uint8]
OPACITY = 0.45
GOLDEN_ANGLE = 0.381966
"""Of the circle of hues: colours of classes that follow one another are far apart."""
WRONG, UNKNOWN = (214, 39, 40), (128, 128, 128)


def colours_of(n_classes: int) -> Pixels:
    """A colour for each class but the first, which is left uncoloured, shape (classes, 3)."""
    hues = [(0.55 + GOLDEN_ANGLE * klass) % 1.0 for klass in range(n_classes)]
    return np.array([[round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, 0.95)] for hue in hues], np.uint8)


def overlaid(picture: Pixels, labels: Labels, *, n_classes: int) -> Pixels:
    """A picture (height, width, 1 or 3) in grey with the classes of its pixels in colour; void is grey."""
    fitted = labels if labels.shape == picture.shape[:2] else on_grid(labels, picture.shape[:2])
    palette = np.zeros((256, 3), np.uint8)
    palette[:n_classes], palette[VOID] = colours_of(n_classes), UNKNOWN
    return _mixed(picture, palette[fitted], where=fitted > 0)


def errors(picture: Pixels, said: Labels, *, truth: Labels) -> Pixels:
    """The same picture with the pixels whose class is wrong in red, where the truth is not void."""
    fitted = [each if each.shape == picture.shape[:2] else on_grid(each, picture.shape[:2]) for each in (said, truth)]
    colour = np.broadcast_to(np.array(WRONG, np.uint8), (*picture.shape[:2], 3))
    return _mixed(picture, colour, where=(fitted[0] != fitted[1]) & (fitted[1] != VOID))


def _mixed(picture: Pixels, colour: Pixels, *, where: NDArray[np.bool_]) -> Pixels:
    grey = np.repeat(picture.astype(np.float32).mean(axis=2, keepdims=True), 3, axis=2)
    mixed = np.where(where[:, :, None], (1 - OPACITY) * grey + OPACITY * colour, grey)
    return np.rint(mixed).astype(np.uint8)
