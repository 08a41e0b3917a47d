"""Random numbers for a batch: one per picture, from a generator that is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws for `n` pictures. They are made where the generator lives, and come on `device`."""

    n: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, low: float, high: float) -> Float[Tensor, " batch"]:
        """Numbers from `low` to `high`."""
        return self._shares() * (high - low) + low

    def around(self, middle: float, reach: float) -> Float[Tensor, " batch"]:
        """Numbers at most `reach` from the middle."""
        return self.uniform(middle - reach, middle + reach)

    def chance(self, probability: float) -> Bool[Tensor, " batch"]:
        """True with the given probability."""
        return self._shares() < probability

    def whole(self, low: int, high: int) -> Int[Tensor, " batch"]:
        """Whole numbers from `low` to `high`, both included."""
        drawn = torch.randint(low, high + 1, (self.n,), generator=self.generator, device=self.generator.device)
        return drawn.to(self.device)

    def order(self) -> Int[Tensor, " batch"]:
        """The pictures' positions, shuffled."""
        return torch.randperm(self.n, generator=self.generator, device=self.generator.device).to(self.device)

    def is_first(self) -> bool:
        """One toss of a coin for the whole batch."""
        return bool(torch.rand((), generator=self.generator, device=self.generator.device) < 0.5)

    def noise(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Numbers from 0 to 1 in any shape."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device).to(self.device)

    def _shares(self) -> Tensor:
        return self.noise(self.n)
