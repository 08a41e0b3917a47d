"""Dataclasses from plain values, as YAML or JSON bring them back, with nothing made that the types do not say."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from cupel.core.errors import DataError

Kind = TypeVar("Kind")


def restored(kind: type[Kind], plain: Any, *, what: str, like: Kind | None = None) -> Kind:
    """An object of a dataclass from what `plain` (of `core.candidate`) made of it; `what` it is, for messages.

    Fields that are not given keep their defaults. `like` is an object of the same make: it says what stands in fields whose type
    says nothing, and has what `plain` leaves out, as it is left out when objects are compared.

    Raises:
        DataError: a field is unknown, missing or of another type; names it.
    """
    made: Kind = _of_dataclass(kind, plain, what, like=like)
    return made


def _of_dataclass(kind: Any, plain: Any, what: str, *, like: Any = None) -> Any:
    if not isinstance(plain, Mapping):
        raise DataError(f"{what} is {_shown(plain)}; expected a mapping with the fields of {kind.__name__}.")
    hints = _hints_of(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = [name for name in plain if name not in fields]
    if unknown:
        raise DataError(f"{what} has a field {_shown(unknown[0])}, which is unknown; there are {', '.join(fields)}.")
    taken = {name: getattr(like, name) for name, field in fields.items() if like is not None and not field.compare}
    needed = [name for name, field in fields.items() if _is_needed(field) and name not in (*plain, *taken)]
    if needed:
        raise DataError(f"{what} lacks the field {needed[0]!r}; it was written by another version, or is damaged.")
    given = {
        name: _of_hint(hints[name], value, f"{what}: {name}", like=getattr(like, name, None)) for name, value in plain.items()
    }
    return kind(**taken, **given)


@functools.cache
def _hints_of(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _of_hint(hint: Any, plain: Any, what: str, *, like: Any = None) -> Any:
    """The value as the type hint says, or, where it says nothing, as `like` is."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        is_object = dataclasses.is_dataclass(like) and not isinstance(like, type)
        return _of_dataclass(type(like), plain, what, like=like) if is_object else plain
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(arguments, plain, what, like=like)
    if origin is typing.Literal:
        return _demanded(plain, plain in arguments, what, "one of " + ", ".join(map(repr, arguments)))
    if origin is tuple:
        return _of_tuple(arguments, plain, what, like=like)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {
            _of_hint(arguments[0], name, what): _of_hint(arguments[1], value, f"{what}: {_shown(name)}")
            for name, value in _demanded(plain, isinstance(plain, Mapping), what, "a mapping").items()
        }
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _of_dataclass(hint, plain, what, like=like if isinstance(like, hint) else None)
    return _of_simple(hint, plain, what)


def _of_simple(hint: Any, plain: Any, what: str) -> Any:
    if hint is type(None):
        return _demanded(plain, plain is None, what, "nothing")
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(plain)
        except ValueError as error:
            raise DataError(f"{what} is {_shown(plain)}; choose {', '.join(str(each.value) for each in hint)}.") from error
    expected = (int, float) if hint is float else (hint,)
    is_so = isinstance(plain, expected) and (hint is bool or not isinstance(plain, bool))
    return _demanded(plain, is_so, what, f"{hint.__name__}")


def _of_tuple(arguments: tuple[Any, ...], plain: Any, what: str, *, like: Any) -> tuple[Any, ...]:
    values = _demanded(plain, isinstance(plain, list | tuple), what, "a list")
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(values)
    _demanded(plain, len(values) == len(arguments), what, f"a list of {len(arguments)}")
    if like and Any in arguments:
        _demanded(plain, len(values) == len(like), what, f"a list of {len(like)}")
    alike = like if isinstance(like, tuple) and len(like) == len(values) else (None,) * len(values)
    return tuple(
        _of_hint(argument, value, what, like=each) for argument, value, each in zip(arguments, values, alike, strict=True)
    )


def _first_that_fits(hints: tuple[Any, ...], plain: Any, what: str, *, like: Any) -> Any:
    faults = []
    for hint in hints:
        try:
            return _of_hint(hint, plain, what, like=like)
        except DataError as error:
            faults.append(error)
    raise faults[0]


def _demanded(plain: Any, is_so: bool, what: str, expected: str) -> Any:
    if not is_so:
        raise DataError(f"{what} is {_shown(plain)}; expected {expected}.")
    return plain


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
