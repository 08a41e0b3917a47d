"""Which target values are likely wrong, from what models said about rows that they had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.errors import DataError

Array = NDArray[Any]

MIN_DEVIATIONS = 6.0
WINDOW_SHARE, MIN_WINDOW = 0.1, 30
TO_DEVIATION = 1.4826


@dataclass(frozen=True, eq=False)
class WrongValues:
    """Rows whose target is likely wrong, the surest first.

    `rows` are positions in what was given; `deviations` is how far the residual of each lies from the usual one, in standard
    deviations of rows that are predicted alike.
    """

    rows: Int[Array, " suspect"]
    deviations: Float[Array, " suspect"]


def likely_wrong_values(
    target: Shaped[Array, " sample"], predictions: Shaped[Array, "sample ..."], *, min_deviations: float = MIN_DEVIATIONS
) -> WrongValues:
    """Rows whose residual is far outside of what is usual where predictions are alike.

    Usual is told by the median and the median absolute deviation of the residuals of the tenth of the rows with the nearest
    predictions, so that large values may err more than small ones, and wrong values do not hide one another. `predictions`
    must be out of fold.

    Raises:
        DataError: there are no rows, or the numbers of values differ.

    Source: residuals scaled by the median absolute deviation, Hampel 1974, doi:10.1080/01621459.1974.10482962.
    """
    predictions = np.asarray(predictions, np.float64).reshape(len(predictions), -1)[:, 0] if len(predictions) else np.empty(0)
    if len(target) == 0 or len(target) != len(predictions):
        raise DataError(f"{len(predictions)} predictions came for {len(target)} values; expected equally many, one at least.")
    residuals = np.asarray(target, np.float64) - predictions
    order = np.argsort(predictions, kind="stable")
    ordered = residuals[order]
    window = min(len(ordered), max(MIN_WINDOW, int(WINDOW_SHARE * len(ordered))))
    starts = np.arange(0, len(ordered) - window + 1, max(1, window // 4))
    middles = np.array([np.median(ordered[start : start + window]) for start in starts])
    spreads = np.array(
        [np.median(np.abs(ordered[start : start + window] - middle)) for start, middle in zip(starts, middles, strict=True)]
    )
    places = starts + window / 2
    ranks = np.arange(len(ordered))
    middle, spread = np.interp(ranks, places, middles), TO_DEVIATION * np.interp(ranks, places, spreads)
    least = 1e-3 * max(float(np.std(target)), 1e-300)  # where nearly all is predicted exactly
    deviations = np.empty(len(residuals))
    deviations[order] = np.abs(ordered - middle) / np.maximum(spread, least)
    rows = np.flatnonzero(deviations >= min_deviations)
    rows = rows[np.argsort(-deviations[rows], kind="stable")]
    return WrongValues(rows, deviations[rows])
