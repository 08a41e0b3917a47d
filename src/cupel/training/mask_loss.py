"""The loss of masks: cross entropy of every pixel, and how little the classes' areas overlap."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from cupel.core.masks import VOID


def mask_losses(
    outputs: Float[Tensor, "model member batch output"],
    target: Shaped[Tensor, "model batch height width"],
    *,
    class_weights: Float[Tensor, "model klass"] | None = None,
) -> Float[Tensor, "model batch"]:
    """Cross entropy plus 1 - soft Dice, of each picture; the mean over members of each member's own loss.

    Outputs are logits, laid out as (classes, height, width). Dice is the mean over the classes that a picture has; void counts
    nowhere.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, from Milletari et al. 2016, arXiv:1606.04797; squares in the
    denominator as there.
    """
    log_probabilities = _log_probabilities(outputs, target)
    losses = [_losses(own, target, class_weights) for own in log_probabilities.unbind(dim=1)]
    return torch.stack(losses).mean(dim=0)


def judged_mask_losses(
    outputs: Float[Tensor, "model member batch output"], target: Shaped[Tensor, "model batch height width"]
) -> Float[Tensor, "model batch"]:
    """The same of what is predicted in the end: the mean of the members' probabilities."""
    mixed = _log_probabilities(outputs, target).logsumexp(dim=1) - math.log(outputs.shape[1])
    return _losses(mixed, target, None)


def _log_probabilities(outputs: Tensor, target: Tensor) -> Float[Tensor, "model member batch klass height width"]:
    return functional.log_softmax(outputs.float().reshape(*outputs.shape[:3], -1, *target.shape[2:]), dim=3)


def _losses(
    log_probabilities: Float[Tensor, "model batch klass height width"],
    target: Shaped[Tensor, "model batch height width"],
    class_weights: Float[Tensor, "model klass"] | None,
) -> Float[Tensor, "model batch"]:
    is_known = (target != VOID)[:, :, None]
    index = target.long()[:, :, None].masked_fill(~is_known, 0)
    surprise = -log_probabilities.gather(2, index) * is_known
    if class_weights is not None:
        by_class = class_weights[:, None, :, None, None].expand_as(log_probabilities)
        surprise = surprise * by_class.gather(2, index)
    cross_entropy = surprise.sum(dim=(2, 3, 4)) / is_known.sum(dim=(2, 3, 4)).clamp_min(1)
    probabilities = log_probabilities.exp() * is_known
    truth = torch.zeros_like(probabilities).scatter_(2, index, 1.0) * is_known
    overlap = (probabilities * truth).sum(dim=(3, 4))
    areas, true_areas = probabilities.square().sum(dim=(3, 4)), truth.sum(dim=(3, 4))
    dice = 2 * overlap / (areas + true_areas).clamp_min(1e-6)
    has_class = (true_areas > 0).float()
    mean_dice = (dice * has_class).sum(dim=2) / has_class.sum(dim=2).clamp_min(1)
    return cross_entropy + torch.where(has_class.sum(dim=2) > 0, 1 - mean_dice, 0.0)
