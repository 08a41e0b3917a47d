"""Rows of like labels, to be spread evenly over folds."""

from __future__ import annotations

import numpy as np

from cupel.core.labels import combinations
from cupel.data.dealing import Array, Integers, compact


def label_strata(target: Array, *, n_folds: int) -> Integers:
    """A number for each row of a target (rows, labels), from 0, to be dealt in proportion.

    Rows with one set of labels share it where there are enough of them for all folds; the others share it by the rarest label
    that they hold, so that rare labels are spread as evenly as they can be. What is unknown counts as not holding.

    Source: after Sechidis, Tsoumakas, Vlahavas 2011, doi:10.1007/978-3-642-23808-6_10, section 3: the rarest label first. Theirs
    deals rows one by one; strata keep the promise that copies stay together.
    """
    holds = target == 1
    sets = combinations(holds.astype(np.float64))
    is_common = (np.bincount(sets) >= n_folds)[sets]
    counts = np.where(holds, holds.sum(axis=0), len(holds) + 1)
    rarest = np.where(holds.any(axis=1), counts.argmin(axis=1), holds.shape[1])
    return compact(np.where(is_common, holds.shape[1] + 1 + sets, rarest))
