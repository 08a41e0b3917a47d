"""What becomes of each stacked model: its best weights, its curve, and when it stops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cupel.core.layers import Network

SMALLEST_GAIN = 1e-7


@dataclass(eq=False)
class Outcome:
    """One model's training as seen from outside: `best_epochs` has the best of each snapshot, `best_loss` is the latest one's.

    `seconds` is its share of the time, until it stopped.
    """

    curve: dict[str, list[float]] = field(default_factory=lambda: {"train_loss": [], "stop_loss": []})
    best_loss: float = math.inf
    best_epochs: list[int] = field(default_factory=list)
    since_best: int = 0
    seconds: float = 0.0
    cut_short: bool = False

    def begin_snapshot(self) -> None:
        """From now on the best of another snapshot is sought."""
        self.best_loss, self.since_best = math.inf, 0

    def cut(self, *, n_whole: int) -> None:
        """Time was up when so many snapshots were whole: what began later is dropped, unless there is nothing else."""
        self.cut_short = True
        del self.best_epochs[max(n_whole, 1) :]

    def pass_by(self, *, train_loss: float) -> None:
        """Note an epoch that is better than those before it by being later."""
        self.curve["train_loss"].append(train_loss)
        self.best_epochs[:] = [len(self.curve["train_loss"]) - 1]

    def add(self, *, train_loss: float, stop_loss: float) -> bool:
        """Note an epoch; says whether it is the best so far."""
        self.curve["train_loss"].append(train_loss)
        self.curve["stop_loss"].append(stop_loss)
        is_best = stop_loss < self.best_loss - SMALLEST_GAIN * abs(stop_loss)
        if is_best:
            if math.isinf(self.best_loss):
                self.best_epochs.append(0)
            self.best_loss, self.best_epochs[-1], self.since_best = stop_loss, len(self.curve["stop_loss"]) - 1, 0
        else:
            self.since_best += 1
        return is_best


class BestWeights:
    """The weights and buffers of each model's best epoch, one set per snapshot, by name, with the models' axis in front."""

    def __init__(self, network: Network) -> None:
        self._empty = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self._snapshots: list[dict[str, Tensor]] = []

    def begin_snapshot(self) -> None:
        """Keep what is stored so far, and make room for another set."""
        self._snapshots.append({name: tensor.clone() for name, tensor in self._empty.items()})

    @torch.no_grad()
    def store(self, network: Network, *, models: Sequence[int], places: Sequence[int]) -> None:
        """Keep the weights of some models: `models` are their positions in the network, `places` in the original stack."""
        if not models:
            return
        for name, tensor in network.state_dict().items():
            self._snapshots[-1][name][list(places)] = tensor[list(models)]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All snapshots, for a checkpoint."""
        tensors = {f"{number}/{name}": t for number, own in enumerate(self._snapshots) for name, t in own.items()}
        return tensors, {"n_snapshots": len(self._snapshots)}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self._snapshots = [
            {name: tensors[f"{number}/{name}"].to(empty.device) for name, empty in self._empty.items()}
            for number in range(facts["n_snapshots"])
        ]

    def of(self, place: int, *, snapshot: int) -> Mapping[str, Tensor]:
        """One model's weights on the CPU, each with a first axis of 1, as a network of one model holds them."""
        return {name: tensor[place : place + 1].cpu().clone() for name, tensor in self._snapshots[snapshot].items()}
