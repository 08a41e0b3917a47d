"""Fits candidates: one loop for every network, many folds at once."""

from cupel.training.environment import choose_device, get_ready
from cupel.training.fit import fit, fit_stored

__all__ = ["choose_device", "fit", "fit_stored", "get_ready"]
