"""Finds the best deep learning model for your data, proves it, and packs it to run anywhere."""

__version__ = "0.1.0"
