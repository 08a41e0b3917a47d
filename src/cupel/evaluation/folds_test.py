"""Whether one candidate is better than another, by how it did fold by fold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from cupel.evaluation.intervals import CONFIDENCE

FEWEST_FOLDS = 2


@dataclass(frozen=True)
class FoldsTest:
    """How much better the first of two is on the mean fold, with a 95% interval; `p_value` is two-sided, of no difference."""

    estimate: float
    low: float
    high: float
    p_value: float
    n_folds: int


def corrected_resampled_t(differences: Float[NDArray[np.float64], " fold"], *, test_share: float) -> FoldsTest | None:
    """The corrected resampled t-test of differences, one for each fold; None of fewer than two that are defined.

    `test_share` is how many rows judge for each that trains: 1/4 in five folds. Folds share most of the rows they train on, so
    that their differences vary less than those of independent ones would; the variance of the mean is therefore taken to be
    (1/J + test_share) times that of a difference, where the plain t-test takes 1/J. Folds drawn several times count each time.

    Source: Nadeau and Bengio 2003, "Inference for the generalization error", doi:10.1023/A:1024068626366, eq. 16; for repeated
    cross-validation Bouckaert and Frank 2004, "Evaluating the replicability of significance tests".
    """
    known = differences[np.isfinite(differences)]
    n_folds = len(known)
    if n_folds < FEWEST_FOLDS:
        return None
    from scipy.special import stdtr, stdtrit

    estimate, freedom = float(known.mean()), n_folds - 1
    error = math.sqrt((1 / n_folds + test_share) * float(known.var(ddof=1)))
    if error <= 1e-12 * abs(estimate) or error == 0:
        return FoldsTest(estimate, estimate, estimate, 1.0 if estimate == 0 else 0.0, n_folds)
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    p_value = 2 * float(stdtr(freedom, -abs(estimate) / error))
    return FoldsTest(estimate, estimate - reach, estimate + reach, p_value, n_folds)
