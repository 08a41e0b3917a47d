"""What an executor is given: units of one candidate to be made; and the promise that every executor keeps."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.errors import UsageError
from cupel.core.family import Family
from cupel.core.presets import PARTS
from cupel.core.stopwatch import Stopwatch
from cupel.core.task import Task
from cupel.core.trial import UnitResult

Array = NDArray[Any]
FAULT_OF_A_FAMILY = "leave the family out with --families, and tell who wrote it"
"""What to do where a family itself is at fault."""
INTERRUPTED = "the run was interrupted while it was trained; `cupel resume` goes on with it."


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """Units of one candidate: on these folds, with a share of their training rows.

    `starts` are the weights that each starts from, empty where all start from scratch. Work that gets no further for
    `patience_seconds` is given up. Neither is part of the plain values.
    """

    candidate: Candidate
    family: Family
    folds: tuple[int, ...]
    share: float = 1.0
    starts: tuple[Mapping[str, Array], ...] = ()
    patience_seconds: float = math.inf

    def apart(self) -> list[Assignment]:
        """Each fold as an assignment of its own."""
        starts: Sequence[Any] = [(start,) for start in self.starts] or [()] * len(self.folds)
        return [dataclasses.replace(self, folds=(fold,), starts=own) for fold, own in zip(self.folds, starts, strict=True)]

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for a process elsewhere."""
        candidate = self.candidate
        parts = {part: described(getattr(candidate, part)) for part in PARTS}
        named = {"name": candidate.name, "modality": candidate.modality, "family": candidate.family, "key": candidate.key}
        return {**named, "parts": parts, "folds": self.folds, "share": self.share}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, families: Sequence[Family], task: Task) -> Assignment:
        """What `to_plain` described, where the same families are known.

        Raises:
            UsageError: this family is not.
        """
        family = next((family for family in families if family.name == plain["family"]), None)
        if family is None:
            raise UsageError(f"the family {plain['family']!r} is not known to the worker process; work without one: --workers 0.")
        presets = [*family.portfolio(task), family.space(task).default]
        for preset in presets:
            parts = {part: built(value, like=getattr(preset, part)) for part, value in plain["parts"].items()}
            named = {name: plain[name] for name in ("name", "modality", "family")}
            candidate = Candidate(**named, **parts)
            if candidate.key == plain["key"]:
                return cls(candidate=candidate, family=family, folds=tuple(plain["folds"]), share=plain["share"])
        raise AssertionError(f"{plain['name']} is not itself when it is built again; fields of configs must be plain")


class Executor(Protocol):
    """Makes units: in this process, in one beside it, or on another machine that sees the run folder.

    `stopwatch` is told where the time goes.
    """

    stopwatch: Stopwatch

    def execute(self, assignment: Assignment, *, deadline: Deadline, progress: Callable[[float], None]) -> Sequence[UnitResult]:
        """The units, in the order of the assignment's folds; they are in the run folder too.

        Raises:
            TrainingError: they could not be made; says why.
            InterruptedRunError: they were given up, since the run is to end.
        """
        ...

    def finish(
        self, assignment: Assignment, folder: Path, *, deadline: Deadline, progress: Callable[[float], None]
    ) -> Mapping[str, Any]:
        """Fit the candidate on all rows of a table that is larger than memory; what is made is then in the folder.

        Raises: as `execute`.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def described(value: Any) -> Any:
    """A value as JSON can hold it, with the names of the classes that it is made of.

    Fields that are left out when objects are compared are left out here too.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value) if field.compare}
        return {"of": _name_of(type(value)), "fields": fields}
    if isinstance(value, Enum):
        return {"of": _name_of(type(value)), "value": value.value}
    if isinstance(value, tuple):
        return {"tuple": [described(item) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": {str(name): described(item) for name, item in value.items()}}
    return [described(item) for item in value] if isinstance(value, list) else value


def built(value: Any, *, like: Any = None) -> Any:
    """The value that was described; fields that were left out are those of `like`, an object of the same make.

    Only classes of modules that are loaded already are made: those of the families.
    """
    if isinstance(value, list):
        return [built(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "tuple" in value:
        items = value["tuple"]
        likes = like if isinstance(like, tuple) and len(like) == len(items) else (None,) * len(items)
        return tuple(built(item, like=own) for item, own in zip(items, likes, strict=True))
    if "mapping" in value:
        return {name: built(item) for name, item in value["mapping"].items()}
    kind = _kind_named(value["of"])
    if "value" in value:
        return kind(value["value"])
    is_alike = type(like) is kind
    fields = {name: built(item, like=getattr(like, name) if is_alike else None) for name, item in value["fields"].items()}
    left_out = [field.name for field in dataclasses.fields(kind) if not field.compare] if is_alike else []
    return kind(**fields, **{name: getattr(like, name) for name in left_out})


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _kind_named(name: str) -> Any:
    module, _, path = name.partition(":")
    kind: Any = sys.modules[module]
    for part in path.split("."):
        kind = getattr(kind, part)
    assert dataclasses.is_dataclass(kind) or issubclass(kind, Enum), f"{name} holds no values"
    return kind
