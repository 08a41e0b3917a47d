"""Bootstrap resamples as counts: how often each row is drawn."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.evaluation.metric import Scorer

Array = NDArray[Any]
MAX_DRAWN = 60_000_000
"""Rows drawn in all: beyond it fewer resamples are taken, since intervals of so many rows are narrow anyway."""
MIN_RESAMPLES = 100
BATCH_CELLS = 1 << 15  # 256 KB of weights: with more, a batch and its copies leave the cache (1.3 times slower)


@dataclass(frozen=True, eq=False)
class Resamples:
    """Bootstrap samples of the same rows, to be shared by all that are compared on them.

    `counts` has shape (resamples, clusters): how often each cluster is drawn. `cluster` is each row's cluster, None
    where every row is one of its own.
    """

    counts: Shaped[Array, "resample cluster"]
    cluster: Int[Array, " sample"] | None

    @classmethod
    def draw(
        cls,
        n_rows: int,
        *,
        groups: Shaped[Array, " sample"] | None = None,
        seed: int = 0,
        n_resamples: int = 1000,
        width: int = 1,
    ) -> Resamples:
        """Draw rows, or whole groups, with replacement.

        Where resamples × rows × `width` exceeds `MAX_DRAWN` fewer are drawn, but never fewer than `MIN_RESAMPLES`
        (or than asked for). `width` is how many times a metric walks through the rows.
        """
        affordable = max(MIN_RESAMPLES, MAX_DRAWN // max(n_rows * width, 1))
        n_drawn = max(1, min(n_resamples, affordable))
        if groups is None:
            return cls(_counts(n_rows, n_drawn, seed), None)
        clusters, cluster = np.unique(groups, return_inverse=True)
        return cls(_counts(len(clusters), n_drawn, seed), cluster.reshape(-1))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def n_rows(self) -> int:
        """Rows of the table that is resampled."""
        return self.counts.shape[1] if self.cluster is None else len(self.cluster)

    def row_counts(self, number: int) -> Int[Array, " sample"]:
        """How often each row is in one resample."""
        counts: Array = self.counts[number].astype(np.int64)
        return counts if self.cluster is None else counts[self.cluster]

    def batches(self) -> Iterator[Float[Array, "resample sample"]]:
        """Row weights of all resamples in order, a few resamples at a time."""
        size = max(1, BATCH_CELLS // max(self.n_rows, 1))
        for start in range(0, len(self), size):
            counts = self.counts[start : start + size]
            yield (counts if self.cluster is None else counts[:, self.cluster]).astype(np.float64)

    def scores(self, scorers: Sequence[Scorer]) -> Float[Array, "scorer resample"]:
        """The scores of each scorer on each resample; NaN where not defined."""
        return np.concatenate([np.stack([scorer(weights) for scorer in scorers]) for weights in self.batches()], axis=1)


@functools.lru_cache(maxsize=1)
def _counts(n_clusters: int, n_resamples: int, seed: int) -> Shaped[Array, "resample cluster"]:
    generator = np.random.default_rng(seed)
    counts = np.empty((n_resamples, n_clusters), np.uint8)  # counts are about 1; 256 of one row will not be seen
    for number in range(n_resamples):
        counts[number] = np.bincount(generator.integers(0, n_clusters, n_clusters, dtype=np.uint32), minlength=n_clusters)
    counts.setflags(write=False)  # it is shared
    return counts
