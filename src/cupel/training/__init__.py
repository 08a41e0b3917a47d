"""Fits candidates: one loop for every network, many folds at once."""

from cupel.training.fit import choose_device, concrete, fit

__all__ = ["choose_device", "concrete", "fit"]
