"""Finds out whether a graph takes weights from outside of itself, from its bytes alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
# Which fields of which message hold which messages: all ways by which a tensor can be part of a model (onnx.proto, IR 13).
_PARTS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {_EXTERNAL_DATA: "", _DATA_LOCATION: ""},
}


def has_external_data(model: bytes) -> bool:
    """Whether a tensor of a serialised ONNX model names a file or an address; also where the bytes cannot be followed.

    Such a model could read any file, or any memory, that the process may read.
    """
    if b"location" not in model:  # the key without which there is none; the walk below takes long for large trees
        return False
    waiting = [("model", 0, len(model))]
    while waiting:
        kind, start, end = waiting.pop()
        parts = _PARTS[kind]
        try:
            found = [part for part in _fields(model, start, end) if part[0] in parts]
        except (IndexError, ValueError):
            return True
        if kind == "tensor" and any(field == _EXTERNAL_DATA or value for field, value, _, _ in found):
            return True
        waiting += [(parts[field], first, last) for field, _, first, last in found if kind != "tensor"]
    return False


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, value (of integers), and the bounds (of messages) of each field.

    Raises:
        ValueError: the bytes are no message.
    """
    position = start
    while position < end:
        tag, position = _varint(content, position)
        field, wire = tag >> 3, tag & 7
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
        yield field, value, first, last
        position = last


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
