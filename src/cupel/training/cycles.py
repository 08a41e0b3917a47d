"""Which part of training an epoch belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from cupel.core.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """Epochs divided into runs of the schedule, as even as whole epochs allow, one for each snapshot.

    Over the last epochs of a cycle, `averaged` of them, weights are averaged, and the rate is held where the schedule has
    brought it: near the end of a cosine all weights are alike, and their mean is nothing new.
    Sources: Huang et al. 2017, arXiv:1704.00109, eq. 2; Izmailov et al. 2018, arXiv:1803.05407, section 3.
    """

    n_epochs: int
    n_cycles: int = 1
    averaged: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe, *, n_epochs: int) -> Cycles:
        """The cycles that a recipe asks for, at most one an epoch."""
        return cls(n_epochs=n_epochs, n_cycles=min(recipe.snapshots, n_epochs), averaged=recipe.swa)

    def number(self, epoch: int) -> int:
        """Which cycle the epoch is in, from 0."""
        return ((epoch + 1) * self.n_cycles - 1) // self.n_epochs

    def begins(self, epoch: int) -> bool:
        """Whether a cycle begins with this epoch."""
        return epoch == self._start(self.number(epoch))

    def ends(self, epoch: int) -> bool:
        """Whether a cycle ends with this epoch."""
        return epoch + 1 == self._start(self.number(epoch) + 1)

    def averages(self, epoch: int) -> bool:
        """Whether the weights at the end of this epoch are averaged."""
        return self.averaged > 0 and epoch >= self._first_averaged(epoch)

    def begins_to_average(self, epoch: int) -> bool:
        """Whether they are for the first time in this cycle."""
        return self.averaged > 0 and epoch == self._first_averaged(epoch)

    def may_end_training(self, epoch: int) -> bool:
        """Whether a model without gains may leave: all snapshots have been begun, and so has the average."""
        return self.number(epoch) == self.n_cycles - 1 and (self.averaged == 0 or self.averages(epoch))

    def fraction(self, epoch: int, *, step: int, n_steps: int) -> float:
        """How far the schedule is, 0 to 1, before this step of the epoch's `n_steps`."""
        number = self.number(epoch)
        start, stop = self._start(number), self._start(number + 1)
        if self.averages(epoch):
            epoch, step = self._first_averaged(epoch), 0
        return ((epoch - start) * n_steps + step) / (n_steps * (stop - start))

    def _start(self, number: int) -> int:
        return number * self.n_epochs // self.n_cycles

    def _first_averaged(self, epoch: int) -> int:
        """At least one epoch of a cycle is averaged."""
        number = self.number(epoch)
        start, stop = self._start(number), self._start(number + 1)
        return min(stop - round(self.averaged * (stop - start)), stop - 1)
