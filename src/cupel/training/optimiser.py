"""Steps of stacked models: one optimiser for all, whose every operation is elementwise and so treats them independently."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cupel.core.layers import Network
from cupel.core.recipe import Recipe


class Stepper:
    """Applies gradients with a recipe's optimiser, clipping and moving average.

    `scales` (M,) are factors on each model's own step: 1, less after a plateau, 0 once it has stopped.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self.recipe = recipe
        groups = [group for group in network.parameter_groups() if group.parameters]
        self.parameters = [parameter for group in groups for parameter in group.parameters]
        self._factors = [group.learning_rate_factor for group in groups]
        settings = [
            {
                "params": list(group.parameters),
                "lr": recipe.learning_rate * group.learning_rate_factor,
                "weight_decay": recipe.weight_decay * group.weight_decay_factor,
            }
            for group in groups
        ]
        self._optimizer = _optimizer(settings, recipe)
        n_models = len(self.parameters[0])
        self.scales = torch.ones(n_models, device=self.parameters[0].device)
        self.averages = [parameter.detach().clone() for parameter in self.parameters] if recipe.ema > 0 else []

    def step(self, loss: Tensor, *, factor: float) -> None:
        """One step down the gradient of `loss`, the sum of the models' losses."""
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.recipe.gradient_clip > 0:
            clip_each(self.parameters, self.recipe.gradient_clip)
        for group, own in zip(self._optimizer.param_groups, self._factors, strict=True):
            group["lr"] = self.recipe.learning_rate * own * factor
        is_scaled = bool((self.scales != 1).any())
        before = [parameter.detach().clone() for parameter in self.parameters] if is_scaled else []
        self._optimizer.step()
        with torch.no_grad():
            for parameter, old in zip(self.parameters, before, strict=False):
                # torch.where, not lerp: a model that has stopped may hold infinite steps
                scale = self.scales.view(-1, *[1] * (parameter.ndim - 1))
                parameter.copy_(torch.where(scale == 0, old, old + scale * (parameter - old)))
            if self.averages:
                torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], 1 - self.recipe.ema)


def clip_each(parameters: Sequence[nn.Parameter], limit: float) -> None:
    """Scale each model's gradient down to the norm `limit` where it is longer."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in gradients]).sum(dim=0).sqrt()  # (M,)
    factors = (limit / norms.clamp_min(1e-12)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))


def _optimizer(settings: list[dict[str, object]], recipe: Recipe) -> torch.optim.Optimizer:
    betas = (recipe.beta1, recipe.beta2)
    match recipe.optimizer:
        case "adamw":
            return torch.optim.AdamW(settings, lr=recipe.learning_rate, betas=betas, fused=True)
        case "adam":
            return torch.optim.Adam(settings, lr=recipe.learning_rate, betas=betas, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(settings, lr=recipe.learning_rate, momentum=recipe.momentum, foreach=True)
        case _:
            nesterov = recipe.nesterov and recipe.momentum > 0
            return torch.optim.SGD(settings, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov, fused=True)
