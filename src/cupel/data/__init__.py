"""Reads tables, types their columns, judges their quality and splits them honestly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cupel.data.files import read_columns
    from cupel.data.profiling import profile
    from cupel.data.quality import judge_quality
    from cupel.data.reading import read
    from cupel.data.splitting import split

__all__ = ["judge_quality", "profile", "read", "read_columns", "split"]

_HOMES = {
    "judge_quality": "cupel.data.quality",
    "profile": "cupel.data.profiling",
    "read": "cupel.data.reading",
    "read_columns": "cupel.data.files",
    "split": "cupel.data.splitting",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use: the runtime reads tables, and needs none of the rest."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cupel.data' has no attribute {name!r}")
