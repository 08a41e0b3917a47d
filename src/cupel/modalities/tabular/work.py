"""What training a network on a table costs."""

from __future__ import annotations

import numpy as np

from cupel.core.family import Cost
from cupel.core.recipe import Recipe

FLOPS_PER_SECOND = 3.5e10
SECONDS_PER_STEP = 4e-4
SHARE_OF_EPOCHS = 0.6
"""Of two cores with AVX2, in products of the sizes that occur here; early stopping ends most runs before their last epoch."""


def network_cost(n_train: int, recipe: Recipe | None, *, n_weights: int, n_activations: int) -> Cost:
    """One unit of a network that multiplies `n_weights` and stores `n_activations` numbers per sample."""
    recipe = recipe or Recipe()
    epochs = recipe.epochs or float(np.clip(1_200_000 / n_train, 24, 256))
    batch_size = recipe.batch_size or 256
    n_samples = epochs * SHARE_OF_EPOCHS * n_train
    flops = n_samples * (6.0 * n_weights + 40.0 * n_activations)
    steps = n_samples / batch_size
    memory = 4.0 * (4 * n_weights + 3 * batch_size * n_activations) + 100.0 * n_train
    return Cost(seconds=flops / FLOPS_PER_SECOND + steps * SECONDS_PER_STEP, memory_bytes=memory)
