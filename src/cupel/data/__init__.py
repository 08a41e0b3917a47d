"""Reads tables, types their columns, judges their quality and splits them honestly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cupel.data.about_files import TAKEN, file_facts, folder_of
    from cupel.data.databases import to_be_kept
    from cupel.data.dealing import joined
    from cupel.data.facts import facts_of
    from cupel.data.files import read_columns, read_table
    from cupel.data.fixes import FixPlan, data_key, mended, part_of_plan, plain_plan
    from cupel.data.gate import Fact, find_shift
    from cupel.data.known_rows import places_in, row_hashes, seen_before
    from cupel.data.profiling import profile
    from cupel.data.quality import judge_quality
    from cupel.data.reading import Said, read
    from cupel.data.rehearsal import remembered
    from cupel.data.sentinel import copies_finding, near_copies
    from cupel.data.shuffling import shuffled
    from cupel.data.splitting import FEW_UNITS_CODE, TENTH, check_folds, few_units, split

__all__ = [
    "FEW_UNITS_CODE",
    "TAKEN",
    "TENTH",
    "Fact",
    "FixPlan",
    "Said",
    "check_folds",
    "copies_finding",
    "data_key",
    "facts_of",
    "few_units",
    "file_facts",
    "find_shift",
    "folder_of",
    "joined",
    "judge_quality",
    "mended",
    "near_copies",
    "part_of_plan",
    "places_in",
    "plain_plan",
    "profile",
    "read",
    "read_columns",
    "read_table",
    "remembered",
    "row_hashes",
    "seen_before",
    "shuffled",
    "split",
    "to_be_kept",
]

_HOMES = {
    "Fact": "cupel.data.gate",
    "TAKEN": "cupel.data.about_files",
    "FEW_UNITS_CODE": "cupel.data.splitting",
    "TENTH": "cupel.data.splitting",
    "FixPlan": "cupel.data.fixes",
    "check_folds": "cupel.data.splitting",
    "copies_finding": "cupel.data.sentinel",
    "data_key": "cupel.data.fixes",
    "facts_of": "cupel.data.facts",
    "few_units": "cupel.data.splitting",
    "file_facts": "cupel.data.about_files",
    "find_shift": "cupel.data.gate",
    "folder_of": "cupel.data.about_files",
    "joined": "cupel.data.dealing",
    "judge_quality": "cupel.data.quality",
    "places_in": "cupel.data.known_rows",
    "mended": "cupel.data.fixes",
    "near_copies": "cupel.data.sentinel",
    "part_of_plan": "cupel.data.fixes",
    "plain_plan": "cupel.data.fixes",
    "profile": "cupel.data.profiling",
    "Said": "cupel.data.reading",
    "read": "cupel.data.reading",
    "read_columns": "cupel.data.files",
    "read_table": "cupel.data.files",
    "remembered": "cupel.data.rehearsal",
    "row_hashes": "cupel.data.known_rows",
    "seen_before": "cupel.data.known_rows",
    "shuffled": "cupel.data.shuffling",
    "split": "cupel.data.splitting",
    "to_be_kept": "cupel.data.databases",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use: the runtime reads tables, and needs none of the rest."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cupel.data' has no attribute {name!r}")
