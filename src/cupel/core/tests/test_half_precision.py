import numpy as np
import pytest

from cupel.core.half_precision import LARGEST_ERROR, in_half, rounded, snapped


def weights(*, scale=1.0, size=1000):
    return (np.random.default_rng(0).normal(size=size) * scale).astype(np.float32)


def is_half(values):
    return np.array_equal(values, values.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_weights_are_rounded_to_what_half_precision_holds(scale):
    values = weights(scale=scale)
    nearest = rounded(values)
    assert nearest.dtype == np.float32
    assert is_half(nearest)
    assert 0 < np.abs(nearest - values).max() <= LARGEST_ERROR * np.abs(values).max()
    assert np.array_equal(rounded(nearest), nearest)


@pytest.mark.parametrize("odd", [70_000.0, np.inf, np.nan])
def test_what_half_precision_cannot_hold_is_left_as_it_is(odd):
    values = weights()
    values[5] = odd
    assert rounded(values) is None
    assert in_half(values) is None


def test_numbers_that_would_lose_more_than_their_last_bits_are_left_as_they_are():
    assert rounded(weights(scale=1e-6)) is None


def test_a_few_numbers_are_left_as_they_are():
    few = weights(size=999)
    assert rounded(few) is None
    assert in_half(few.astype(np.float16).astype(np.float32)) is None


def test_only_the_same_numbers_are_the_same():
    values = rounded(weights())
    values[:2] = 0.0, -0.0
    half = in_half(values)
    assert half.dtype == np.float16
    assert half.astype(np.float32).tobytes() == values.tobytes()
    values[7] += np.float32(1e-7)
    assert in_half(values) is None
    assert in_half(values.astype(np.float64)) is None


def test_last_bits_of_a_product_are_taken_back_and_no_more():
    nearest, factor = rounded(weights()), np.random.default_rng(1).uniform(0.01, 100, 1000)
    kept = (nearest / factor).astype(np.float32)
    assert np.array_equal(snapped(kept.astype(np.float64) * factor), nearest)
    others = weights().astype(np.float64)
    assert np.array_equal(snapped(others), others.astype(np.float32))
