"""Fits candidates: one loop for every network, many folds at once."""
