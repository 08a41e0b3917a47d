"""A candidate: preparation, family, config and recipe together; frozen, hashable, printable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from cupel.core.recipe import Recipe


def plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and what is numpy's as dictionaries, strings, lists and numbers, ready for JSON or YAML.

    Fields of a dataclass that are left out when it is compared are left out here too: they do not say what it is.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.compare}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, str):
        return str(value)  # an enum member's value
    return value


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One thing to try. `name` is for people, unique within a run; `key` identifies what is trained."""

    name: str
    modality: str
    family: str
    config: Any
    preparation: Any
    recipe: Recipe | None = None

    @property
    def key(self) -> str:
        """sha256 over all that decides the result, the name left out; 16 hexadecimal digits."""
        content = {name: item for name, item in self.to_plain().items() if name != "name"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        described: dict[str, Any] = plain(self)
        return described
