"""What an executor is given: units of one candidate to be made; and the promise that every executor keeps."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Protocol, Union, get_args, get_origin, get_type_hints

from numpy.typing import NDArray

from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.family import Family
from cupel.core.recipe import Recipe
from cupel.core.stopwatch import Stopwatch
from cupel.core.task import Task
from cupel.core.trial import UnitResult

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """Units of one candidate: on these folds, with a share of their training rows.

    `starts` are the weights that each starts from, empty where all start from scratch; they are no part of the plain values.
    """

    candidate: Candidate
    family: Family
    folds: tuple[int, ...]
    share: float = 1.0
    starts: tuple[Mapping[str, Array], ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for a process elsewhere."""
        return {"candidate": self.candidate.to_plain(), "key": self.candidate.key, "folds": self.folds, "share": self.share}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, task: Task, others: Sequence[Family] = ()) -> Assignment:
        """What `to_plain` described, built of the classes of the family: an installed one, or one of `others`.

        Raises:
            UsageError: the modality or family is not installed here.
        """
        described = plain["candidate"]
        modality = registry.modality_named(described["modality"])
        family = registry.family_named(modality, described["family"], others=tuple(others))
        kinds = {type(preset.preparation) for preset in [*family.portfolio(task), family.space(task).default]}
        config = rebuilt(family.config, described["config"])
        recipe = None if described["recipe"] is None else rebuilt(Recipe, described["recipe"])
        for kind in sorted(kinds, key=lambda kind: kind.__qualname__):
            if {field.name for field in dataclasses.fields(kind)} != set(described["preparation"]):
                continue
            preparation = rebuilt(kind, described["preparation"])
            candidate = Candidate(**{**described, "config": config, "recipe": recipe, "preparation": preparation})
            if candidate.key == plain["key"]:
                return cls(candidate=candidate, family=family, folds=tuple(plain["folds"]), share=plain["share"])
        raise AssertionError(f"{described['name']} is not itself when it is built again; fields of configs must be plain")


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

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def rebuilt(kind: Any, value: Any) -> Any:
    """A value as a field of this type holds it, from what `plain` made of it: dataclasses, tuples and enums again."""
    origin = get_origin(kind)
    if origin is Annotated:
        return rebuilt(get_args(kind)[0], value)
    if value is None:
        return None
    if origin in (Union, types.UnionType):
        return rebuilt(next(part for part in get_args(kind) if part is not type(None)), value)
    if origin is tuple and isinstance(value, list):
        parts = get_args(kind)
        repeated = len(parts) == 2 and parts[1] is ...
        return tuple(rebuilt(parts[0] if repeated else parts[place], item) for place, item in enumerate(value))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        made: Any = kind
        hints = get_type_hints(kind, include_extras=True)
        return made(**{name: rebuilt(hints[name], item) for name, item in value.items()})
    return value
