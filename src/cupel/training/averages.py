"""Means over the weights that training went through, judged and kept instead of where the last step ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Averages:
    """The moving average over steps (`ema`, 0 is off) and, once begun, the plain mean over the ends of epochs instead of it.

    Sources: Polyak and Juditsky 1992, doi:10.1137/0330046; Izmailov et al. 2018, arXiv:1803.05407, algorithm 1.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, ema: float) -> None:
        self._parameters, self._ema = parameters, ema
        self._moving = self._copied() if ema > 0 else []
        self._mean: list[Tensor] = []
        self._n_steps = 0
        self._n_epochs = 0

    @property
    def are_judged(self) -> bool:
        """Whether there is an average that stands for the weights."""
        return bool(self._mean or self._moving)

    @torch.no_grad()
    def add_step(self) -> None:
        """Count in the weights after a step."""
        if self._moving:
            self._n_steps += 1
            # Until enough has been seen the average is over what there is: else the first weights would linger.
            weight = max(1 - self._ema, 1 / (self._n_steps + 1))
            torch._foreach_lerp_(self._moving, [p.detach() for p in self._parameters], weight)

    @torch.no_grad()
    def add_epoch(self) -> None:
        """Count in the weights at the end of an epoch; the first time, begin the mean with them."""
        self._n_epochs += 1
        if self._mean:
            torch._foreach_lerp_(self._mean, [p.detach() for p in self._parameters], 1 / self._n_epochs)
        else:
            self._mean = self._copied()

    def end_mean(self) -> None:
        """Forget the mean over epochs; another may begin later."""
        self._mean, self._n_epochs = [], 0

    def swap(self) -> None:
        """Exchange the parameters with their averages, where there are any; a second call undoes it."""
        averages = self._mean or self._moving
        for position, average in enumerate(averages):
            parameter = self._parameters[position]
            averages[position], parameter.data = parameter.data, average

    def keep(self, chosen: Tensor) -> None:
        """Go on with some of the stacked models only."""
        self._moving = [average.index_select(0, chosen) for average in self._moving]
        self._mean = [average.index_select(0, chosen) for average in self._mean]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Both averages, for a checkpoint."""
        kept = {"moving": self._moving, "mean": self._mean}
        tensors = {f"{name}/{number}": tensor for name, own in kept.items() for number, tensor in enumerate(own)}
        return tensors, {"n_steps": self._n_steps, "n_epochs": self._n_epochs}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self._n_steps, self._n_epochs = facts["n_steps"], facts["n_epochs"]
        self._moving, self._mean = (self._of(name, tensors) for name in ("moving", "mean"))

    def _of(self, name: str, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        found = [tensors[f"{name}/{number}"] for number in range(len(self._parameters)) if f"{name}/{number}" in tensors]
        return [tensor.to(parameter.device) for tensor, parameter in zip(found, self._parameters, strict=False)]

    def _copied(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._parameters]
