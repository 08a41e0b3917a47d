"""Residual branches that are left out at random while training."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.layers.dropout import PooledDropout


class StochasticDepth(nn.Module):
    """Leaves out a residual branch for a share of the rows while training, and scales up the others; x is (M, B, …).

    Source: Huang et al. 2016, arXiv:1603.09382; per row as in Liu et al. 2022, arXiv:2201.03545.
    """

    def __init__(self, rate: float, *, seeds: Sequence[int]) -> None:
        super().__init__()
        self.dropout = PooledDropout(rate, seeds=seeds)

    def forward(self, x: Float[Tensor, "model row ..."]) -> Float[Tensor, "model row ..."]:
        """Whole rows masked and scaled while training, unchanged otherwise."""
        if not self.training or self.dropout.rate == 0:
            return x
        kept: Tensor = self.dropout(x.new_ones(x.shape[:2]))
        return x * kept.view(*kept.shape, *[1] * (x.ndim - 2))

    def of_maps(self, x: Float[Tensor, "row side height width"], *, n_models: int) -> Float[Tensor, "row side height width"]:
        """The same for folded maps."""
        if not self.training or self.dropout.rate == 0:
            return x
        kept: Tensor = self.dropout(x.new_ones(n_models, len(x)))
        per_channel = kept.t().repeat_interleave(x.shape[1] // n_models, dim=1)
        return x * per_channel[:, :, None, None]


def rising_rates(highest: float, *, n_blocks: int) -> list[float]:
    """Rates of the blocks, from 0 at the first to the highest at the last, as the paper has them."""
    return [highest * number / max(n_blocks - 1, 1) for number in range(n_blocks)]
