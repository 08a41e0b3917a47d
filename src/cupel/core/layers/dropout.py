"""Dropout whose masks are cut from pools: drawing each anew costs more than the layers that they follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

N_PLACES = 1 << 17
N_USES = 256
N_LEVELS = 256
PLACES_SEED = 0


class PooledDropout(nn.Module):
    """Zeroes a share of values while training and scales up the rest; x is (M, …).

    Each model has a pool of random bytes of its own seed. A call takes the stretch that begins at a random place, the same place
    in all pools; places are drawn alike in every network, so a model's masks do not depend on which others it is stacked with.
    Pools are drawn anew after `N_USES` calls. The rate is rounded to 1/256.
    """

    def __init__(self, rate: float, *, seeds: Sequence[int]) -> None:
        super().__init__()
        self._generators = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
        self._places = np.random.Generator(np.random.SFC64(PLACES_SEED))
        self._threshold = 0
        self._bytes: Tensor | None = None
        self._masks: Tensor | None = None
        self._n_uses = 0
        self.set_rate(rate)

    @property
    def rate(self) -> float:
        """The share of values that is zeroed."""
        return self._threshold / N_LEVELS

    def set_rate(self, rate: float) -> None:
        """Change the rate, 0 to 0.99."""
        threshold = round(min(max(rate, 0.0), 0.99) * N_LEVELS)
        if threshold != self._threshold:
            self._threshold, self._masks = threshold, None

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the models only."""
        self._generators = [self._generators[model] for model in models]
        self._bytes = None if self._bytes is None else self._bytes[list(models)]
        self._masks = None if self._masks is None else self._masks[list(models)]

    def forward(self, x: Float[Tensor, "model ..."]) -> Float[Tensor, "model ..."]:
        """Masked and scaled while training, unchanged otherwise."""
        if not self.training or self._threshold == 0:
            return x
        n_values = x[0].numel()
        masks = self._drawn(n_values, x.device)
        start = int(self._places.integers(N_PLACES))
        return x * masks[:, start : start + n_values].view(x.shape)

    def _drawn(self, n_values: int, device: torch.device) -> Tensor:
        """Masks, at least `n_values` from every place on, (M, pool)."""
        size = n_values + N_PLACES
        if self._bytes is None or self._bytes.shape[1] < size or self._n_uses >= N_USES:
            drawn = np.stack([generator.integers(0, N_LEVELS, size, dtype=np.uint8) for generator in self._generators])
            self._bytes, self._masks, self._n_uses = torch.from_numpy(drawn).to(device), None, 0
        if self._masks is None or self._masks.device != device:
            scale = N_LEVELS / (N_LEVELS - self._threshold)
            self._masks = (self._bytes >= self._threshold).to(device=device, dtype=torch.float32).mul_(scale)
        self._n_uses += 1
        return self._masks
