"""A learning rate from a few dozen steps at rates that grow: where the loss stops falling is too much."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from cupel.core.layers import Network
from cupel.core.recipe import Recipe
from cupel.training.optimiser import Stepper

N_STEPS = 40
LOWEST, HIGHEST = 0.02, 40.0
"""Factors on the recipe's learning rate, first and last."""
MEMORY = 0.8
"""How much of a smoothed loss stays at each step."""
BELOW_THE_LEAST = 10.0
NARROWEST, WIDEST = 0.25, 4.0
"""What the recipe's rate, which is good for many data, may be multiplied by."""


def rate_factors(
    network: Network, recipe: Recipe, *, losses: Callable[[], Tensor], is_over: Callable[[], bool] = lambda: False
) -> list[float]:
    """A factor on the recipe's learning rate for each stacked model; 1 where time was up, or nothing was learned at any rate.

    `losses` gives the models' losses on their next batches, (M,). Weights and statistics are as before when it is done.

    Source: Smith 2015, arXiv:1506.01186, section 3.3; a tenth of the rate of the least smoothed loss, as fast.ai chose first.
    """
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    stepper = Stepper(network, replace(recipe, ema=0.0))
    factors = [LOWEST * (HIGHEST / LOWEST) ** (step / (N_STEPS - 1)) for step in range(N_STEPS)]
    seen: list[Tensor] = []
    network.train()
    for factor in factors:
        if is_over():
            break
        loss = losses()
        seen.append(loss.detach().double().cpu())
        stepper.step(loss.sum(), factor=factor)
    network.load_state_dict(before)
    if len(seen) < N_STEPS:
        return [1.0] * network.n_models
    return [_chosen(curve, factors) for curve in torch.stack(seen, dim=1).tolist()]


def _chosen(curve: list[float], factors: list[float]) -> float:
    """From the losses before each step; the loss after a step is the next one's."""
    smoothed = _smoothed(curve)
    least = min(range(len(smoothed)), key=lambda place: smoothed[place])
    if least == 0:
        return 1.0
    return min(max(factors[least - 1] / BELOW_THE_LEAST, NARROWEST), WIDEST)


def _smoothed(curve: list[float]) -> list[float]:
    """A running mean without the bias of its beginning; what is not finite is worse than all."""
    smoothed, total = [], 0.0
    for number, value in enumerate(curve, 1):
        total = MEMORY * total + (1 - MEMORY) * value
        mean = total / (1 - MEMORY**number)
        smoothed.append(mean if math.isfinite(mean) else math.inf)
    return smoothed
