"""The families that learn from tables, one file each; a new one adds its file and one word to `MODELS`."""

from __future__ import annotations

from importlib import import_module

from cupel.core.family import Family

MODELS = (
    "constant",
    "linear",
    "lightgbm",
    "extra_trees",
    "realmlp",
    "modern_nca",
    "tabm",
    "mlp",
    "dcn",
    "resnet",
    "knn",
    "ft_transformer",
    "grownet",
    "samme",
)
"""Baselines first; presets with a learned place (`portfolio.json`) are tried in its order, the others in this one."""

__all__ = ["MODELS", "families"]


def families() -> tuple[Family, ...]:
    """Every family, imported on first use: looking at data needs no training library."""
    return tuple(import_module(f"{__name__}.{name}").spec for name in MODELS)
