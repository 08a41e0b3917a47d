"""How a network is trained: one dataclass for optimiser, schedule, regularisation and stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from cupel.core.space import Choice, Range, When

BATCH_SIZE_BY_ROWS = ((1_000, 128), (50_000, 256), (200_000, 512))
LARGEST_BATCH_SIZE = 1024
SAMPLES_OF_ALL_EPOCHS = 600_000
FEWEST_EPOCHS = 16
MOST_EPOCHS = 256
FEWEST_STEPS = 512
"""A table so small that `most_epochs` are fewer steps gets more epochs, up to `MOST_EPOCHS` (docs/log.md)."""
LEAST_RATE_FACTOR = 0.25
FALLING = ("cosine", "one-cycle")
"""Schedules at whose end the rate is nothing."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How training goes over the rows: samples a step, steps an epoch (from one evaluation to the next), epochs in all.

    `rate_factor` is on the recipe's learning rate.
    """

    batch_size: int
    n_steps: int
    n_epochs: int
    rate_factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about training that is not the network.

    `batch_size` and `epochs` 0 mean: chosen from the number of rows, epochs up to `most_epochs`. `weight_decay` is decoupled for
    AdamW and an L2 gradient for the other optimisers; `l1` and `l2` are penalties added to the loss over weight matrices.
    `patience` counts epochs without improvement of the loss on the stop slice. Where fewer than `stops_from` rows may be learned
    from, and the rate falls to nothing, those of the stop slice are learned from too, and the weights are those of the schedule's
    end: a dozen rows say little of when to stop, and are missed. `warmup` and the schedules are in fractions of all steps.
    Below `full_rate_rows` training rows the learning rate falls with the root of their number, to a quarter at the least: the
    best epoch is then among the first, and should not be a matter of a dozen steps. `class_weights` balances classes inversely
    to their frequency. `epochs_share` below 1 is a look at what a candidate promises: so much of the epochs, schedule and all;
    0 is one epoch. Above 1 training is longer.

    With a `range_test` each model first finds its own learning rate: a few dozen steps from far below the recipe's to far above
    it, on weights that are put back. It goes on with a tenth of the rate at which the loss was least, a quarter of the
    recipe's to four times it.

    Averages of weights: `ema` is how much of a moving average stays at each step, 0 is off; over the last `swa` of training,
    0 is off, the mean of the weights at the epochs' ends takes its place, at the rate that the schedule has come to.
    Averages of predictions: `snapshots` above 1 runs the schedule so many times over and keeps the best network of each run;
    those that serve the stop rows best are averaged (with "cosine" these are snapshot ensembles). `bags` above 1 trains so
    many networks, each on a bootstrap sample of the rows. Before the last snapshot, or the mean of weights, has begun,
    nothing stops early.
    Sources: Izmailov et al. 2018, arXiv:1803.05407; Huang et al. 2017, arXiv:1704.00109; Breiman 1996,
    doi:10.1007/BF00058655; Smith 2015, arXiv:1506.01186, section 3.3 (range test).
    """

    optimizer: Annotated[str, Choice("adamw", "adam", "sgd", "rmsprop")] = "adamw"
    learning_rate: Annotated[float, Range(1e-4, 1.0, log=True)] = 1e-3
    momentum: Annotated[float, Range(0.0, 0.99), When("optimizer", "sgd", "rmsprop")] = 0.9
    nesterov: Annotated[bool, Choice(True, False), When("optimizer", "sgd")] = True
    beta1: float = 0.9
    beta2: Annotated[float, Range(0.9, 0.999), When("optimizer", "adamw", "adam")] = 0.999
    weight_decay: Annotated[float, Range(0.0, 0.1)] = 0.0
    l1: Annotated[float, Range(0.0, 1e-3)] = 0.0
    l2: Annotated[float, Range(0.0, 1e-2)] = 0.0
    schedule: Annotated[str, Choice("constant", "step", "cosine", "one-cycle", "coslog4", "plateau")] = "constant"
    warmup: Annotated[float, Range(0.0, 0.3)] = 0.0
    full_rate_rows: int = 0
    batch_size: Annotated[int, Choice(0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)] = 0
    epochs: Annotated[int, Range(0, 1000)] = 100
    most_epochs: Annotated[int, Range(16, 512, log=True)] = MOST_EPOCHS
    patience: Annotated[int, Range(1, 100)] = 16
    stops_from: int = 0
    label_smoothing: Annotated[float, Range(0.0, 0.2)] = 0.0
    gradient_clip: Annotated[float, Range(0.0, 10.0)] = 0.0
    ema: Annotated[float, Range(0.0, 0.9999)] = 0.0
    class_weights: Annotated[bool, Choice(False, True)] = False
    epochs_share: float = 1.0
    swa: Annotated[float, Range(0.0, 0.5)] = 0.0
    snapshots: Annotated[int, Range(1, 10)] = 1
    bags: Annotated[int, Range(1, 16)] = 1
    range_test: Annotated[bool, Choice(False, True)] = False

    def learns_all(self, n_rows: int) -> bool:
        """Whether all of so many rows, those of the stop slice among them, are learned from."""
        return n_rows < self.stops_from and self.schedule in FALLING and self.snapshots == 1

    def pace(self, n_rows: int) -> Pace:
        """Batch size, steps and epochs for a training set of `n_rows`; nothing else decides them.

        Small tables get many epochs of small batches; from some 10,000 rows on, the samples seen in all stay about the same.
        Fewer rows than a batch make the batch the largest power of two that they fill.
        """
        by_rows = next((size for limit, size in BATCH_SIZE_BY_ROWS if n_rows < limit), LARGEST_BATCH_SIZE)
        batch_size = min(self.batch_size or by_rows, 2 ** int(math.log2(max(n_rows, 1))))
        n_steps = max(1, round(n_rows / batch_size))
        by_samples = round(SAMPLES_OF_ALL_EPOCHS / max(n_rows, 1))
        most = max(self.most_epochs, min(math.ceil(FEWEST_STEPS / n_steps), MOST_EPOCHS))
        n_epochs = self.epochs or min(max(by_samples, FEWEST_EPOCHS), most)
        n_epochs = max(1, round(n_epochs * self.epochs_share))
        # By whole batches, so that folds that differ by a row keep one pace.
        share = n_steps * batch_size / max(self.full_rate_rows, 1)
        rate_factor = min(1.0, max(math.sqrt(share), LEAST_RATE_FACTOR))
        return Pace(batch_size=batch_size, n_steps=n_steps, n_epochs=n_epochs, rate_factor=rate_factor)
