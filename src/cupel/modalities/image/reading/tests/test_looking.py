"""Copies are found, exact and to the eye, and blurred pictures are told from sharp ones."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cupel.core.images import Images
from cupel.core.pixels import decoded
from cupel.modalities.image.reading import exact_copies, near_copies, sharpness
from cupel.modalities.image.reading.hashing import close_pairs, perceptual_hashes, thumbnails

GENERATOR = np.random.default_rng(0)


def scene(seed, *, height=60, width=80):
    """A smooth picture unlike those of other seeds."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def as_jpeg(picture, quality):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return decoded(stream.getvalue())


def groups_of(numbers):
    """Sets of positions with one number, those that stand alone left out."""
    return [set(np.flatnonzero(numbers == number).tolist()) for number in np.unique(numbers) if (numbers == number).sum() > 1]


def test_equal_pictures_have_one_number_and_no_others():
    a, b = scene(1), scene(2)
    altered = a.copy()
    altered[5, 5, 0] ^= 1
    images = Images.of([a, b, a, altered, None, a.reshape(80, 60, 3), b, None])
    assert groups_of(exact_copies(images)) == [{0, 2}, {1, 6}]


def test_a_picture_is_known_again_when_it_is_compressed_scaled_or_made_brighter():
    original = scene(1)
    likes = [
        original,
        as_jpeg(original, 40),
        np.asarray(Image.fromarray(original).resize((40, 30), Image.Resampling.BILINEAR)),
        np.clip(original * 0.8 + 20, 0, 255).astype(np.uint8),
        np.asarray(Image.fromarray(original).convert("L"))[:, :, None],
    ]
    others = [scene(seed) for seed in range(2, 60)]
    numbers = near_copies(thumbnails(Images.of([*others[:20], *likes, *others[20:], None])))
    assert groups_of(numbers) == [{20, 21, 22, 23, 24}]
    assert numbers.max() + 1 == 55 + 5


def test_blank_and_missing_pictures_are_like_no_other():
    images = Images.of([np.full((9, 9, 1), level, np.uint8) for level in (0, 0, 255)] + [None, None])
    assert groups_of(near_copies(thumbnails(images))) == []
    assert len(near_copies(thumbnails(images[:0]))) == 0


def test_thumbnails_are_means_of_what_they_cover():
    picture = GENERATOR.integers(0, 256, (64, 96, 1), np.uint8)
    expected = picture.reshape(32, 2, 32, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(thumbnails(Images.of([picture]))[0], expected, atol=1e-3)
    odd = GENERATOR.integers(0, 256, (45, 37, 3), np.uint8)
    small = thumbnails(Images.of([odd, None, odd[:7, :5]]))
    assert small[0].mean() == pytest.approx((odd @ np.array([0.299, 0.587, 0.114])).mean(), abs=1e-2)
    assert np.isnan(small[1]).all()
    assert small[2].mean() == pytest.approx((odd[:7, :5] @ np.array([0.299, 0.587, 0.114])).mean(), abs=1e-2)


def test_each_hash_depends_on_its_own_picture_alone():
    small = thumbnails(Images.of([scene(seed) for seed in range(20)]))
    np.testing.assert_array_equal(perceptual_hashes(small)[7:8], perceptual_hashes(small[7:8]))
    assert (np.bitwise_count(perceptual_hashes(small)) == 32).all()  # half of the bits lie above the median


def test_all_pairs_of_close_hashes_are_found_and_no_others():
    base = GENERATOR.integers(0, 2**63, 150, np.uint64)
    near = base.copy()
    for _ in range(3):
        near ^= np.uint64(1) << GENERATOR.integers(0, 64, 150, np.uint64)
    hashes = np.concatenate([base, near, base[:5] ^ np.uint64(0b1111)])
    first, second = close_pairs(hashes)
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    expected = {(a, b) for a, b in zip(*np.nonzero(distance <= 3), strict=True) if a < b}
    assert expected <= found
    assert found == expected
    assert len(found) >= 150


def test_equal_hashes_are_chained_and_not_paired_all_with_all():
    hashes = np.full(5000, 12345, np.uint64)
    assert len(close_pairs(hashes)[0]) == 4999
    assert len(close_pairs(hashes[:1])[0]) == len(close_pairs(hashes[:0])[0]) == 0


def test_blurred_pictures_are_less_sharp():
    sharp = GENERATOR.integers(0, 256, (600, 520), np.uint8)
    blurred = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(2)))
    found = sharpness(np.stack([sharp, blurred, np.full((600, 520), 9)]).astype(np.float32))
    assert found[0] > 50 * found[1] > 0
    assert found[2] == 0
    assert sharpness(sharp[None, :2, :2].astype(np.float32)).tolist() == [0]
    assert sharpness(np.eye(3, dtype=np.float32)[None] * 255).tolist() == [0]  # one value, no variance
