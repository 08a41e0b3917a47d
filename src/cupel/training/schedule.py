"""Factors on the learning rate over the course of training."""

from __future__ import annotations

import math

FACTORS_OF_STEP = (1.0, 0.1, 0.01)
PLATEAU_FACTOR = 0.3


def factor(name: str, fraction: float, *, warmup: float = 0.0) -> float:
    """The factor on the learning rate when `fraction` (0 to 1) of all steps is done.

    constant and plateau (whose factor depends on the losses) are 1; step falls to a tenth at 50% and again at 75%; cosine
    falls to 0; one-cycle rises from 1/25 over 30% and falls to 0 (Smith and Topin 2017, arXiv:1708.07120); coslog4 swings
    four times, ever slower (Holzmüller et al. 2024, arXiv:2407.04491, section 3). Warm-up rises linearly beside all that.
    """
    rise = min(1.0, (fraction + 1e-3) / (warmup + 1e-3))
    match name:
        case "step":
            return rise * FACTORS_OF_STEP[(fraction >= 0.5) + (fraction >= 0.75)]
        case "cosine":
            return rise * 0.5 * (1 + math.cos(math.pi * fraction))
        case "one-cycle":
            if fraction < 0.3:
                return rise * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * fraction / 0.3)))
            return rise * 0.5 * (1 + math.cos(math.pi * (fraction - 0.3) / 0.7))
        case "coslog4":
            return rise * 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * fraction)))
        case _:
            return rise
