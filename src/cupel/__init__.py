"""Finds the best deep learning model for your data, proves it, and packs it to run anywhere."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cupel.version import __version__

if TYPE_CHECKING:
    from cupel.core.settings import Settings
    from cupel.estimators import CupelClassifier, CupelRegressor
    from cupel.pipeline import fit, resume
    from cupel.refitting import Refit, refit
    from cupel.run import Run
    from cupel.serving import Predictor, load

__all__ = [
    "CupelClassifier",
    "CupelRegressor",
    "Predictor",
    "Refit",
    "Run",
    "Settings",
    "__version__",
    "fit",
    "load",
    "refit",
    "resume",
]

_HOMES = {
    "CupelClassifier": "cupel.estimators",
    "CupelRegressor": "cupel.estimators",
    "Predictor": "cupel.serving",
    "Refit": "cupel.refitting",
    "Run": "cupel.run",
    "Settings": "cupel.core.settings",
    "fit": "cupel.pipeline",
    "load": "cupel.serving",
    "refit": "cupel.refitting",
    "resume": "cupel.pipeline",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use, so that the runtime needs no training library."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cupel' has no attribute {name!r}")
