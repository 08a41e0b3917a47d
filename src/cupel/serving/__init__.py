"""Loads a packed model and predicts with it. Imports no training library."""

from cupel.serving.predictor import Predictor, load

__all__ = ["Predictor", "load"]
