"""Trains units of one candidate as one stacked network, and takes the trained models out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cupel.core.family import Family, FittedModel, FittedUnit, UnitData
from cupel.core.inputs import InputShape
from cupel.core.layers import Network, round_weights
from cupel.core.recipe import Pace, Recipe
from cupel.core.stored import StoredUnit
from cupel.core.task import Task
from cupel.training.keeper import Keeper
from cupel.training.loop import Lesson, Loop
from cupel.training.mask_model import TrainedMasks
from cupel.training.model import MeanOfModels, TargetScale, TrainedNetwork
from cupel.training.outcome import Outcome
from cupel.training.snapshots import best_run
from cupel.training.stacking import Stack
from cupel.training.stored import StoredStack
from cupel.training.warm import warm_state
from cupel.training.watch import Watch

Array = NDArray[Any]
Rows = tuple[dict[str, Tensor], Tensor, list[int]]
MOST_INITIAL_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Trainer:
    """What is the same for all units of a candidate; `shape` covers the inputs of all of them."""

    family: Family
    config: Any
    recipe: Recipe
    task: Task
    shape: InputShape
    device: str

    def seconds_per_step(self, unit: UnitData) -> float:
        """What a step of this unit's model alone is expected to take, by the family's estimate."""
        n_train = unit.train.n_samples
        pace = self.recipe.pace(n_train)
        cost = self.family.cost(n_train, self.shape, self.config, self.recipe, self.task)
        return cost.seconds / (pace.n_steps * pace.n_epochs)

    def fit(self, units: Sequence[UnitData], *, watch: Watch, keeper: Keeper | None = None) -> list[FittedUnit]:
        """Fitted units, in order. Their training sets are of one pace, and all of them stop by rows, or none does."""
        scales = [None if self.task.form.has_probabilities else TargetScale.of(unit.train_target) for unit in units]
        lesson = Lesson(
            train=self._stack([unit.train for unit in units], [unit.train_target for unit in units], scales),
            stop=self._stack([unit.stop for unit in units], [unit.stop_target for unit in units], scales),
            folds=[unit.fold for unit in units],
            seeds=[unit.seed for unit in units],
            n_outputs=self.task.n_outputs,
            n_classes=len(self.task.classes),
            n_to_predict=max(unit.valid.n_samples for unit in units),
            keeps_last=units[0].among_train,
        )
        network = self._begun(lesson, [unit.start for unit in units])
        pace = self.recipe.pace(units[0].train.n_samples)
        loop = Loop(network, self.recipe, pace=pace, lesson=lesson, watch=watch, keeper=keeper)
        loop.run()
        return [
            self._fitted(unit, loop, rows=lesson.train.fold(place), place=place, scale=scale)
            for place, (unit, scale) in enumerate(zip(units, scales, strict=True))
        ]

    def fit_stored(self, unit: StoredUnit, *, pace: Pace, watch: Watch, keeper: Keeper) -> FittedUnit:
        """The one model that learns from rows in files; it predicts nothing yet."""
        scale = None if self.task.form.has_probabilities else TargetScale.of(unit.train_target)
        target = unit.train_target if scale is None else scale.standardised(unit.train_target)
        lesson = Lesson(
            train=StoredStack(unit.train, target, self.shape, device=self.device),
            stop=self._stack([unit.stop], [unit.stop_target], [scale]),
            folds=[0],
            seeds=[unit.seed],
            n_outputs=self.task.n_outputs,
            n_classes=len(self.task.classes),
        )
        loop = Loop(self._begun(lesson, [{}]), self.recipe, pace=pace, lesson=lesson, watch=watch, keeper=keeper)
        loop.run()
        few = unit.stop.at(np.arange(1))
        like = UnitData(
            fold=0,
            seed=unit.seed,
            train=few,
            train_target=unit.stop_target[:1],
            stop=unit.stop,
            stop_target=unit.stop_target,
            valid=few,
        )
        return self._fitted(like, loop, rows=lesson.train.fold(0), place=0, scale=scale)

    def _begun(self, lesson: Lesson, starts: Sequence[Mapping[str, Array]]) -> Network:
        """A network whose models have each seen a sample of their own rows, or start from the weights that they are given.

        Each is begun alone, so that the folds beside it, which may be longer or shorter, change nothing.
        """
        network = self._build(lesson.seeds)
        stacked = network.state_dict()
        with torch.no_grad():
            for place, seed in enumerate(lesson.seeds):
                alone = self._build([seed]).to(self.device)
                alone.initialise(lesson.train.sample(place, MOST_INITIAL_ROWS, seed=seed))
                begun = alone.state_dict()
                for name, tensor in (warm_state(starts[place], begun) if starts[place] else begun).items():
                    stacked[name][place] = tensor[0]
        network = network.to(self.device)
        _show(network, lesson.train.whole())
        return network

    def _build(self, seeds: Sequence[int]) -> Network:
        assert self.family.build is not None, "asked only for families that build networks"
        return self.family.build(self.shape, n_outputs=self.task.n_outputs, task=self.task, config=self.config, seeds=seeds)

    def _stack(self, parts: Sequence[Any], targets: Sequence[Array], scales: Sequence[TargetScale | None]) -> Stack:
        learned = [t if scale is None else scale.standardised(t) for t, scale in zip(targets, scales, strict=True)]
        return Stack(parts, learned, self.shape, device=self.device)

    def _fitted(self, unit: UnitData, loop: Loop, *, rows: Rows, place: int, scale: TargetScale | None) -> FittedUnit:
        """One model with the weights of its best epoch, or the mean of its best snapshots, and what it predicts."""
        outcome: Outcome = loop.outcomes[place]
        snapshots = [loop.best.of(place, snapshot=number) for number in range(len(outcome.best_epochs))]
        networks = [self._finished(unit, weights, rows=rows) for weights in snapshots]
        models = [self._trained(unit, network, scale=scale) for network in networks]
        run = range(1)
        if len(models) > 1:
            run = best_run([each.predict(unit.stop) for each in models], unit.stop_target)
        model = models[run.start] if len(run) == 1 else MeanOfModels(tuple(models[run.start : run.stop]))
        return FittedUnit(
            model,
            model.predict(unit.valid),
            curve=outcome.curve,
            best_epoch=outcome.best_epochs[run[-1]],
            seconds=outcome.seconds,
            cut_short=outcome.cut_short,
            weights={
                f"snapshot_{number}.{name}" if len(run) > 1 else name: np.ascontiguousarray(tensor[0].numpy())
                for number in run
                for name, tensor in networks[number].state_dict().items()
            },
        )

    def _finished(self, unit: UnitData, weights: Mapping[str, Tensor], *, rows: Rows) -> Network:
        """A network of one model with these weights, rounded: what it predicts from now on is judged, and is what is packed."""
        network = self._build([unit.seed])
        network.load_state_dict(weights)
        round_weights(network)
        _show(network, rows)
        return network.eval()

    def _trained(self, unit: UnitData, network: Network, *, scale: TargetScale | None) -> FittedModel:
        """What answers with the network."""
        trained = TrainedNetwork(network, self.shape, unit.train.widths, scale, form=self.task.form)
        return TrainedMasks(trained, len(self.task.classes)) if self.task.grid else trained


def _show(network: Network, rows: Rows) -> None:
    """Let a network remember training rows, on the device where it is."""
    blocks, target, sizes = rows
    device = next(network.parameters()).device
    network.remember({name: block.to(device) for name, block in blocks.items()}, target.to(device), sizes=sizes)
