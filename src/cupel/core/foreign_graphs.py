"""Finds out whether a graph may be opened, wherever it came from, from its bytes alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from cupel.core.messages import fields, signed, text_of, varints

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
REFUSED = frozenset({"If", "Loop", "Scan", "SequenceMap", "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike",
                     "RandomUniform", "RandomUniformLike"})  # fmt: skip
"""What can run for ever or hold graphs of its own, and what gives another answer each time."""
UNHELD = frozenset({"StringConcat", "StringSplit", "StringNormalizer", "TfIdfVectorizer", "CategoryMapper", "ZipMap",
                    "DictVectorizer", "NonZero", "Unique"})  # fmt: skip
"""What takes memory beside that of its tensors, which is what a session is held to: of texts each may be of any length."""
TEXTS = frozenset({"values_strings", "value_string", "value_strings", "classlabels_strings"})
"""Attributes by which a node gives texts."""
TREES = frozenset({"TreeEnsemble", "TreeEnsembleRegressor"})
"""They give numbers, and their lists are too long to be followed here."""
SIZED_BY: Mapping[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Tile": (1,),
}
"""Which inputs say how large an output is that the other inputs do not bound."""
MOST_ELEMENTS = 1 << 28
MOST_PARTS = 1 << 19
"""Nodes, weights, and what these name: a few bytes of a file, and some hundred of memory, each."""
MOST_BYTES_BESIDE = 1 << 20
"""Of a graph's inputs, outputs and remarks."""
MOST_REMARKS = 1000
_MOST_AXES = 16
_FLOAT, _INT64, _STRING = 1, 7, 8
_NUMBERS = frozenset({4, 5, 7, 10, 11})
"""Of a tensor: where they do not stand as they lie in memory, and some writers give each a field."""
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
SPARSE = "it has sparse weights"


class _RefusedError(Exception):
    """Says why, as half a sentence."""


@dataclass(frozen=True, eq=False)
class _Node:
    """A node as far as it is looked at; `integers` are those of its attributes."""

    kind: str
    domain: str
    inputs: list[str]
    outputs: list[str]
    n_parts: int
    gives_texts: bool = False
    integers: list[list[float]] = field(default_factory=list)
    constant: list[float] | None = None


def fault_of(model: bytes) -> str | None:
    """Why a serialised ONNX model is not opened, as half a sentence; None where nothing is wrong with it.

    A graph may not take weights from elsewhere (it could read any file, or any memory, that the process may read), bring
    functions or operators of other domains, loop, draw at random, make texts, hold sparse weights (a few bytes that stand for
    any number of zeros), have more than `MOST_PARTS`, or ask for tensors of more than `MOST_ELEMENTS` by a few constants. What
    it computes the size of while it runs is not bounded here, but by `graph_sessions`.
    """
    if model[4:8] == b"ORTM":
        return "it is no ONNX model"
    try:
        if _has_external_data(model):
            return "it takes weights from outside of itself"
        return _fault_of_model(model)
    except _RefusedError as error:
        return str(error)
    except (IndexError, ValueError, RecursionError):
        return "its bytes cannot be followed"


def n_nodes(model: bytes) -> int:
    """How many nodes a serialised ONNX model has; 0 where its bytes cannot be followed."""
    try:
        graphs = [(first, last) for number, _, first, last in fields(model) if number == 7]
        return sum(number == 1 for graph in graphs for number, _, _, _ in fields(model, graph))
    except (IndexError, ValueError):
        return 0


def _fault_of_model(model: bytes) -> str | None:
    parts = list(fields(model))
    if any(number in (20, 25) for number, _, _, _ in parts):
        return "it brings functions of its own, or how to train it"
    if len(parts) > MOST_REMARKS:
        return f"it has more than {MOST_REMARKS:,} remarks"
    for number, _, first, last in parts:
        if number == 8 and (domain := text_of(model, fields(model, (first, last)), wanted=1)) not in DOMAINS:
            return f"it needs operators of {domain[:60]!r}"
    for number, _, first, last in parts:
        if number == 7 and (fault := _fault_of_graph(model, first, last)):
            return fault
    return None


def _fault_of_graph(model: bytes, start: int, end: int) -> str | None:
    sizes: dict[str, list[float]] = {}
    nodes = []
    n_parts = n_bytes_beside = 0
    for number, _, first, last in fields(model, (start, end)):
        n_parts += 1
        if number == 1:
            nodes.append(_node(model, first, last))
            n_parts += nodes[-1].n_parts
        elif number == 5:
            name, values = _small_tensor(model, first, last)
            sizes[name] = values
        elif number == 15:
            return SPARSE
        else:
            n_bytes_beside += last - first
        if n_parts > MOST_PARTS or n_bytes_beside > MOST_BYTES_BESIDE:
            return f"it has more than {MOST_PARTS:,} parts, or {MOST_BYTES_BESIDE:,} bytes beside them"
    sizes |= {node.outputs[0]: node.constant for node in nodes if node.constant is not None and node.outputs}
    return next((fault for node in nodes if (fault := _fault_of_node(node, sizes))), None)


