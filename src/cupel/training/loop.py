"""The one loop that trains every network: all folds of a candidate as one stacked module."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cupel.core.errors import PassingError, TrainingError
from cupel.core.layers import Network
from cupel.core.recipe import Pace, Recipe
from cupel.training.cycles import Cycles
from cupel.training.hidden import State, hidden_state, restore_hidden
from cupel.training.keeper import Keeper
from cupel.training.loss import balancing_weights, judged_losses, label_losses, penalty, sample_losses
from cupel.training.optimiser import Stepper
from cupel.training.outcome import BestWeights, Outcome
from cupel.training.range_test import rate_factors
from cupel.training.schedule import PLATEAU_FACTOR, factor
from cupel.training.stacking import Stack
from cupel.training.stored import StoredStack
from cupel.training.watch import Watch

PLATEAU_PATIENCE = 5
STEPS_TO_WARM_UP = 4
SHARE_OF_LOOKING = 0.4
"""Of what a row takes in training: what it takes to look at it once more, without gradients."""
ROWS_AT_ONCE = 512
N_STATISTICS_ROWS = 2048


@dataclass(kw_only=True, eq=False)
class Epoch:
    """One that has been begun: its number, the rows of all its steps (M, steps * B), steps done, losses summed, seconds gone."""

    number: int
    rows: Tensor
    total: Tensor
    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """What is learned from: rows to train on, rows to stop by, and which folds (numbers, seeds) the models belong to.

    Each model then predicts for up to `n_to_predict` rows. With `keeps_last` nothing stops early, and the last weights are kept.
    """

    train: Stack | StoredStack
    stop: Stack
    folds: Sequence[int]
    seeds: Sequence[int]
    n_outputs: int
    n_classes: int
    n_to_predict: int = 0
    keeps_last: bool = False


class Loop:
    """Trains one stacked network.

    Each model keeps the weights of its best epoch on its own stop rows, of each cycle where there are several. One that has gone
    `patience` epochs without a gain leaves the stack, so that the others go on faster; not before its last snapshot has been
    begun, and its average.
    """

    def __init__(
        self, network: Network, recipe: Recipe, *, pace: Pace, lesson: Lesson, watch: Watch, keeper: Keeper | None = None
    ) -> None:
        self._network, self._recipe, self._pace, self._watch = network, recipe, pace, watch
        self._keeper = keeper or Keeper()
        self._train, self._stop, self._folds = lesson.train, lesson.stop, list(lesson.folds)
        self._orders = self._train.orders(lesson.seeds)
        self._n_outputs, self._seeds, self._keeps_last = lesson.n_outputs, lesson.seeds, lesson.keeps_last
        self._class_weights: Tensor | None = None
        targets = self._train.targets()
        self._has_labels = targets[0].ndim == 2  # before any mixing, which makes probabilities (B, K) of classes too
        if recipe.class_weights and not targets[0].is_floating_point():
            self._class_weights = balancing_weights(targets, lesson.n_classes)
        self._stepper = Stepper(network, recipe)
        self._matrices = network.weight_matrices()
        self._places = list(range(network.n_models))  # where in the original stack each remaining model was
        self._cycles = Cycles.of(recipe, n_epochs=pace.n_epochs)
        self._sample: Tensor | None = None  # rows that statistics of averaged weights are taken from, (M, N)
        if network.normalisations():
            n_rows = min(N_STATISTICS_ROWS, pace.n_steps * pace.batch_size)
            self._sample = torch.stack([order.take(n_rows) for order in self._train.orders(lesson.seeds)])
        self.outcomes = [Outcome() for _ in self._places]
        self.best = BestWeights(network)
        self._n_looks_to_come = (0 if lesson.keeps_last else max(lesson.stop.sizes)) + network.n_looks * lesson.n_to_predict
        self._n_looks_to_come += 0 if self._sample is None else self._sample.shape[1]

    def run(self) -> None:
        """Train until every model has stopped, the epochs are done, or time is up; fills `outcomes` and `best`.

        Models whose schedule followed the clock count as cut short: with more time they would be others. From a checkpoint it
        goes on as if it had never stopped, to the last bit; where its schedule had to hurry it hurries on, and begins anew where
        time has no end any more.

        Raises:
            TrainingError: a loss is not finite, or time was up before the first step.
        """
        kept = self._keeper.load()
        if kept is not None and kept[1].get("hurried") is not None and not self._watch.has_end:
            kept = None
        begun = None if kept is None else self._restored(*kept)
        if begun is None or begun.number < self._pace.n_epochs:
            self._run(begun)
        if self._watch.is_behind:
            for outcome in self.outcomes:
                outcome.cut_short = True
        if self._keeper.is_worth_its_end and not any(outcome.cut_short for outcome in self.outcomes):
            nothing = torch.empty(0, dtype=torch.int64)
            self._write_down(Epoch(number=self._pace.n_epochs, rows=nothing, total=nothing))

    def _run(self, begun: Epoch | None) -> None:
        n_epochs = self._pace.n_epochs
        if self._recipe.range_test and begun is None:
            self._stepper.usual = self._tested_rates()
        for number in range(begun.number if begun else 0, n_epochs):
            if begun is None and self._cycles.begins(number):
                self._begin_cycle()
            self._network.set_epoch(number)
            self._network.set_progress(self._hurried(number / n_epochs))
            epoch, begun = begun or self._begin(number), None
            train_losses = self._taught(epoch)
            if epoch.step == 0 and number == 0:
                raise PassingError("time was up before the first step of training; give the run more time.")
            is_over = self._watch.is_over
            if self._keeps_last:
                self._pass_by(train_losses, epoch, is_last=is_over or number + 1 == n_epochs)
            elif epoch.step:
                self._look(train_losses, number, share=epoch.seconds / self._network.n_models)
                is_over = self._watch.is_over
            if is_over:
                self._cut(number, is_whole=epoch.step == self._pace.n_steps)
                return
            if self._cycles.may_end_training(number):
                self._dismiss()
            if not self._places:
                return

    def _hurried(self, fraction: float) -> float:
        """How far the schedule is; one that runs several times over is left as it is."""
        return fraction if self._recipe.snapshots > 1 else self._watch.hurried(fraction)

    def _begin_cycle(self) -> None:
        self._stepper.restart()
        self.best.begin_snapshot()
        for place in self._places:
            self.outcomes[place].begin_snapshot()

    def _cut(self, epoch: int, *, is_whole: bool) -> None:
        """Note that time was up in this epoch, or after it; a snapshot of a cycle that was left early is none."""
        if is_whole and epoch + 1 == self._pace.n_epochs:
            return
        n_whole = self._cycles.number(epoch) + (is_whole and self._cycles.ends(epoch))
        for place in self._places:
            self.outcomes[place].cut(n_whole=n_whole)

    def _tested_rates(self) -> list[float]:
        """Factors on the recipe's learning rate by a range test of each model, on batches in an order of its own."""
        orders = self._train.orders(self._seeds)

        def losses() -> Tensor:
            rows = torch.stack([order.take(self._pace.batch_size) for order in orders])
            blocks, target = self._train.batch(rows)
            self._network.set_rows(rows)
            blocks, target = self._network.changed(blocks, target, n_outputs=self._n_outputs)
            return self._losses(self._network(blocks), target).mean(dim=1)

        return rate_factors(self._network, self._recipe, losses=losses, is_over=lambda: self._watch.is_over)

    def _begin(self, number: int) -> Epoch:
        rows = torch.stack([order.take(self._pace.n_steps * self._pace.batch_size) for order in self._orders])
        return Epoch(number=number, rows=rows, total=torch.zeros(self._network.n_models, device=self._train.device))

    def _taught(self, epoch: Epoch) -> Tensor:
        """Steps up to the next evaluation, those that are left; mean training loss of each model."""
        recipe, n_steps, n_epochs = self._recipe, self._pace.n_steps, self._pace.n_epochs
        self._network.train()
        batches, looked = torch.split(epoch.rows, self._pace.batch_size, dim=1), time.monotonic()
        for step in range(epoch.step, n_steps):
            if self._watch.look((epoch.number * n_steps + step) / (n_steps * n_epochs)):
                break
            chosen = batches[step]
            blocks, target = self._train.batch(chosen)
            self._network.set_rows(chosen)
            blocks, target = self._network.changed(blocks, target, n_outputs=self._n_outputs)
            outputs = self._network(blocks)
            losses = self._losses(outputs, target).mean(dim=1)
            extra = penalty(self._matrices, l1=recipe.l1, l2=recipe.l2)
            fraction = self._hurried(self._cycles.fraction(epoch.number, step=step, n_steps=n_steps))
            rate = self._pace.rate_factor * factor(recipe.schedule, fraction, warmup=recipe.warmup)
            self._stepper.step(losses.sum() + extra, factor=rate)
            epoch.total += losses.detach()
            epoch.step = step + 1
            if epoch.number or epoch.step > STEPS_TO_WARM_UP:
                seconds_of_a_row = (epoch.seconds + time.monotonic() - looked) / (epoch.step * chosen.shape[1])
                self._watch.keep_back(SHARE_OF_LOOKING * seconds_of_a_row * self._n_looks_to_come)
            if self._keeper.is_due:
                epoch.seconds, looked = epoch.seconds + time.monotonic() - looked, time.monotonic()
                self._write_down(epoch)
        epoch.seconds += time.monotonic() - looked
        return epoch.total / max(epoch.step, 1)

    def _losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        smoothing = self._recipe.label_smoothing
        if self._has_labels:
            return label_losses(outputs, target, smoothing=smoothing)
        return sample_losses(outputs, target, smoothing=smoothing, class_weights=self._class_weights)

    def _look(self, train_losses: Tensor, epoch: int, *, share: float) -> None:
        """Evaluate on the stop rows, and keep what is best of each model."""
        if self._cycles.averages(epoch):
            self._stepper.averages.add_epoch()
        if self._cycles.begins_to_average(epoch):
            for place in self._places:
                self.outcomes[place].since_best = 0
        with self._averaged():
            stop_losses = evaluate(self._network, self._stop)
            improved = self._noted(train_losses, stop_losses, epoch, share=share)
            self.best.store(self._network, models=improved, places=[self._places[model] for model in improved])

    def _pass_by(self, train_losses: Tensor, epoch: Epoch, *, is_last: bool) -> None:
        """Note an epoch of models that nothing stops; keep their weights where none comes after it."""
        if epoch.step and self._cycles.averages(epoch.number):
            self._stepper.averages.add_epoch()
        for place, loss in zip(self._places, train_losses.tolist() if epoch.step else (), strict=False):
            self._check(place, loss, epoch.number)
            self.outcomes[place].pass_by(train_loss=loss)
            self.outcomes[place].seconds += epoch.seconds / self._network.n_models
        if is_last:
            with self._averaged():
                self.best.store(self._network, models=range(len(self._places)), places=self._places)

    def _noted(self, train_losses: Tensor, stop_losses: Tensor, epoch: int, *, share: float) -> list[int]:
        """Add an epoch to the outcomes; which models have never been better."""
        improved = []
        pairs = zip(self._places, train_losses.tolist(), stop_losses.tolist(), strict=True)
        for model, (place, train_loss, stop_loss) in enumerate(pairs):
            self._check(place, train_loss + stop_loss, epoch)
            outcome = self.outcomes[place]
            outcome.seconds += share
            if outcome.add(train_loss=train_loss, stop_loss=stop_loss):
                improved.append(model)
            elif self._recipe.schedule == "plateau" and outcome.since_best % PLATEAU_PATIENCE == 0:
                self._stepper.scales[model] *= PLATEAU_FACTOR
        return improved

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with averaged weights, where there are any, and with statistics of activations that belong to them.

        What runs along in training belongs to the weights of each step: with the mean of them it would be silently wrong
        (Izmailov et al. 2018, section 3.2).
        """
        averages = self._stepper.averages
        if not averages.are_judged:
            yield
            return
        averages.swap()
        running = [(tensor, tensor.clone()) for layer in self._network.normalisations() for tensor in layer.buffers()]
        if self._sample is not None:
            self._network.renew_statistics(self._train.batch(self._sample)[0])
        try:
            yield
        finally:
            for tensor, before in running:
                tensor.copy_(before)
            averages.swap()

    def _check(self, place: int, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of fold {self._folds[place] + 1} is not finite in epoch {epoch + 1}; "
                f"a lower learning rate or gradient clipping would help."
            )

    def _dismiss(self) -> None:
        """Let models whose patience is at an end leave the stack."""
        staying = [m for m, place in enumerate(self._places) if self.outcomes[place].since_best < self._recipe.patience]
        if len(staying) == len(self._places):
            return
        if staying:
            self._go_on_with(staying)
        else:
            self._places = []

    def _go_on_with(self, staying: list[int]) -> None:
        """Keep these of the stacked models."""
        self._places = [self._places[model] for model in staying]
        self._network.keep(staying)
        self._stepper.keep(staying)
        self._train.keep(staying)
        self._stop.keep(staying)
        self._orders = [self._orders[model] for model in staying]
        if self._sample is not None:
            self._sample = self._sample[staying]
        if self._class_weights is not None:
            self._class_weights = self._class_weights[staying]

    def _write_down(self, epoch: Epoch) -> None:
        """All that training in progress is made of; at its end only what came of it."""
        parts: dict[str, State] = {"best": self.best.state()}
        facts: dict[str, Any] = {"outcomes": [asdict(outcome) for outcome in self.outcomes], "number": epoch.number}
        if epoch.number < self._pace.n_epochs:
            parts |= {"stepper": self._stepper.state(), "hidden": hidden_state(self._network)}
            parts |= {f"order-{model}": order.state() for model, order in enumerate(self._orders)}
            parts["network"] = dict(self._network.state_dict()), {}
            parts["epoch"] = {"rows": epoch.rows, "total": epoch.total}, {"step": epoch.step, "seconds": epoch.seconds}
            facts["places"] = self._places
            facts["hurried"] = self._watch.reached if self._watch.is_behind else None
        tensors = {f"{part}:{name}": tensor for part, (own, _) in parts.items() for name, tensor in own.items()}
        self._keeper.save(tensors, facts | {part: own for part, (_, own) in parts.items()})

    @torch.no_grad()
    def _restored(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Epoch:
        """Take up what was written down."""

        def part(name: str) -> State:
            own = {key.partition(":")[2]: tensor for key, tensor in tensors.items() if key.partition(":")[0] == name}
            return own, facts[name]

        self.outcomes = [Outcome(**outcome) for outcome in facts["outcomes"]]
        self.best.restore(*part("best"))
        if facts["number"] == self._pace.n_epochs:
            nothing = torch.empty(0, dtype=torch.int64)
            return Epoch(number=facts["number"], rows=nothing, total=nothing)
        if facts["hurried"] is not None:
            self._watch.go_on_from(facts["hurried"])
        if facts["places"] != self._places:
            self._go_on_with(facts["places"])
        for name, tensor in self._network.state_dict().items():
            tensor.copy_(tensors[f"network:{name}"])
        restore_hidden(self._network, part("hidden"))
        self._stepper.restore(*part("stepper"))
        for model, order in enumerate(self._orders):
            order.restore(*part(f"order-{model}"))
        (epoch, gone), device = part("epoch"), self._train.device
        return Epoch(number=facts["number"], rows=epoch["rows"], total=epoch["total"].to(device), **gone)


@torch.no_grad()
def evaluate(network: Network, stack: Stack) -> Tensor:
    """Mean loss of each stacked model's predictions on its own rows, without smoothing or weights, float64."""
    network.eval()
    total = torch.zeros(network.n_models, dtype=torch.float64, device=stack.device)
    for blocks, target, real in stack.slices(ROWS_AT_ONCE):
        losses = judged_losses(network.judged(blocks), target)
        total += torch.where(real, losses, 0.0).sum(dim=1, dtype=torch.float64)
    return total / torch.tensor(stack.sizes, device=stack.device)
