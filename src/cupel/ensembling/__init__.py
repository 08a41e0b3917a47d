"""Combines trials into something better than each, judged on their out-of-fold predictions.

A trial is already bagged over its folds: it speaks as the mean of their models. What is chosen here is how trials speak
together: by votes, greedy selection or stacking.
"""

from cupel.ensembling.calibrating import Calibration, calibrate
from cupel.ensembling.ensemble import combine, rows_looked_at, selector, single
from cupel.ensembling.evidence import Choice, Evidence, cross_fitted, parts_of
from cupel.ensembling.greedy import greedy_weights
from cupel.ensembling.methods import METHODS, Method, method_named

__all__ = [
    "METHODS",
    "Calibration",
    "Choice",
    "Evidence",
    "Method",
    "calibrate",
    "combine",
    "cross_fitted",
    "greedy_weights",
    "method_named",
    "parts_of",
    "rows_looked_at",
    "selector",
    "single",
]
