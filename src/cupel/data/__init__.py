"""Reads tables, types their columns, judges their quality and splits them honestly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cupel.data.files import read_columns, read_table
    from cupel.data.known_rows import places_in, row_hashes, seen_before
    from cupel.data.profiling import profile
    from cupel.data.quality import judge_quality
    from cupel.data.reading import read
    from cupel.data.splitting import split

__all__ = [
    "judge_quality",
    "places_in",
    "profile",
    "read",
    "read_columns",
    "read_table",
    "row_hashes",
    "seen_before",
    "split",
]

_HOMES = {
    "judge_quality": "cupel.data.quality",
    "places_in": "cupel.data.known_rows",
    "profile": "cupel.data.profiling",
    "read": "cupel.data.reading",
    "read_columns": "cupel.data.files",
    "read_table": "cupel.data.files",
    "row_hashes": "cupel.data.known_rows",
    "seen_before": "cupel.data.known_rows",
    "split": "cupel.data.splitting",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use: the runtime reads tables, and needs none of the rest."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cupel.data' has no attribute {name!r}")
