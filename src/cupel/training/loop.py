"""The one loop that trains every network: all folds of a candidate as one stacked module."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError
from cupel.core.layers import Network
from cupel.core.recipe import Recipe
from cupel.training.loss import balancing_weights, penalty, sample_losses
from cupel.training.optimiser import Stepper
from cupel.training.schedule import PLATEAU_FACTOR, factor
from cupel.training.stacking import Stack

STEPS_PER_LOOK = 16
PLATEAU_PATIENCE = 5
EVALUATION_CELLS = 1 << 21


@dataclass(eq=False)
class Progress:
    """What is known of each stacked model while it trains; lists and tensors have one entry per model."""

    best: Tensor
    since_best: Tensor
    best_epoch: list[int]
    active: Tensor
    kept: list[Tensor]
    curves: list[dict[str, list[float]]]
    epoch: int = 0
    cut_short: bool = False
    last_state: list[Tensor] = field(default_factory=list)


class Loop:
    """Trains one stacked network.

    `folds` are the fold numbers behind the stacked models, for messages. Each model keeps the weights of its best epoch
    on its own stop rows; one that has gone `patience` epochs without a gain takes no further part.
    """

    def __init__(
        self, network: Network, recipe: Recipe, *, train: Stack, stop: Stack, folds: Sequence[int], n_outputs: int
    ) -> None:
        self._network, self._recipe = network, recipe
        self._train, self._stop, self._folds = train, stop, folds
        self._stepper = Stepper(network, recipe)
        self._weights: Tensor | None = None
        if recipe.class_weights and not train.target.is_floating_point():
            targets = [target[:size] for target, size in zip(train.target.cpu(), train.sizes, strict=True)]
            self._weights = balancing_weights(targets, n_outputs).to(train.device)

    def run(self, *, seeds: Sequence[int], deadline: Deadline, progress: Callable[[float], None] | None) -> Progress:
        """Train until every model has stopped, the epochs are done, or time is up.

        Raises:
            TrainingError: a loss is not finite, or time was up before a single evaluation.
        """
        state = self._start()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        n_epochs = self._recipe.epochs
        for epoch in range(n_epochs):
            state.epoch = epoch
            self._network.set_progress(epoch / n_epochs)
            batches = self._train.shuffled(self._recipe.batch_size, generators)
            losses = self._epoch(batches, epoch / n_epochs, 1 / n_epochs, deadline, progress=progress)
            state.cut_short = deadline.passed
            self._look(state, losses)
            if not state.active.any() or state.cut_short:
                break
        return state

    def _start(self) -> Progress:
        n_models, device = self._network.n_models, self._train.device
        return Progress(
            best=torch.full((n_models,), math.inf, device=device),
            since_best=torch.zeros(n_models, dtype=torch.int64, device=device),
            best_epoch=[0] * n_models,
            active=torch.ones(n_models, dtype=torch.bool, device=device),
            kept=[parameter.detach().clone() for parameter in self._stepper.parameters],
            curves=[{"train_loss": [], "stop_loss": []} for _ in range(n_models)],
        )

    def _epoch(
        self,
        batches: Sequence[Tensor],
        done: float,
        share: float,
        deadline: Deadline,
        *,
        progress: Callable[[float], None] | None,
    ) -> Tensor:
        """One pass over the training rows; mean training loss of each model."""
        recipe = self._recipe
        self._network.train()
        total = torch.zeros(self._network.n_models, device=self._train.device)
        n_steps = 0
        for number, rows in enumerate(batches):
            if number % STEPS_PER_LOOK == 0:
                if number and deadline.passed:
                    break
                if progress is not None:
                    progress(done + share * number / len(batches))
            fraction = done + share * number / len(batches)
            blocks, target = self._train.batch(rows)
            losses = sample_losses(
                self._network(blocks), target, smoothing=recipe.label_smoothing, class_weights=self._weights
            ).mean(dim=1)
            extra = penalty(self._stepper.parameters, l1=recipe.l1, l2=recipe.l2)
            self._stepper.step(losses.sum() + extra, factor=factor(recipe.schedule, fraction, warmup=recipe.warmup))
            total += losses.detach()
            n_steps += 1
        return total / max(n_steps, 1)

    @torch.no_grad()
    def _look(self, state: Progress, train_losses: Tensor) -> None:
        """Evaluate on the stop rows, keep what is best, stop what no longer gains."""
        shown = self._stepper.averages or [parameter.detach() for parameter in self._stepper.parameters]
        losses = self._evaluate(shown)
        self._check(state, losses, train_losses)
        improved = state.active & (losses < state.best - 1e-7 * losses.abs())
        state.best = torch.where(improved, losses, state.best)
        state.since_best = torch.where(improved, 0, state.since_best + 1)
        for kept, now in zip(state.kept, shown, strict=True):
            kept[improved] = now[improved]
        for model, (curve, is_active, is_better) in enumerate(
            zip(state.curves, state.active.tolist(), improved.tolist(), strict=True)
        ):
            if is_active:
                curve["train_loss"].append(float(train_losses[model]))
                curve["stop_loss"].append(float(losses[model]))
            if is_better:
                state.best_epoch[model] = state.epoch
        if self._recipe.schedule == "plateau":
            is_flat = (state.since_best > 0) & (state.since_best % PLATEAU_PATIENCE == 0)
            self._stepper.scales[is_flat] *= PLATEAU_FACTOR
        state.active &= state.since_best < self._recipe.patience
        self._stepper.scales[~state.active] = 0.0

    def _evaluate(self, parameters: Sequence[Tensor]) -> Tensor:
        """Mean loss of each model on its stop rows, with the given parameters in place of its own."""
        own = [parameter.detach().clone() for parameter in self._stepper.parameters] if self._stepper.averages else []
        if own:
            self._set(parameters)
        losses = evaluate(self._network, self._stop)
        if own:
            self._set(own)
        return losses

    def _set(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._stepper.parameters, values, strict=True):
            parameter.data.copy_(value)

    def _check(self, state: Progress, losses: Tensor, train_losses: Tensor) -> None:
        broken = state.active & ~(torch.isfinite(losses) & torch.isfinite(train_losses))
        if broken.any():
            fold = self._folds[int(broken.nonzero()[0])]
            raise TrainingError(
                f"the loss of fold {fold + 1} is not finite in epoch {state.epoch + 1}; "
                f"a lower learning rate or gradient clipping would help."
            )

    def restore(self, state: Progress) -> None:
        """Put each model's best weights back."""
        with torch.no_grad():
            self._set(state.kept)


@torch.no_grad()
def evaluate(network: Network, stack: Stack) -> Tensor:
    """Mean loss of each stacked model on its own rows, without smoothing or weights."""
    network.eval()
    widths = sum(block.shape[2] for block in stack.blocks.values())
    size = max(EVALUATION_CELLS // max(widths * stack.n_models, 1) // 8, 256)
    total = torch.zeros(stack.n_models, dtype=torch.float64, device=stack.device)
    for blocks, target, real in stack.slices(size):
        losses = sample_losses(network(blocks), target)
        total += torch.where(real, losses, 0.0).sum(dim=1)
    return (total / torch.tensor(stack.sizes, device=stack.device)).float()


def outputs_in_batches(network: Network, blocks: dict[str, Any], *, size: int) -> list[Tensor]:
    """What a network of one model gives for rows, `size` at a time: (member, rows, output) each."""
    network.eval()
    n_rows = len(next(iter(blocks.values())))
    device = next(network.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, n_rows, size):
            part = {name: torch.from_numpy(block[start : start + size]).to(device)[None] for name, block in blocks.items()}
            parts.append(network(part)[0].float())
    return parts
