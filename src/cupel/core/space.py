"""Search spaces, declared on the fields of a config: type, range and default on one line.

@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Range(64, 1024, log=True)] = 384
    activation: Annotated[str, Choice("relu", "gelu")] = "relu"
    momentum: Annotated[float, Range(0.0, 0.99), When("optimizer", "sgd")] = 0.9
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from cupel.core.errors import UsageError


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; uniform, or uniform in the logarithm."""

    low: float
    high: float
    log: bool = False

    def at(self, fraction: float) -> float:
        """The value `fraction` (0 to 1) of the way through the range, which rounding never leads out of it."""
        if self.log:
            return self.nearest(math.exp(math.log(self.low) + fraction * (math.log(self.high) - math.log(self.low))))
        return self.low + fraction * (self.high - self.low)

    def spread(self, resolution: int) -> tuple[float, ...]:
        """So many evenly spaced values, both ends among them; the middle where there is one only."""
        if resolution < 2:
            return (self.at(0.5),)
        return tuple(self.at(step / (resolution - 1)) for step in range(resolution))

    def nearest(self, value: Any) -> float:
        """The value, or the end that it is beyond."""
        return min(max(float(value), self.low), self.high)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, init=False)
class Choice:
    """One of a few options."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)

    def at(self, fraction: float) -> Any:
        """The option `fraction` (0 to 1) of the way through the list."""
        return self.options[min(int(fraction * len(self.options)), len(self.options) - 1)]

    def spread(self, resolution: int) -> tuple[Any, ...]:
        """All options, however many."""
        del resolution
        return self.options

    def nearest(self, value: Any) -> Any:
        """The value where it is an option, of numbers the nearest option, else the first."""
        if value in self.options:
            return value
        numbers = [option for option in self.options if isinstance(option, int | float) and not isinstance(option, bool)]
        return (
            min(numbers, key=lambda option: abs(option - value))
            if numbers and isinstance(value, int | float)
            else self.options[0]
        )

    def __contains__(self, value: object) -> bool:
        return value in self.options


@dataclass(frozen=True, init=False)
class When:
    """A condition: the field matters only while another field has one of these values."""

    field: str
    values: tuple[Any, ...]

    def __init__(self, field: str, *values: Any) -> None:
        object.__setattr__(self, "field", field)
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Dimension:
    """One searchable field of a config."""

    name: str
    kind: type
    domain: Range | Choice
    default: Any
    condition: When | None = None

    def cast(self, value: Any) -> Any:
        """The value in the field's type (a sampled width becomes a whole number)."""
        if isinstance(self.domain, Range):
            return round(value) if self.kind is int else float(value)
        return value


def is_active(dimension: Dimension, values: Mapping[str, Any]) -> bool:
    """Whether the dimension's condition holds among these values."""
    condition = dimension.condition
    return condition is None or values.get(condition.field) in condition.values


def space_of(config: type) -> tuple[Dimension, ...]:
    """The searchable fields of a config dataclass, in order of declaration."""
    if not isinstance(config, type) or not dataclasses.is_dataclass(config):
        raise UsageError(f"a search space is declared on a dataclass; {config!r} is not one.")
    declared: Any = config
    return _declared(declared)


@functools.cache
def _declared(config: Any) -> tuple[Dimension, ...]:
    hints = get_type_hints(config, include_extras=True)
    dimensions = []
    for field in dataclasses.fields(config):
        hint = hints[field.name]
        if get_origin(hint) is None or not hasattr(hint, "__metadata__"):
            continue
        domains = [extra for extra in hint.__metadata__ if isinstance(extra, Range | Choice)]
        conditions = [extra for extra in hint.__metadata__ if isinstance(extra, When)]
        if domains:
            kind = get_args(hint)[0]
            condition = conditions[0] if conditions else None
            dimensions.append(Dimension(field.name, kind, domains[0], field.default, condition))
    return tuple(dimensions)


def sample(config: type, *, seed: int, fixed: Mapping[str, Any] | None = None) -> Any:
    """A config drawn uniformly from its space; fields in `fixed` keep their given values.

    Fields whose condition does not hold keep their defaults, so equal configs compare equal.
    """
    generator = np.random.default_rng(seed)
    values: dict[str, Any] = dict(fixed or {})
    for dimension in space_of(config):
        draw = generator.random()  # drawn for every field, so that fixing one leaves the others as they were
        if dimension.name in values:
            continue
        values[dimension.name] = dimension.cast(dimension.domain.at(draw))
    return config(**_without_inactive(config, values, kept=frozenset(fixed or {})))


def _without_inactive(config: type, values: dict[str, Any], *, kept: frozenset[str]) -> dict[str, Any]:
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for dimension in space_of(config):
        condition = dimension.condition
        if condition is None or dimension.name in kept:
            continue
        if values.get(condition.field, defaults[condition.field]) not in condition.values:
            values[dimension.name] = dimension.default
    return values


def check(config: Any) -> None:
    """Raise unless every field lies within its declared range.

    Raises:
        UsageError: names the field, its value and its range.
    """
    for dimension in space_of(type(config)):
        value = getattr(config, dimension.name)
        if value not in dimension.domain:
            raise UsageError(
                f"{type(config).__qualname__}.{dimension.name} is {value!r}; expected {dimension.domain}. "
                f"Choose a value within it."
            )


def check_kinds(config: Any) -> None:
    """Raise unless every field is of its kind: numbers may lie beyond their declared range, as a user may extend it, not below 0.

    Raises:
        UsageError: names the field, its value and its range.
    """
    for dimension in space_of(type(config)):
        value, domain = getattr(config, dimension.name), dimension.domain
        fits = _is_of_kind(value, domain, dimension.kind) if isinstance(domain, Range) else value in domain
        if not fits:
            raise UsageError(
                f"{type(config).__qualname__}.{dimension.name} is {value!r}; expected {domain}, or a number of its kind beyond. "
                f"Choose such a value."
            )


def _is_of_kind(value: Any, domain: Range, kind: type) -> bool:
    """A finite number, whole where the field is, not below 0, and above it where the range is."""
    is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0 and (value > 0 or domain.low <= 0)
