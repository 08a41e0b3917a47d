"""The loss for classes, for probabilities of classes, and for values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cupel.training.loss import sample_losses


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_loss_of_probabilities_is_what_is_reckoned_by_hand() -> None:
    outputs = torch.tensor([0.0, math.log(3.0)]).view(1, 1, 1, 2)  # probabilities 1/4 and 3/4
    target = torch.tensor([[[0.25, 0.75]]])
    by_hand = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert sample_losses(outputs, target).item() == pytest.approx(by_hand, rel=1e-6)
    smoothed = (0.25 * 0.8 + 0.1) * math.log(4) + (0.75 * 0.8 + 0.1) * math.log(4 / 3)
    assert sample_losses(outputs, target, smoothing=0.2).item() == pytest.approx(smoothed, rel=1e-6)
    weights = torch.tensor([[2.0, 0.5]])
    found = sample_losses(outputs, target, class_weights=weights).item()
    assert found == pytest.approx((0.25 * 2 + 0.75 * 0.5) * by_hand, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_whole_probabilities_are_classes(smoothing: float, is_weighted: bool) -> None:
    outputs = drawn(2, 3, 5, 4)
    classes = torch.randint(0, 4, (2, 5), generator=torch.Generator().manual_seed(1))
    weights = drawn(2, 4, seed=2).abs() if is_weighted else None
    expected = sample_losses(outputs, classes, smoothing=smoothing, class_weights=weights)
    one_hot = torch.nn.functional.one_hot(classes, 4).float()
    found = sample_losses(outputs, one_hot, smoothing=smoothing, class_weights=weights)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, sample_losses(outputs, one_hot.roll(1, dims=-1), smoothing=smoothing), atol=1e-2)


def test_members_are_judged_each_by_itself() -> None:
    outputs, target = drawn(1, 3, 5, 4), drawn(1, 5, 4, seed=3).softmax(dim=-1)
    alone = [sample_losses(outputs[:, member : member + 1], target) for member in range(3)]
    assert torch.allclose(sample_losses(outputs, target), torch.stack(alone).mean(dim=0), atol=1e-6)


def test_models_and_rows_do_not_mix() -> None:
    outputs, target = drawn(2, 1, 5, 3), drawn(2, 5, 3, seed=3).softmax(dim=-1)
    together = sample_losses(outputs, target)
    assert torch.allclose(sample_losses(outputs[1:], target[1:])[0], together[1])
    assert torch.allclose(sample_losses(outputs[:, :, 3:4], target[:, 3:4])[:, 0], together[:, 3])


def test_probabilities_that_are_met_leave_no_gradient() -> None:
    outputs = drawn(1, 1, 4, 3).requires_grad_()
    target = outputs.detach()[:, 0].softmax(dim=-1)
    sample_losses(outputs, target).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.abs().max() < 1e-6


def test_values_have_squared_errors() -> None:
    outputs = torch.tensor([1.0, 4.0]).view(1, 2, 1, 1)
    assert sample_losses(outputs, torch.tensor([[2.0]])).item() == pytest.approx((1 + 4) / 2)
