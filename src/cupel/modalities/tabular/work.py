"""What networks on tables have in common: what training costs, and what about it is searched."""

from __future__ import annotations

from cupel.core.family import Cost
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.modalities.tabular.preparation import SEARCHED_FOR_NETWORKS

FLOPS_PER_SECOND = 3.5e10
SECONDS_PER_STEP = 4e-4
SHARE_OF_EPOCHS = 0.6
"""Of two cores with AVX2, in products of the sizes that occur here; early stopping ends most runs before their last epoch."""


def network_cost(
    n_train: int,
    recipe: Recipe | None,
    *,
    n_weights: int,
    n_activations: int,
    n_parameters: int | None = None,
    n_stored: int | None = None,
) -> Cost:
    """One unit of a network that multiplies `n_weights` and passes over `n_activations` numbers per sample.

    Where these say little about memory, as in attention, `n_parameters` are the weights that there are, and `n_stored` the
    numbers per sample that stay until gradients are known.
    """
    recipe = recipe or Recipe()
    pace = recipe.pace(n_train)
    steps = pace.n_steps * pace.n_epochs * _share_of_epochs(recipe)
    flops = steps * pace.batch_size * (6.0 * n_weights + 40.0 * n_activations)
    held = n_weights if n_parameters is None else n_parameters
    stored = n_activations if n_stored is None else n_stored
    memory = 4.0 * ((3 + recipe.snapshots) * held + 3 * pace.batch_size * stored) + 100.0 * n_train
    seconds = flops / FLOPS_PER_SECOND + steps * SECONDS_PER_STEP
    return Cost(seconds=recipe.bags * seconds, memory_bytes=recipe.bags * memory)


def _share_of_epochs(recipe: Recipe) -> float:
    """How much of the epochs is trained for: nothing stops before its last snapshot, or its average, has begun."""
    surely = 1 - (1 if recipe.swa == 0 else recipe.swa) / recipe.snapshots
    return surely + (1 - surely) * SHARE_OF_EPOCHS


def network_space(default: Preset, rates: Range, *, averages: Choice | None = None) -> Space:
    """Everything of the config, learning rates in this range, weight decay, schedule, averages of weights, and preparation."""
    return Space.around(
        default,
        recipe={
            "learning_rate": rates,
            "weight_decay": Range(1e-6, 1e-2, log=True),
            "schedule": Choice("constant", "cosine"),
            **({} if averages is None else {"ema": averages}),
        },
        preparation=SEARCHED_FOR_NETWORKS,
    )
