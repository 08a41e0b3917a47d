"""Walks over serialised protocol buffers, field by field, without their library: it is not there where models are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Bounds = tuple[int, int]
Part = tuple[int, int, int, int]
"""Number, value (of integers), and the bounds (of messages) of a field."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(content: bytes, bounds: Bounds | None = None) -> Iterator[Part]:
    """Number, value (of integers), and the bounds (of messages) of each field of the message between these bounds.

    Raises:
        ValueError: the bytes are no message.
    """
    position, end = bounds or (0, len(content))
    while position < end:
        tag, position = _varint(content, position)
        number, wire = tag >> 3, tag & 7
        value = 0
        if wire == _VARINT:
            value, first = _varint(content, position)
            last = first
        elif wire == _BYTES:
            length, first = _varint(content, position)
            last = first + length
        elif wire in (_FIXED64, _FIXED32):
            first = position
            last = first + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(wire)
        if last > end:
            raise ValueError(last)
        yield number, value, first, last
        position = last


def text_of(content: bytes, parts: Iterable[Part], *, wanted: int) -> str:
    """The last text of that number, empty where there is none."""
    found = ""
    for number, _, first, last in parts:
        if number == wanted:
            found = content[first:last].decode()
    return found


def varints(content: bytes, bounds: Bounds) -> list[int]:
    """Integers that are packed between these bounds."""
    values = []
    position, end = bounds
    while position < end:
        value, position = _varint(content, position)
        values.append(value)
    return values


def signed(value: int) -> int:
    """What an integer means where it may be below zero."""
    return value - (1 << 64) if value >> 63 else value


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError(shift)


def head(number: int, n_bytes: int) -> bytes:
    """What stands before so many bytes that are the field of that number."""
    return _written(number << 3 | _BYTES) + _written(n_bytes)


def integer(number: int, value: int) -> bytes:
    """A field of that number with an integer."""
    return _written(number << 3 | _VARINT) + _written(value)


def _written(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
