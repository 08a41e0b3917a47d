"""Losses of several labels: what is unknown teaches nothing, and what is stopped by is what is predicted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from cupel.core.form import Form
from cupel.training.loss import judged_losses, label_losses


def planted(n_members: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(1, n_members, 6, 3, generator=generator)
    return outputs, (torch.rand(1, 6, 3, generator=generator) < 0.5).float()


def test_known_labels_cost_their_binary_cross_entropy() -> None:
    outputs, target = planted()
    wanted = target[:, None].expand_as(outputs)
    expected = functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").mean(dim=(1, 3))
    torch.testing.assert_close(label_losses(outputs, target), expected)


def test_unknown_labels_pass_no_gradient_and_known_cells_count_alike() -> None:
    outputs, target = planted()
    target[0, 0], target[0, 1, 2] = torch.nan, torch.nan
    outputs.requires_grad_()
    loss = label_losses(outputs, target).mean()
    loss.backward()
    known = target.isfinite()
    assert outputs.grad is not None
    assert (outputs.grad[:, :, 0] == 0).all()
    assert (outputs.grad[:, :, 1, 2] == 0).all()
    wanted = target.nan_to_num()[:, None].expand_as(outputs)
    each = functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").mean(dim=1)
    torch.testing.assert_close(loss, each[known].mean())
    assert label_losses(outputs, torch.full_like(target, torch.nan)).sum() == 0


def test_smoothing_draws_towards_one_half() -> None:
    outputs, target = planted()
    soft = target * 0.8 + 0.1
    torch.testing.assert_close(label_losses(outputs, target, smoothing=0.2), label_losses(outputs, soft))


def test_what_is_stopped_by_is_the_loss_of_the_mean_of_members() -> None:
    outputs, target = planted()
    target[0, 2, 1] = torch.nan
    mean = Form.LABELS.finished(outputs[0].double().numpy()).mean(axis=0)
    rows = [Form.LABELS.loss(mean[[row]], target[0, [row]].double().numpy()) for row in range(6)]
    assert judged_losses(outputs, target)[0].numpy() == pytest.approx(rows, rel=1e-5)


def test_large_logits_stay_finite() -> None:
    numbers = np.array([[-800.0, 0.0, 800.0]])
    assert Form.LABELS.finished(numbers).tolist() == [[0.0, 0.5, 1.0]]
    huge = torch.tensor([[[[-200.0, 200.0]]]])
    assert label_losses(huge, torch.tensor([[[1.0, 0.0]]])).isfinite().all()
