"""What a user writes to narrow, fix or extend a range, read into a domain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from cupel.core.candidate import plain
from cupel.core.errors import UsageError
from cupel.core.space import Choice, Dimension, Range

RATES = frozenset({"learning_rate", "shrinkage"})
"""At 0 nothing is learned."""
SHAPES = "a value (0.1), two numbers ([0.1, 0.5]), options ([relu, gelu]), {low: …, high: …, log: true} or {options: […]}"


def wished_domain(dimension: Dimension, wish: Any) -> Range | Choice:
    """The domain that a wish describes, checked against what the dimension holds.

    Raises:
        UsageError: the wish cannot be read, or its values are of another kind.
    """
    domain = _read(dimension, plain(wish))
    known, lowest = min(_numbers_of(dimension.domain), default=-math.inf), min(_numbers_of(domain), default=math.inf)
    least = 1 if dimension.kind is int and known > 0 else 0  # there is no network of no width, but training without decay
    if (known >= 0 and lowest < least) or (dimension.name in RATES and lowest <= 0):
        expected = "a number above 0" if dimension.name in RATES else f"a number of {least} or more"
        raise UsageError(f"{lowest!r} is no value for {dimension.name!r}; expected {expected}.")
    return domain


def _read(dimension: Dimension, wish: Any) -> Range | Choice:
    name = dimension.name
    if isinstance(wish, Mapping):
        return _of_mapping(name, wish, dimension)
    if isinstance(wish, list | tuple):
        if isinstance(dimension.domain, Range) and len(wish) == 2:
            return _range(dimension, *wish, log=dimension.domain.log)
        if len(wish) == 2 and _is_numeric(dimension.domain) and all(_is_number(bound) for bound in wish):
            return _options(name, _between(dimension.domain, *sorted(wish)) or wish, dimension)
        return _options(name, wish, dimension)
    return _options(name, [wish], dimension)


def _of_mapping(name: str, wish: Mapping[str, Any], dimension: Dimension) -> Range | Choice:
    if set(wish) == {"options"} and isinstance(wish["options"], list | tuple):
        return _options(name, wish["options"], dimension)
    if not isinstance(dimension.domain, Range) or not set(wish) <= {"low", "high", "log"} or not wish:
        raise _unreadable(name, wish)
    declared = dimension.domain
    low, high = wish.get("low", declared.low), wish.get("high", declared.high)
    return _range(dimension, low, high, log=bool(wish.get("log", declared.log)))


def _range(dimension: Dimension, low: Any, high: Any, *, log: bool) -> Range:
    numbers = _is_number(low) and _is_number(high)
    if not numbers or low > high or (log and low <= 0):
        raise UsageError(
            f"the range {low!r} to {high!r} for {dimension.name!r} cannot be searched; expected two numbers, the smaller first"
            f"{', both above 0' if log else ''}."
        )
    _demand_its_kind(dimension, (low, high))
    return Range(low, high, log=log)


def _options(name: str, options: Any, dimension: Dimension) -> Choice:
    if not options:
        raise _unreadable(name, options)
    known = dimension.domain
    for option in options:
        fits = _is_number(option) if _is_numeric(known) else option in known
        if not fits:
            expected = "a number" if _is_numeric(known) else f"one of {', '.join(map(str, known.spread(0)))}"
            raise UsageError(f"{option!r} is no value for {name!r}; expected {expected}.")
    if _is_numeric(known):
        _demand_its_kind(dimension, options)
    return Choice(*[dimension.cast(option) if isinstance(known, Range) else option for option in options])


def _demand_its_kind(dimension: Dimension, numbers: Iterable[float]) -> None:
    """Refuse what a search would round to something else than was wished, or cannot reach."""
    is_whole = dimension.kind is int
    for number in numbers:
        if not math.isfinite(number) or (is_whole and number != round(number)):
            expected = "a whole number" if is_whole else "a finite number"
            raise UsageError(f"{number!r} is no value for {dimension.name!r}; expected {expected}.")


def _numbers_of(domain: Range | Choice) -> list[float]:
    return [value for value in domain.spread(2) if _is_number(value)]


def _is_numeric(domain: Range | Choice) -> bool:
    return isinstance(domain, Range) or all(_is_number(option) for option in domain.options)


def _between(domain: Range | Choice, low: float, high: float) -> list[Any]:
    return [option for option in domain.spread(0) if low <= option <= high]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unreadable(name: str, wish: Any) -> UsageError:
    return UsageError(f"the wish {wish!r} for {name!r} cannot be read; expected {SHAPES}.")
