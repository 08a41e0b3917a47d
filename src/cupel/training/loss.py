"""The loss of each stacked model, and the penalties added to it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.masks import VOID
from cupel.training.mask_loss import judged_mask_losses, mask_losses


def sample_losses(
    outputs: Float[Tensor, "model member batch output"],
    target: Shaped[Tensor, "model batch ..."],
    *,
    smoothing: float = 0.0,
    class_weights: Float[Tensor, "model klass"] | None = None,
) -> Float[Tensor, "model batch"]:
    """Cross entropy for integer targets, squared error for others; the mean over members of each member's own loss.

    Targets (M, B, outputs) are probabilities of classes, targets (M, B, H, W) masks (`mask_losses`).

    Averaging losses, not predictions, keeps the members different: Gorishniy et al. 2024, arXiv:2410.24210, section 3.
    """
    if target.ndim == 4:
        return mask_losses(outputs, target, class_weights=class_weights)
    if target.ndim == 3:
        return _cross_entropy(outputs, target, smoothing=smoothing, class_weights=class_weights)
    if target.is_floating_point():
        return (outputs.float()[..., 0] - target[:, None]).square().mean(dim=1)
    log_probabilities = functional.log_softmax(outputs.float(), dim=-1)
    index = target[:, None, :, None].expand(-1, outputs.shape[1], -1, 1)
    losses = -log_probabilities.gather(-1, index)[..., 0]
    if smoothing > 0:
        losses = torch.lerp(losses, -log_probabilities.mean(dim=-1), smoothing)
    losses = losses.mean(dim=1)
    return losses if class_weights is None else losses * class_weights.gather(1, target)


def _cross_entropy(
    outputs: Float[Tensor, "model member batch output"],
    target: Float[Tensor, "model batch output"],
    *,
    smoothing: float,
    class_weights: Float[Tensor, "model output"] | None,
) -> Float[Tensor, "model batch"]:
    log_probabilities = functional.log_softmax(outputs.float(), dim=-1).mean(dim=1)
    wanted = torch.lerp(target, target.new_full((), 1 / target.shape[-1]), smoothing) if smoothing > 0 else target
    losses = -(wanted * log_probabilities).sum(dim=-1)
    return losses if class_weights is None else losses * (target * class_weights[:, None]).sum(dim=-1)


def label_losses(
    outputs: Float[Tensor, "model member batch label"], target: Float[Tensor, "model batch label"], *, smoothing: float = 0.0
) -> Float[Tensor, "model batch"]:
    """Binary cross entropy of each known label, the mean over members; targets are probabilities, NaN is unknown.

    Summed over a row's labels and divided by the mean number that a row of the batch knows, so that every known cell counts
    alike.
    """
    known = target.isfinite()
    wanted = torch.where(known, target, 0.5)
    if smoothing > 0:
        wanted = torch.lerp(wanted, wanted.new_full((), 0.5), smoothing)
    losses = functional.softplus(outputs.float()) - wanted[:, None] * outputs.float()
    return _of_known(losses.mean(dim=1), known)


def judged_label_losses(
    outputs: Float[Tensor, "model member batch label"], target: Float[Tensor, "model batch label"]
) -> Float[Tensor, "model batch"]:
    """Log loss of what is predicted in the end for each known label, the mean over those of the row; 0 where it knows none."""
    known = target.isfinite()
    signs = torch.where(target == 1, 1.0, -1.0)[:, None]
    mixed = functional.logsigmoid(signs * outputs.float()).logsumexp(dim=1) - math.log(outputs.shape[1])
    return -torch.where(known, mixed, 0.0).sum(dim=-1) / known.sum(dim=-1).clamp_min(1)


def _of_known(losses: Float[Tensor, "model batch label"], known: Shaped[Tensor, "model batch label"]) -> Tensor:
    n_known = known.sum(dim=(1, 2)) / known.shape[1]
    return torch.where(known, losses, 0.0).sum(dim=-1) / n_known.clamp_min(1 / known.shape[1])[:, None]


def judged_losses(
    outputs: Float[Tensor, "model member batch output"], target: Shaped[Tensor, "model batch ..."]
) -> Float[Tensor, "model batch"]:
    """Log loss or squared error of what is predicted in the end: the mean of the members' probabilities, or values."""
    if target.ndim == 3:
        return judged_label_losses(outputs, target)
    if target.ndim == 4:
        return judged_mask_losses(outputs, target)
    if target.is_floating_point():
        return (outputs.float()[..., 0].mean(dim=1) - target).square()
    mixed = functional.log_softmax(outputs.float(), dim=-1).logsumexp(dim=1) - math.log(outputs.shape[1])  # (M, B, K)
    return -mixed.gather(-1, target[..., None])[..., 0]


def penalty(matrices: Sequence[nn.Parameter], *, l1: float, l2: float) -> Tensor | float:
    """`l1 * sum |w| + l2 / 2 * sum w²` over weight matrices, summed over the stacked models."""
    total: Tensor | float = 0.0
    for matrix in matrices:
        if l1 > 0:
            total = total + l1 * matrix.abs().sum()
        if l2 > 0:
            total = total + 0.5 * l2 * matrix.square().sum()
    return total


def balancing_weights(targets: Sequence[Tensor], n_classes: int) -> Float[Tensor, "model output"]:
    """Weights per class inversely to its frequency, with a mean of 1 over the samples (of masks, the pixels) of each model."""
    rows = []
    for target in (each if each.ndim == 1 else each[each != VOID].flatten() for each in targets):
        counts = torch.bincount(target, minlength=n_classes).float()
        present = counts > 0
        rows.append(torch.where(present, len(target) / (present.sum() * counts.clamp_min(1)), 0.0))
    return torch.stack(rows)
