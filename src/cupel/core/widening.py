"""Brings constants of a graph from half precision to single precision before it is opened, so that no call has to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cupel.core.messages import Bounds, fields, head, integer, text_of, varints

HOLDING_GRAPHS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""They may read what stands around them, which is not looked for here."""
MOST_AXES, BYTES_OF_A_SIZE = 8, 10
FLOAT, FLOAT16 = 1, 10
_GRAPH = 7
_NODE, _TENSOR = 1, 5
_DECLARED = (11, 12)
"""Inputs and outputs."""
_READ, _GIVEN, _KIND, _ATTRIBUTE, _DOMAIN = 1, 2, 4, 5, 7
_DIMENSION, _TYPE, _NAME, _NUMBERS = 1, 2, 8, 9
_NAME_OF_ATTRIBUTE, _INTEGER = 1, 3
_NAME_OF_DECLARED = 1


Field = tuple[int, int, int, int]
"""Its number, where it begins, and the bounds of what it holds."""


@dataclass(frozen=True, eq=False)
class _Half:
    """A constant in half precision: where it begins, its dimensions as they are written, its numbers."""

    begin: int
    dimensions: bytes
    numbers: memoryview


@dataclass(frozen=True, eq=False)
class _Node:
    """A node; `casts` where it brings the one thing that it reads to single precision."""

    begin: int
    kind: str
    read: list[str]
    given: list[str]
    casts: bool


def widened(model: bytes) -> bytes:
    """A serialised ONNX model whose constants in half precision are cast already, where that is all that happens to them.

    It is larger by no more than their bytes, and some for each. What cannot be followed is left as it is, for others to refuse.
    ONNX Runtime folds such casts too, but not every version does whatever it was told about how much it may fold.
    """
    try:
        graphs = [field for field in _fields(model, (0, len(model))) if field[0] == _GRAPH]
        if len(graphs) != 1:
            return model
        _, begin, first, last = graphs[0]
        parts = _widened(model, list(_fields(model, (first, last))))
    except (IndexError, ValueError):
        return model
    before, after = memoryview(model)[:begin], memoryview(model)[last:]
    return b"".join([before, head(_GRAPH, sum(map(len, parts))), *parts, after]) if parts else model


def _widened(model: bytes, graph: Sequence[Field]) -> list[bytes | memoryview]:
    """The bytes of the graph with these fields, in parts; none where there is nothing to do."""
    halves = _halves(model, graph)
    nodes = [_node(model, field) for field in graph if field[0] == _NODE] if halves else []
    if any(node.kind in HOLDING_GRAPHS for node in nodes):
        return []
    declared = {
        text_of(model, fields(model, (first, last)), wanted=_NAME_OF_DECLARED) for n, _, first, last in graph if n in _DECLARED
    }
    n_readers = Counter(name for node in nodes for name in node.read)
    replaced: dict[int, bytes] = {}
    for node in nodes:
        half = halves.get(node.read[0]) if node.casts else None
        if half is not None and n_readers[node.read[0]] == 1 and declared.isdisjoint([*node.read, *node.given]):
            replaced |= {node.begin: b"", half.begin: _wide(half, node.given[0])}
    whole = memoryview(model)
    return [replaced.get(begin, whole[begin:last]) for _, begin, _, last in graph] if replaced else []


def _wide(half: _Half, name: str) -> bytes:
    """The same constant in single precision, under this name, as a field of a graph."""
    numbers = np.frombuffer(half.numbers, "<f2").astype("<f4").tobytes()
    named = head(_NAME, len(name.encode())) + name.encode()
    before = half.dimensions + bytes([_TYPE << 3, FLOAT]) + named + head(_NUMBERS, len(numbers))
    return head(_TENSOR, len(before) + len(numbers)) + before + numbers


def _halves(model: bytes, graph: Sequence[Field]) -> Mapping[str, _Half]:
    """Constants in half precision by name; where several constants have one name, none of them."""
    halves: dict[str, _Half | None] = {}
    for number, begin, first, last in graph:
        if number == _TENSOR:
            name, half = _half(model, begin, bounds=(first, last))
            halves[name] = half if name not in halves else None
    return {name: half for name, half in halves.items() if half is not None}


def _half(model: bytes, begin: int, *, bounds: Bounds) -> tuple[str, _Half | None]:
    """A constant's name; no constant where it is of another type, or its numbers do not stand as they lie in memory.

    Nothing is kept of what is not looked for: some writers give each number a field.
    """
    name, kind, is_plain = "", 0, True
    numbers: Bounds | None = None
    sizes: list[int] = []
    for number, value, first, last in fields(model, bounds):
        if number == _DIMENSION and is_plain:
            is_plain = len(sizes) < MOST_AXES and last - first <= MOST_AXES * BYTES_OF_A_SIZE
            sizes += ([value] if first == last else varints(model, (first, last))) if is_plain else []
        elif number == _TYPE:
            kind = value
        elif number == _NAME:
            name = model[first:last].decode()
        elif number == _NUMBERS:
            numbers = first, last
        else:
            is_plain = False
    if not is_plain or kind != FLOAT16 or numbers is None:
        return name, None
    dimensions = b"".join(integer(_DIMENSION, size) for size in sizes)
    return name, _Half(begin, dimensions, memoryview(model)[slice(*numbers)])


def _node(model: bytes, node: Field) -> _Node:
    texts: dict[int, list[str]] = {_READ: [], _GIVEN: [], _KIND: [], _DOMAIN: []}
    attributes = []
    for number, _, first, last in fields(model, node[2:]):
        if number in texts:
            texts[number].append(model[first:last].decode())
        elif number == _ATTRIBUTE:
            attributes.append((first, last))
    read, given, kind = texts[_READ], texts[_GIVEN], "".join(texts[_KIND][-1:])
    casts = kind == "Cast" and not any(texts[_DOMAIN]) and len(read) == len(given) == len(attributes) == 1
    return _Node(node[1], kind, read, given, casts and _is_single_precision(model, attributes[0]))


def _is_single_precision(model: bytes, attribute: Bounds) -> bool:
    to = 0
    for number, value, _, _ in fields(model, attribute):
        to = value if number == _INTEGER else to
    return to == FLOAT and text_of(model, fields(model, attribute), wanted=_NAME_OF_ATTRIBUTE) == "to"


def _fields(model: bytes, bounds: Bounds) -> Iterator[Field]:
    begin = bounds[0]
    for number, _, first, last in fields(model, bounds):
        yield number, begin, first, last
        begin = last