def _fault_of_node(node: _Node, sizes: Mapping[str, list[float]]) -> str | None:
    if node.domain not in DOMAINS:
        return f"it has an operator of {node.domain[:60]!r}"
    if node.kind in REFUSED or node.kind in UNHELD:
        return f"it has the operator {node.kind}"
    if node.gives_texts:
        return f"its operator {node.kind[:60]} makes texts"
    asked = [sizes.get(node.inputs[place], []) for place in SIZED_BY.get(node.kind, ()) if place < len(node.inputs)]
    if any(_extent(values) > MOST_ELEMENTS for values in [*node.integers, *asked]):
        return f"its operator {node.kind[:60]} asks for more than {MOST_ELEMENTS:,} elements"
    return None


def _extent(values: Iterable[float]) -> float:
    """The product of all that is more than 1, whatever the sign; infinite where a value is no number."""
    product = math.prod(max(abs(float(value)), 1.0) for value in values)
    return product if product == product else math.inf


def _node(model: bytes, start: int, end: int) -> _Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 4: [], 7: []}
    attributes = []
    for number, _, first, last in fields(model, (start, end)):
        if number in texts:
            texts[number].append(model[first:last].decode())
        elif number == 5:
            attributes.append((first, last))
    kind, domain = "".join(texts[4][-1:]), "".join(texts[7][-1:])
    n_parts = len(attributes) + sum(map(len, texts.values()))
    if domain == "ai.onnx.ml" and kind in TREES:
        return _Node(kind, domain, texts[1], texts[2], n_parts)
    read = [_attribute(model, *bounds) for bounds in attributes]
    gives_texts = any(each.name in TEXTS for each in read) or (kind == "Cast" and any(each.value == _STRING for each in read))
    if domain == "ai.onnx.ml":  # tables of numbers and texts, none of which is a size
        return _Node(kind, domain, texts[1], texts[2], n_parts, gives_texts)
    constant = next((each.tensor for each in read if each.tensor is not None), None) if kind == "Constant" else None
    return _Node(kind, domain, texts[1], texts[2], n_parts, gives_texts, [each.integers for each in read], constant)


@dataclass(frozen=True, eq=False)
class _Attribute:
    """Its integer, its list of such, and the values of its tensor, where it has a small one."""

    name: str
    value: int
    integers: list[float]
    tensor: list[float] | None


def _attribute(model: bytes, start: int, end: int) -> _Attribute:
    name, single = "", 0
    integers: list[int] = []
    values = None
    for number, value, first, last in fields(model, (start, end)):
        if number == 1:
            name = model[first:last].decode()
        elif number == 3:
            single = value
        elif number == 8:
            integers += [value] if first == last else varints(model, (first, last))
        elif number == 5:
            values = _small_tensor(model, first, last)[1]
        elif number in (6, 10, 11):
            raise _RefusedError("it has graphs, or lists of weights, within a node")
        elif number in (22, 23):
            raise _RefusedError(SPARSE)
    return _Attribute(name, single, [float(signed(value)) for value in integers], values)


def _small_tensor(model: bytes, start: int, end: int) -> tuple[str, list[float]]:
    """The name of a tensor, and its values where they are few and could be a size.

    Raises:
        _RefusedError: it is of texts, or of more parts than a tensor has.
    """
    name, kind, raw = "", 0, b""
    stated: list[float] = []
    n_beside = 0
    for number, value, first, last in fields(model, (start, end)):
        n_beside += number not in _NUMBERS
        if n_beside > MOST_REMARKS:
            raise _RefusedError(f"a weight of it has more than {MOST_REMARKS:,} remarks")
        if number == 6 or (number == 2 and value == _STRING):
            raise _RefusedError("it has texts as weights")
        if number == 2:
            kind = value
        elif number == 8:
            name = model[first:last].decode()
        elif number == 9 and last - first <= 8 * _MOST_AXES:
            raw = model[first:last]
        elif number == 7 and last - first <= 10 * _MOST_AXES:
            stated += [float(signed(each)) for each in ([value] if first == last else varints(model, (first, last)))]
        elif number == 4 and last - first <= 4 * _MOST_AXES:
            stated += np.frombuffer(model[first:last], "<f4").astype(np.float64).tolist()
    if kind not in (_FLOAT, _INT64):
        return name, []
    return name, stated or np.frombuffer(raw, "<f4" if kind == _FLOAT else "<i8").astype(np.float64).tolist()


def _has_external_data(model: bytes) -> bool:
    """Whether a tensor, wherever it stands, names a file or an address.

    Raises:
        ValueError, IndexError: the bytes cannot be followed.
    """
    if b"location" not in model:  # the key without which there is none; the walk below takes long for large trees
        return False
    waiting = [("model", 0, len(model))]
    while waiting:
        kind, start, end = waiting.pop()
        parts = _PARTS[kind]
        found = [part for part in fields(model, (start, end)) if part[0] in parts]
        if kind == "tensor" and any(number == _EXTERNAL_DATA or value for number, value, _, _ in found):
            return True
        waiting += [(parts[number], first, last) for number, _, first, last in found if kind != "tensor"]
    return False
