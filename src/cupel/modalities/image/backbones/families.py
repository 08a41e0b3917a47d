"""The families that start from one backbone: on its features as they are, and with its weights trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from cupel.core.errors import UsageError
from cupel.core.family import Cost, Family
from cupel.core.inputs import InputShape
from cupel.core.layers import Network, PooledDropout, generators_for
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range, When
from cupel.core.task import ROW_KINDS, Task
from cupel.learners import lightgbm, linear
from cupel.modalities.image.augmenting import (
    AUGMENTATIONS,
    CHANGING,
    STRONGEST,
    VIEWS,
    WEAKEST,
    augmentation_of,
    n_views_of,
    views_of,
)
from cupel.modalities.image.backbones import heads
from cupel.modalities.image.backbones.backbone import Backbone
from cupel.modalities.image.backbones.preparations import AsFeatures, AsItsPixels
from cupel.modalities.image.backbones.transferred import TransferredEncoder
from cupel.modalities.image.network import PIXELS, ImageNetwork, LinearHead
from cupel.modalities.image.work import SHARE_PREDICTED, STOPS_FROM

SHARE_OF_FOLD = 0.3
"""Features are computed once and serve all folds: what of it an estimate puts down to each."""
FIRST = 0
"""The place of what is tried before the networks that start from nothing: who names a backbone expects it to serve."""
TRAINING_FACTOR = 6.0
"""What a picture takes in training, forth and back, of what it takes to predict it with ONNX Runtime."""
BYTES_OF_ACTIVATIONS = 4 * 150
"""Kept for each number of a picture while gradients are worked out; deep networks on small pictures keep less."""


@dataclass(frozen=True, kw_only=True)
class TunedConfig:
    """How a pretrained network is trained on.

    `kept` are its parts that are taken over: of "half" the last begin anew, which know most of what it was made for
    (Yosinski et al. 2014, arXiv:1411.1792). Each part learns at `rate_decay` times the rate of the next; `unfreezing` is of all
    at once, or from end to beginning.
    """

    kept: Annotated[str, Choice("all", "half")] = "all"

    unfreezing: Annotated[str, Choice("at-once", "gradual")] = "at-once"
    rate_decay: Annotated[float, Range(0.3, 1.0)] = 0.65
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.1
    augment: Annotated[str, Choice(*AUGMENTATIONS)] = "shift"
    strength: Annotated[float, Range(WEAKEST, STRONGEST, log=True), When("augment", *CHANGING)] = 1.0
    views: Annotated[str, Choice(*VIEWS)] = "one"


HEAD_RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=5e-3,
    weight_decay=0.02,
    schedule="cosine",
    epochs=0,
    most_epochs=64,
    patience=16,
    stops_from=STOPS_FROM,
)
TUNED_RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=5e-3,
    weight_decay=0.02,
    schedule="one-cycle",
    batch_size=32,
    epochs=0,
    most_epochs=32,
    patience=16,
    stops_from=STOPS_FROM,
    label_smoothing=0.1,
    ema=0.99,
)


def families_of(backbone: Backbone) -> tuple[Family, ...]:
    """A linear model, a small network and trees on its features; where its weights can be trained on, the whole network."""
    found = (_probe(backbone), _head(backbone), _boosted(backbone))
    return found if backbone.trunk is None else (*found[:2], _tuned(backbone), found[2])


def _probe(backbone: Backbone) -> Family:
    preset = Preset(config=linear.Config(), preparation=AsFeatures(backbone=backbone.reference, opened=backbone))
    return Family(
        name=f"probe:{backbone.name}",
        source="Alain and Bengio 2016, linear probes, arXiv:1610.01644, here of a frozen network's last features.",
        tasks=ROW_KINDS,
        config=linear.Config,
        portfolio=lambda task: (preset,),  # noqa: ARG005
        space=lambda task: Space.around(preset, config={"max_iterations": None}),  # noqa: ARG005
        cost=_with_features(linear.cost, backbone),
        is_deep=True,
        fit=linear.fit,
    )


def _head(backbone: Backbone) -> Family:
    preparation = AsFeatures(backbone=backbone.reference, opened=backbone)
    preset = Preset(config=heads.Config(), preparation=preparation, recipe=HEAD_RECIPE)
    return Family(
        name=f"head:{backbone.name}",
        source="Donahue et al. 2013, DeCAF, arXiv:1310.1531: a small network on a frozen one's features.",
        tasks=ROW_KINDS,
        config=heads.Config,
        portfolio=lambda task: (preset,),  # noqa: ARG005
        space=lambda task: Space.around(preset, recipe=_searched(task)),
        cost=_with_features(_cost_of_head, backbone),
        is_deep=True,
        hurries=True,
        build=heads.build,
    )


def _boosted(backbone: Backbone) -> Family:
    config = lightgbm.Config(learning_rate=0.15, feature_fraction=0.4, bagging_fraction=0.8, max_rounds=200)
    preparation = AsFeatures(backbone=backbone.reference, opened=backbone)

    def default(task: Task) -> Preset:
        return Preset(config=lightgbm.paced(config, task), preparation=preparation)

    kept = {"max_rounds": None, "patience": None, "learning_rate": Range(0.03, 0.2, log=True)}
    return Family(
        name=f"boosted:{backbone.name}",
        source="Ke et al. 2017, LightGBM, NeurIPS 30, on the features of a frozen network.",
        tasks=ROW_KINDS,
        config=lightgbm.Config,
        portfolio=lambda task: (default(task),),
        space=lambda task: Space.around(default(task), config=kept),
        cost=_with_features(lightgbm.cost, backbone),
        is_deep=True,
        hurries=True,
        fit=lightgbm.fit,
    )


def _tuned(backbone: Backbone) -> Family:
    preparation = AsItsPixels(backbone=backbone.reference, opened=backbone)
    default = Preset(config=TunedConfig(), preparation=preparation, recipe=TUNED_RECIPE)
    gradual = replace(default, config=TunedConfig(unfreezing="gradual"))
    trunk = backbone.trunk
    assert trunk is not None, "asked only for what can be trained on"

    def portfolio(task: Task) -> Sequence[Preset]:
        usual = trunk.usual_recipe(task)
        if usual is None:
            return default, gradual
        recipe = replace(usual, batch_size=TUNED_RECIPE.batch_size, most_epochs=TUNED_RECIPE.most_epochs)
        half = replace(default, config=TunedConfig(kept="half", rate_decay=1.0), recipe=recipe, place=FIRST)
        return half, default, gradual

    def space(task: Task) -> Space:
        kept: dict[str, Choice | None] = {"kept": None} if trunk.usual_recipe(task) is None else {}
        policy = {"policy": Choice("stretch", "fit", "crop")}
        return Space.around(default, config=kept, recipe=_searched(task), preparation=policy)

    def build(shape: InputShape, *, n_outputs: int, task: Task, config: TunedConfig, seeds: Sequence[int]) -> Network:
        del task
        return _tuned_network(backbone, shape, n_outputs=n_outputs, config=config, seeds=seeds)

    def cost(n_train: int, shape: InputShape, config: TunedConfig, recipe: Recipe | None, task: Task) -> Cost:
        recipe = recipe or TUNED_RECIPE
        known = trunk.cost(n_train, recipe=recipe, task=task)
        learning = known or _cost_of_tuning(backbone, n_train, shape=shape, recipe=recipe)
        further_views = (n_views_of(config) - 1) * SHARE_PREDICTED * n_train
        return replace(learning, seconds=learning.seconds + backbone.seconds * further_views)

    return Family(
        name=f"tuned:{backbone.name}",
        source="Howard and Ruder 2018, arXiv:1801.06146: rates by layer, gradual unfreezing; Yosinski 2014, arXiv:1411.1792.",
        tasks=ROW_KINDS,
        config=TunedConfig,
        portfolio=portfolio,
        space=space,
        cost=cost,
        is_deep=True,
        hurries=True,
        folds_apart=True,
        build=build,
    )


def _searched(task: Task) -> dict[str, Any]:
    smoothing = {"label_smoothing": Range(0.0, 0.2)} if task.is_classification else {}
    return {"learning_rate": Range(2e-4, 3e-2, log=True), "weight_decay": Range(1e-4, 0.1, log=True), **smoothing}


def _tuned_network(
    backbone: Backbone, shape: InputShape, *, n_outputs: int, config: TunedConfig, seeds: Sequence[int]
) -> ImageNetwork:
    if backbone.trunk is None:
        raise UsageError(f"the weights of {backbone.name} cannot be trained on; use its features.")
    scaling, inner = backbone.trunk(seeds, kept=config.kept)
    encoder = TransferredEncoder(inner, rate_decay=config.rate_decay, is_gradual=config.unfreezing == "gradual")
    dropout = PooledDropout(config.dropout, seeds=seeds)
    factor = backbone.trunk.head_factor if config.kept == "half" else 1.0
    return ImageNetwork(
        shape,
        encoder,
        head=LinearHead((encoder.width, n_outputs), generators_for(seeds), dropout=dropout, factor=factor),
        seeds=seeds,
        augment=augmentation_of(config),
        views=views_of(config.views, augment=config.augment),
        scaling=scaling,
    )


def _with_features(cost: Callable[..., Cost], backbone: Backbone) -> Callable[..., Cost]:
    """A learner's cost, and what computing features takes."""

    def both(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
        learning = cost(n_train, shape, config, recipe, task)
        seconds = SHARE_OF_FOLD * backbone.seconds * n_train
        return Cost(seconds=learning.seconds + seconds, memory_bytes=learning.memory_bytes + 3.0 * backbone.n_bytes)

    return both


def _cost_of_head(n_train: int, shape: InputShape, config: heads.Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers: two cores do some 2e10 multiply-adds a second in layers so small."""
    pace = (recipe or HEAD_RECIPE).pace(n_train)
    width = sum(shape.widths.values())
    weights = width * config.width + (config.depth - 1) * config.width**2 + config.width * task.n_outputs
    steps = pace.n_steps * pace.n_epochs
    return Cost(
        seconds=steps * (8e-4 + 3.0 * pace.batch_size * weights / 2e10 + 4e-9 * weights),
        memory_bytes=20.0 * weights + 4.0 * width * (n_train + pace.batch_size),
    )


def _cost_of_tuning(backbone: Backbone, n_train: int, *, shape: InputShape, recipe: Recipe) -> Cost:
    """From what a picture was seen to take."""
    pace = recipe.pace(n_train)
    values = shape.widths[PIXELS] * shape.extents[PIXELS][0] * shape.extents[PIXELS][1]
    pictures = pace.n_steps * pace.n_epochs * pace.batch_size
    memory = 6.0 * backbone.n_bytes + BYTES_OF_ACTIVATIONS * pace.batch_size * values + n_train * values
    return Cost(seconds=recipe.bags * TRAINING_FACTOR * backbone.seconds * pictures, memory_bytes=recipe.bags * memory)
