"""What share of rows is surely right, where rows may come in groups and one looks at many numbers of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

Array = NDArray[Any]
ERROR = 0.05
"""How likely anything that is called sure may be wrong, all together that one promise looks at."""
FEWEST_FIRST, N_STARTS, APART = 30, 5, 3


def worth_in_rows(right: Bool[Array, " sample"], units: Int[Array, " sample"] | None) -> float:
    """How many independent rows these are worth, to tell the share that is right: all, or fewer where units stray together.

    As many as would make a share stray as far as that of the units does. Where all are alike nothing is known of how units stray,
    and rows of one unit count as one; never fewer. `units` number from 0.

    Source: Kish 1965, "Survey Sampling", for the design effect; Korn and Graubard 1998, Survey Methodology 24, 193.
    """
    n_rows = len(right)
    if units is None or n_rows == 0:
        return float(n_rows)
    sizes, hits = np.bincount(units), np.bincount(units, right)
    n_units = int((sizes > 0).sum())
    fewest, share = n_rows**2 / float((sizes.astype(np.float64) ** 2).sum()), float(right.mean())
    spread = float(((hits - share * sizes) ** 2).sum()) * n_units / max(n_units - 1, 1)
    worth = n_rows**2 * share * (1 - share) / spread if spread > 0 else fewest
    return float(np.clip(worth, fewest, n_rows))


def least_shares(shares: Float[Array, " case"], worth: Float[Array, " case"], *, error: float = ERROR) -> Float[Array, " case"]:
    """What share is right at least, but for an error of that probability, where it was these `shares` of so many rows.

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    from scipy.special import betaincinv  # scipy.stats has the same and takes two seconds to import

    n_right = shares * worth
    some = n_right > 0
    least = np.zeros(len(shares))
    least[some] = betaincinv(n_right[some], worth[some] - n_right[some] + 1, error)
    return least


def shares_of_first(
    right: Bool[Array, " sample"], sizes: Int[Array, " size"], *, units: Int[Array, " sample"] | None
) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
    """The share of the first rows that is right, and what these are worth, for each of these numbers of them."""
    shares = np.cumsum(right)[sizes - 1] / sizes
    if units is None:
        return shares, sizes.astype(np.float64)
    return shares, _worth_of_first(right, units)[sizes - 1]


def _worth_of_first(right: Array, units: Array) -> Array:
    """`worth_in_rows` of the first rows, for every number of them: sums over units change by what a row adds to its own."""
    order = np.argsort(units, kind="stable")
    first = np.searchsorted(units[order], units[order])
    hits = np.cumsum(right[order]) - right[order]
    n_before, hits_before = np.empty((2, len(units)))
    n_before[order], hits_before[order] = np.arange(len(units)) - first, hits - hits[first]
    n_rows, share = np.arange(1.0, len(units) + 1), np.cumsum(right) / np.arange(1, len(units) + 1)
    squares = np.cumsum(2 * n_before + 1)
    spread = np.cumsum(right * (2 * hits_before + 1)) - 2 * share * np.cumsum(hits_before + right * (n_before + 1))
    n_units = np.cumsum(n_before == 0)
    spread = (spread + share**2 * squares) * n_units / np.maximum(n_units - 1, 1)
    fewest, known = n_rows**2 / squares, spread > 1e-9 * squares
    worth = np.where(known, n_rows**2 * share * (1 - share) / np.where(known, spread, 1.0), fewest)
    return np.asarray(np.clip(worth, fewest, n_rows))


def sure_shares(
    right: Bool[Array, " sample"],
    sizes: Int[Array, " size"],
    *,
    units: Int[Array, " sample"] | None = None,
    fewest: int = FEWEST_FIRST,
) -> Float[Array, " size"]:
    """What share of the first rows is surely right, for each of these rising numbers of them; 0 of fewer than `fewest` units.

    The most rows of which a share is surely right may be read off it, for any one share: it is wrong with probability 5% at
    most, however many numbers were looked at. Tests go from few rows to many and stop at the first that fails, so that no number
    is surer than those before it. As the first few rows may fail by chance, there are up to five beginnings, each with its part
    of the 5% and three times as many rows as the one before.

    Source: Angelopoulos et al. 2021, "Learn then Test", arXiv:2110.01052: fixed-sequence testing with several starts.
    """
    seen = np.arange(1, len(right) + 1)
    if units is not None:
        first = np.unique(units, return_index=True)[1]
        seen = np.cumsum(np.isin(np.arange(len(right)), first))
    begun = np.searchsorted(seen[sizes - 1], fewest * APART ** np.arange(N_STARTS))
    begun = np.unique(begun[begun < len(sizes)])
    sure = np.zeros(len(sizes))
    if not len(begun):
        return sure
    shares, worth = shares_of_first(right, sizes, units=units)
    lows = least_shares(shares, worth, error=ERROR / len(begun))
    for start in begun.tolist():
        sure[start:] = np.maximum(sure[start:], np.minimum.accumulate(lows[start:]))
    return sure


def units_from_zero(groups: Array | None) -> Int[Array, " sample"] | None:
    """Numbers for groups of any name."""
    return None if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def ends_of(ranked: Float[Array, " sample"], *, fewest: int, most: int) -> Int[Array, " size"]:
    """Up to so many rising numbers of first rows, from the fewest to all, none of which divides equal values."""
    ends = np.append(np.flatnonzero(np.diff(ranked) != 0) + 1, len(ranked))
    first = min(fewest, len(ranked))
    wanted = np.concatenate([np.linspace(first, len(ranked), most // 2), np.geomspace(first, len(ranked), most // 2).round()])
    return np.unique(ends[np.minimum(np.searchsorted(ends, wanted), len(ends) - 1)]).astype(np.int64)
