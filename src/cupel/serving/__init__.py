"""Loads a packed model and predicts with it. Imports no training library."""
