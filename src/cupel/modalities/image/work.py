"""What networks on pictures have in common: what training costs, presets, and what about training is searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cupel.core.family import Cost
from cupel.core.layers import Window
from cupel.core.presets import Preset, Space
from cupel.core.recipe import FALLING, Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import Task
from cupel.modalities.image.preparation import AsPixels

FLOPS_PER_SECOND = 1.05e11
DEPTHWISE_FLOPS_PER_SECOND = 1.6e10
SECONDS_PER_VALUE = 2.1e-9
SECONDS_PER_LAYER = 6e-4
SECONDS_PER_WEIGHT = 8e-9
"""Of two cores with AVX2. Fitted to 19 steps of all families, from 8 × 8 to 96 × 96 pixels, on one of them (59 and 9 billion
operations a second, 3.7 ns a number), which they explain to within 0.74 and 1.27; the second core adds 0.8 of the first.
"""

SHARE_PREDICTED, SHARE_FORWARD = 0.25, 1 / 3
"""Rows that are predicted for each that is learned from, of five folds; what a prediction takes of a training step."""
STOPS_FROM = 2_000
"""Rows, below which none is held back to stop by: of 50 to 1,000 pictures networks learned more so (docs/decisions/0004)."""
SHARE_OF_EPOCHS = 0.9
"""Early stopping ends runs whose rate does not fall to nothing."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a part of a network does per picture and forward pass.

    `products` are multiply-adds, `depthwise_products` those of depthwise convolutions, which wait for memory; `values` numbers
    that layers give, which are normalised, bent and kept until gradients are known; `weights` are learned numbers.
    """

    products: float = 0.0
    depthwise_products: float = 0.0
    values: float = 0.0
    weights: float = 0.0
    layers: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            products=self.products + other.products,
            depthwise_products=self.depthwise_products + other.depthwise_products,
            values=self.values + other.values,
            weights=self.weights + other.weights,
            layers=self.layers + other.layers,
        )


def total(works: Iterable[Work]) -> Work:
    """All of them together."""
    return sum(works, start=Work())


def convolution_work(sizes: tuple[int, int], window: Window, *, before: tuple[int, int]) -> Work:
    """A convolution from and to so many channels, normalised and bent, over maps of the size `before` it."""
    n_in, n_out = sizes
    height, width = window.size_after(before)
    weights = n_out * (n_in // window.groups) * window.kernel**2
    products = float(weights * height * width)
    is_depthwise = window.groups == n_in > 1
    return Work(
        products=0.0 if is_depthwise else products,
        depthwise_products=products if is_depthwise else 0.0,
        values=n_out * height * width,
        weights=weights,
        layers=1,
    )


def linear_work(sizes: tuple[int, int], *, n_places: int = 1) -> Work:
    """An affine map at so many places (tokens, or one)."""
    n_in, n_out = sizes
    weights = n_in * n_out
    return Work(products=weights * n_places, values=n_out * n_places, weights=weights, layers=1)


def image_cost(n_train: int, recipe: Recipe | None, *, work: Work, picture_values: int, n_views: int = 1) -> Cost:
    """One unit of a network that does this work, on pictures of so many numbers (channels × height × width).

    The views beyond the first are looked at where rows are predicted that were not learned from.
    """
    recipe = recipe or Recipe()
    pace = recipe.pace(n_train)
    steps = pace.n_steps * pace.n_epochs * _share_of_epochs(recipe)
    per_picture = (
        6.0 * work.products / FLOPS_PER_SECOND
        + 6.0 * work.depthwise_products / DEPTHWISE_FLOPS_PER_SECOND
        + SECONDS_PER_VALUE * (work.values + picture_values)
    )
    per_step = SECONDS_PER_LAYER * work.layers + SECONDS_PER_WEIGHT * work.weights
    views = (n_views - 1) * SHARE_PREDICTED * n_train * SHARE_FORWARD * per_picture
    kept = 4.0 * pace.batch_size * (3.0 * work.values + picture_values)
    memory = 4.0 * (5 + recipe.snapshots) * work.weights + kept + 1.0 * n_train * picture_values
    return Cost(
        seconds=recipe.bags * (steps * (pace.batch_size * per_picture + per_step) + views),
        memory_bytes=recipe.bags * memory,
    )


def _share_of_epochs(recipe: Recipe) -> float:
    """How much of the epochs is trained for: a rate that falls to nothing is followed to its end, others stop before."""
    return 1.0 if recipe.schedule in FALLING else SHARE_OF_EPOCHS


def image_preset(config: Any, recipe: Recipe) -> Preset:
    """A preset of a family that reads pixels as they are; of few pictures all are learned from."""
    return Preset(config=config, preparation=AsPixels(), recipe=replace(recipe, stops_from=STOPS_FROM))


def image_space(default: Preset, rates: Range, *, task: Task) -> Space:
    """Everything of the config, learning rates in this range, weight decay, averaging of weights, and smoothing of classes."""
    smoothing = {"label_smoothing": Range(0.0, 0.2)} if task.form.has_probabilities else {}
    decay, averages = Range(1e-5, 0.1, log=True), Choice(0.0, 0.99, 0.999)
    return Space.around(
        default,
        recipe={"learning_rate": rates, "weight_decay": decay, "ema": averages, **smoothing},
        preparation={"policy": Choice("stretch", "fit", "crop")},
    )
