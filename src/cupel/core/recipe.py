"""How a network is trained: one dataclass for optimiser, schedule, regularisation and stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cupel.core.space import Choice, Range, When


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about training that is not the network.

    `batch_size` and `epochs` 0 mean: chosen from the number of rows. `weight_decay` is decoupled for AdamW and an L2 gradient
    for the other optimisers; `l1` and `l2` are penalties added to the loss over weight matrices. `patience` counts epochs
    without improvement of the loss on the stop slice. `warmup` and the schedules are in fractions of all steps.
    `ema` 0 is off. `class_weights` balances classes inversely to their frequency.
    """

    optimizer: Annotated[str, Choice("adamw", "adam", "sgd", "rmsprop")] = "adamw"
    learning_rate: Annotated[float, Range(1e-4, 1e-1, log=True)] = 1e-3
    momentum: Annotated[float, Range(0.0, 0.99), When("optimizer", "sgd", "rmsprop")] = 0.9
    nesterov: Annotated[bool, Choice(True, False), When("optimizer", "sgd")] = True
    beta1: float = 0.9
    beta2: Annotated[float, Range(0.9, 0.999), When("optimizer", "adamw", "adam")] = 0.999
    weight_decay: Annotated[float, Range(0.0, 0.1)] = 0.0
    l1: Annotated[float, Range(0.0, 1e-3)] = 0.0
    l2: Annotated[float, Range(0.0, 1e-2)] = 0.0
    schedule: Annotated[str, Choice("constant", "step", "cosine", "one-cycle", "coslog4", "plateau")] = "constant"
    warmup: Annotated[float, Range(0.0, 0.3)] = 0.0
    batch_size: Annotated[int, Choice(0, 64, 128, 256, 512, 1024, 2048)] = 0
    epochs: Annotated[int, Range(0, 1000)] = 100
    patience: Annotated[int, Range(1, 100)] = 16
    label_smoothing: Annotated[float, Range(0.0, 0.2)] = 0.0
    gradient_clip: Annotated[float, Range(0.0, 10.0)] = 0.0
    ema: Annotated[float, Range(0.0, 0.9999)] = 0.0
    class_weights: Annotated[bool, Choice(False, True)] = False
