"""Measurements on pictures."""
