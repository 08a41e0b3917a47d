"""Combines trials into something better than each."""
