"""Combines trials into something better than each, judged on their out-of-fold predictions."""

from cupel.ensembling.combination import choose_weights, combine, selector, single
from cupel.ensembling.greedy import greedy_weights

__all__ = ["choose_weights", "combine", "greedy_weights", "selector", "single"]
