"""Colours against Pillow, and filters against plain sums."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from cupel.modalities.image.augmentation.colour import adjust_colour, luminance, posterise, solarise, stretch_contrast
from cupel.modalities.image.augmentation.filtering import blur, sharpen

LEVEL = 1 / 255


def drawn(n=3, n_channels=3, *, seed=0, low=0, high=256):
    levels = torch.randint(low, high, (n, n_channels, 14, 11), generator=torch.Generator().manual_seed(seed))
    return levels.float() / 255


def by_pillow(pictures, function):
    """Each picture through a function of Pillow images, back as floats."""
    done = []
    for row, picture in enumerate(pictures):
        levels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        done.append(np.asarray(function(Image.fromarray(levels), row)))
    return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_each_adjustment_is_pillows(name, enhancer):
    pictures, factors = drawn(), torch.tensor([0.3, 1.0, 1.9])
    adjusted = adjust_colour(pictures, **{name: factors})
    expected = by_pillow(pictures, lambda image, row: enhancer(image).enhance(float(factors[row])))
    torch.testing.assert_close(adjusted, expected, atol=2.1 * LEVEL, rtol=0)
    torch.testing.assert_close(adjusted[1], pictures[1], atol=1e-6, rtol=0)


def test_three_adjustments_at_once_are_one_after_another():
    pictures = drawn(low=90, high=150)  # where nothing is clipped
    factors = torch.tensor([[0.9, 1.1, 1.0], [1.2, 0.8, 0.7], [0.6, 1.3, 1.2]])
    together = adjust_colour(pictures, brightness=factors[0], contrast=factors[1], saturation=factors[2])
    singly = adjust_colour(adjust_colour(pictures, brightness=factors[0]), contrast=factors[1])
    torch.testing.assert_close(together, adjust_colour(singly, saturation=factors[2]), atol=1e-5, rtol=0)


def test_grey_pictures_have_no_saturation():
    pictures = drawn(n_channels=1)
    assert torch.equal(adjust_colour(pictures, saturation=torch.tensor([0.0, 1.0, 2.0])), pictures)


def test_luminance_of_other_than_three_channels_is_their_mean():
    pictures = drawn(n_channels=4)
    torch.testing.assert_close(luminance(pictures), pictures.mean(dim=1, keepdim=True))


def test_posterising_is_pillows():
    pictures = drawn(n=8)
    bits = torch.arange(1, 9)
    expected = by_pillow(pictures, lambda image, row: ImageOps.posterize(image, int(bits[row])))
    torch.testing.assert_close(posterise(pictures, bits), expected, atol=1e-6, rtol=0)


def test_eight_bits_leave_values_between_levels():
    pictures = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(posterise(pictures, torch.tensor([8, 8])), pictures)


def test_solarising_is_pillows():
    pictures, thresholds = drawn(), torch.tensor([0, 100, 256])
    expected = by_pillow(pictures, lambda image, row: ImageOps.solarize(image, int(thresholds[row])))
    torch.testing.assert_close(solarise(pictures, thresholds / 255 - 1e-4), expected, atol=1e-6, rtol=0)


def test_stretched_contrast_is_pillows():
    pictures = drawn(low=60, high=180)
    expected = by_pillow(pictures, lambda image, row: ImageOps.autocontrast(image))
    torch.testing.assert_close(stretch_contrast(pictures), expected, atol=1.1 * LEVEL, rtol=0)


def test_a_flat_picture_cannot_be_stretched():
    flat = torch.full((2, 3, 4, 4), 0.3)
    assert torch.equal(stretch_contrast(flat), flat)


def test_sharpness_is_pillows():
    pictures, factors = drawn(), torch.tensor([0.0, 0.4, 1.9])
    expected = by_pillow(pictures, lambda image, row: ImageEnhance.Sharpness(image).enhance(float(factors[row])))
    torch.testing.assert_close(sharpen(pictures, factors), expected, atol=2.1 * LEVEL, rtol=0)
    torch.testing.assert_close(sharpen(pictures, torch.ones(3)), pictures, atol=1e-6, rtol=0)


def test_what_is_too_small_to_be_sharpened_stays():
    pictures = drawn()[:, :, :2]
    assert torch.equal(sharpen(pictures, torch.zeros(3)), pictures)


def test_a_blur_is_a_weighted_mean_of_neighbours():
    pictures, deviations = drawn(), torch.tensor([0.0, 0.6, 1.5])
    blurred = blur(pictures, deviations)
    torch.testing.assert_close(blurred[0], pictures[0])
    for row in (1, 2):
        reach = np.arange(-3, 4)
        weights = np.exp(-(reach**2) / (2 * float(deviations[row]) ** 2))
        kernel = np.outer(weights, weights) / weights.sum() ** 2
        wide = np.pad(pictures[row].numpy(), ((0, 0), (3, 3), (3, 3)), mode="edge")
        expected = sum(kernel[i, j] * wide[:, i : i + 14, j : j + 11] for i in range(7) for j in range(7))
        np.testing.assert_allclose(blurred[row].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2])
def test_a_blur_of_tiny_pictures_is_possible(size):
    pictures = drawn()[:, :, :size, :size]
    assert blur(pictures, torch.full((3,), 1.5)).shape == pictures.shape


def test_values_stay_between_0_and_1():
    pictures, most = drawn(), torch.full((3,), 1.99)
    for changed in (adjust_colour(pictures, brightness=most, contrast=most, saturation=most), sharpen(pictures, most * 4)):
        assert changed.min() >= 0
        assert changed.max() <= 1


@pytest.mark.parametrize("function", [sharpen, blur, solarise, lambda x, f: adjust_colour(x, contrast=f, saturation=f)])
def test_a_row_does_not_depend_on_the_others(function):
    pictures, factors = drawn(4), torch.tensor([0.2, 0.5, 1.1, 1.4])
    together = function(pictures, factors)
    for row in range(4):
        alone = slice(row, row + 1)
        torch.testing.assert_close(function(pictures[alone], factors[alone]), together[alone], atol=1e-6, rtol=0)
