"""Steps of stacked models: one optimiser for all, whose every operation is elementwise and so treats them independently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cupel.core.layers import Network
from cupel.core.recipe import Recipe
from cupel.training.averages import Averages


class Stepper:
    """Applies gradients with a recipe's optimiser, clipping and averages.

    `scales` are factors on each model's own step: its `usual` one (1 unless a range test found another), less after a plateau.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self._recipe = recipe
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
        self.averages = Averages(self.parameters, ema=recipe.ema)
        self.usual = [1.0] * network.n_models
        self.scales = list(self.usual)

    def step(self, loss: Tensor, *, factor: float) -> None:
        """One step down the gradient of `loss`, the sum of the models' losses; `factor` is on the recipe's learning rate."""
        torch.autograd.backward(loss)
        if self._recipe.gradient_clip > 0:
            clip_each(self.parameters, self._recipe.gradient_clip)
        for group, own in zip(self._optimizer.param_groups, self._factors, strict=True):
            group["lr"] = self._recipe.learning_rate * own * factor
        is_scaled = any(scale != 1 for scale in self.scales)
        before = [parameter.detach().clone() for parameter in self.parameters] if is_scaled else []
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            scales = torch.tensor(self.scales, device=self.parameters[0].device)
            for parameter, old in zip(self.parameters, before, strict=False):
                parameter.copy_(torch.lerp(old, parameter, _per_model(scales, parameter)))
        self.averages.add_step()

    def restart(self) -> None:
        """Begin a new cycle: every model at its full rate again, no mean over epochs yet."""
        self.scales = list(self.usual)
        self.averages.end_mean()

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the stacked models only, once the network has been told."""
        chosen = torch.as_tensor(models, dtype=torch.int64, device=self.parameters[0].device)
        for state in self._optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.ndim > 0:
                    state[name] = value.index_select(0, chosen)
        self.averages.keep(chosen)
        self.usual = [self.usual[model] for model in models]
        self.scales = [self.scales[model] for model in models]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the optimiser remembers of each parameter, the averages and the scales, for a checkpoint."""
        tensors, facts = self.averages.state()
        for number, parameter in enumerate(self.parameters):
            for name, value in self._optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    tensors[f"{number}/{name}"] = value
                else:
                    facts[f"{number}/{name}"] = value
        return tensors, {**facts, "scales": self.scales, "usual": self.usual}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.averages.restore(tensors, facts)
        self.scales, self.usual = list(facts["scales"]), list(facts["usual"])
        for key, value in [*tensors.items(), *facts.items()]:
            number, separator, name = key.partition("/")
            if separator and number.isdigit():
                parameter = self.parameters[int(number)]
                is_like = isinstance(value, Tensor) and (value.ndim > 0 or bool(self._optimizer.defaults.get("fused")))
                self._optimizer.state[parameter][name] = value.to(parameter.device) if is_like else value


def clip_each(parameters: Sequence[nn.Parameter], limit: float) -> None:
    """Scale each model's gradient down to the norm `limit` where it is longer."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients])
    factors = (limit / torch.linalg.vector_norm(norms, dim=0).clamp_min(1e-12)).clamp_max(1.0)  # (M,)
    for gradient in gradients:
        gradient.mul_(_per_model(factors, gradient))


def _per_model(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


def _optimizer(settings: list[dict[str, object]], recipe: Recipe) -> torch.optim.Optimizer:
    rate, betas = recipe.learning_rate, (recipe.beta1, recipe.beta2)
    match recipe.optimizer:
        case "adamw":
            return torch.optim.AdamW(settings, lr=rate, betas=betas, fused=True)
        case "adam":
            return torch.optim.Adam(settings, lr=rate, betas=betas, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(settings, lr=rate, momentum=recipe.momentum, foreach=True)
        case _:
            nesterov = recipe.nesterov and recipe.momentum > 0
            return torch.optim.SGD(settings, lr=rate, momentum=recipe.momentum, nesterov=nesterov, fused=True)
