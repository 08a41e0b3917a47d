"""Mixed pictures hold as much of each as their targets say."""

import numpy as np
import pytest
import torch
from scipy import stats

from cupel.core.errors import UsageError
from cupel.modalities.image.augmentation.draws import Draws
from cupel.modalities.image.augmentation.mixing import Mixed, beta, cut_mix, mix_up, unmixed

CPU = torch.device("cpu")


def draws(n, *, seed=0):
    return Draws(n, torch.Generator().manual_seed(seed), CPU)


def numbered(n, *, size=8):
    """Picture k is all k, and so is its target."""
    values = torch.arange(n, dtype=torch.float32)
    return values[:, None, None, None].expand(n, 2, size, size).contiguous(), values


def test_blended_pictures_and_values_are_blended_alike():
    pictures, target = numbered(64)
    mixed = mix_up(pictures, target, draws=draws(64), alpha=0.4)
    torch.testing.assert_close(mixed.target(0), mixed.pictures[:, 0, 0, 0], atol=1e-4, rtol=0)
    torch.testing.assert_close(mixed.target(0), mixed.share * target + (1 - mixed.share) * mixed.second, atol=1e-4, rtol=0)
    assert sorted(mixed.second.tolist()) == target.tolist()
    assert (mixed.second != target).float().mean() > 0.9


def test_a_cut_picture_has_as_many_pixels_of_each_as_its_target_says():
    pictures, target = numbered(200, size=20)
    mixed = cut_mix(pictures, target, draws=draws(200), alpha=1.0)
    torch.testing.assert_close(mixed.target(0), mixed.pictures.mean(dim=(1, 2, 3)), atol=1e-3, rtol=0)
    for row in range(200):
        assert set(mixed.pictures[row].unique().tolist()) <= {float(target[row]), float(mixed.second[row])}
    assert mixed.share.min() < 0.2
    assert mixed.share.max() > 0.95


def test_class_targets_become_probabilities():
    mixed = Mixed(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 2]), torch.tensor([2, 1, 0]), torch.tensor([0.75, 0.6, 0.0]))
    expected = torch.tensor([[0.75, 0.0, 0.25], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(mixed.target(3), expected)


def test_unmixed_pictures_have_their_own_targets():
    pictures, _ = numbered(3)
    untouched = unmixed(pictures, torch.tensor([2, 0, 1]))
    assert torch.equal(untouched.target(3), torch.eye(3)[[2, 0, 1]])
    assert untouched.pictures is pictures


def test_shares_follow_the_beta_distribution():
    for alpha in (0.2, 1.0):
        shares = beta(draws(4000), alpha).numpy()
        assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.01
        assert np.isfinite(shares).all()


def test_classes_and_values_are_not_confused():
    pictures, values = numbered(4)
    with pytest.raises(UsageError, match="n_classes is 3"):
        unmixed(pictures, values).target(3)
    with pytest.raises(UsageError, match="n_classes is 0"):
        unmixed(pictures, values.long()).target(0)


def test_one_picture_is_mixed_with_itself():
    pictures, target = numbered(1)
    for mix in (mix_up, cut_mix):
        mixed = mix(pictures + 1, target + 1, draws=draws(1), alpha=1.0)
        torch.testing.assert_close(mixed.pictures, pictures + 1)
        torch.testing.assert_close(mixed.target(0), target + 1)
