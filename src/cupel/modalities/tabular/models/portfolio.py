"""What was learned about where to begin: configurations that earned their place on the development tables, in order.

The order and the configurations are data, `portfolio.json`, made by `benchmarks/portfolio.py`; how it was done and what it
gives on tables that it was not learned from stands in `docs/decisions/0012-portfolio.md`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from cupel.core.presets import PARTS, Preset
from cupel.core.task import Task

Entry = Mapping[str, Any]


def presets(family: str, default: Preset, *, task: Task) -> tuple[Preset, ...]:
    """The family's learned presets with their places over all families; the default without one where it earned none."""
    found = tuple(
        replace(preset_of(entry, default), place=place)
        for place, entry in enumerate(_entries(kind_of(task)))
        if entry["family"] == family
    )
    return found or (default,)


def preset_of(entry: Entry, default: Preset) -> Preset:
    """The default with an entry's changes: per part of a preset, the fields that differ."""
    changed = {part: replace(getattr(default, part), **entry[part]) for part in PARTS if entry.get(part)}
    return replace(default, **changed)


def kind_of(task: Task) -> str:
    """Which of the two lists is meant."""
    return "classification" if task.form.has_probabilities else "regression"


@functools.cache
def _entries(kind: str) -> Sequence[Entry]:
    text = files("cupel.modalities.tabular.models").joinpath("portfolio.json").read_text()
    entries: Sequence[Entry] = json.loads(text)[kind]
    return entries
