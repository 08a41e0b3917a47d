"""What the report shows beside the verdict itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.thumbnails import Thumbnails

if TYPE_CHECKING:
    from cupel.evaluation import Occlusion, WholeMasks

Timeline = Sequence[tuple[float, str, float]]
"""(seconds since the start, candidate, score) for each candidate as it finished."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Exhibits:
    """How the search went, and, where rows have pictures, these and which parts of some the pick's answers rest on.

    `masks` are how every pixel was judged, where that was asked. Rows of one number in `units`, over all of the dataset, count
    once in intervals, which reach `stretch` times as far.
    """

    timeline: Timeline = ()
    thumbnails: Thumbnails | None = None
    occlusions: Sequence[Occlusion] = ()
    masks: WholeMasks | None = None
    units: NDArray[np.int64] | None = None
    stretch: float = 1.0
