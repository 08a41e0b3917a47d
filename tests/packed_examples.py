"""A small packed model made by hand: every kind of column, a linear model, and the same in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cupel import packing
from cupel.core.graph import Graph
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind

LEVELS = ("basic", "gold", "3", "Öl & co")
SCHEMA = Schema(
    (
        Column(name="id", kind=ColumnKind.IDENTIFIER),
        Column(name="plan", kind=ColumnKind.CATEGORY, levels=LEVELS),
        Column(name="age", kind=ColumnKind.NUMBER, low=18.0, high=90.0),
        Column(name="paid", kind=ColumnKind.NUMBER, decimal=",", markers=("unknown",), low=0.0, high=1e6),
        Column(name="member", kind=ColumnKind.BOOLEAN, levels=("no", "yes")),
        Column(name="joined", kind=ColumnKind.DATETIME, datetime_format="%d.%m.%Y", low=9.4e8, high=1.7e9),
        Column(name="region", kind=ColumnKind.CATEGORY, levels=("north", "south")),
        Column(name="remark", kind=ColumnKind.TEXT),
        Column(name="answer", kind=ColumnKind.CATEGORY, levels=("stay", "leave", "maybe")),
    ),
    target="answer",
)
NUMBERS, TEXTS = ("age", "paid", "member", "joined"), ("plan", "region")
INPUTS = (GraphInput(name="number", kind="numbers", columns=NUMBERS), GraphInput(name="category", kind="strings", columns=TEXTS))
CENTRE, SPREAD = np.array([45.0, 1000.0, 0.5, 1.3e9]), np.array([20.0, 800.0, 0.5, 2e8])
GOLDEN: dict[str, list[Any]] = {
    "plan": ["basic", "gold", "3", "Öl & co", None, "basic", "never seen", "gold"],
    "age": [20, 35.5, None, 80, 18, 90, 44, 51],
    "paid": [0, 10.25, 1e6, None, 512.0, 77, 1, 2],
    "member": ["yes", "no", None, "yes", "yes", "no", "no", "yes"],
    "joined": ["2001-01-31T00:00:00", "2010-12-01T12:30:00", None, *["2020-02-29T00:00:00"] * 5],
    "region": ["north", "south", None, "south", "north", "north", "south", "north"],
}
RAW: dict[str, list[Any]] = {
    "plan": ["basic", " gold ", "3.0", "Öl & co", "", "platin"],
    "age": ["20", "35.5", "", "1,000", "44", "n/a"],
    "paid": ["1.234,50", "77", "unknown", "0", "0,5", "12"],
    "member": ["yes", "NO", "", "true", "0", "1"],
    "joined": ["31.1.2001", "01.12.2010", "", "2020-02-29", "5.5.2005", "29.02.2004"],
    "region": ["north", "south", "north", "south", "", "north"],
}
"""The same kinds of rows as a file would bring them."""


class Preparation:
    """Fills with the mean, scales; one column per level."""

    def transform(self, dataset: Any, rows: Any) -> Any:
        raise AssertionError("packing reads no data")

    def emit(self, graph: Graph) -> Mapping[str, str]:
        numbers = graph.input("number", np.float64, width=len(NUMBERS))
        texts = graph.input("category", np.str_, width=len(TEXTS))
        filled = graph.op("Where", graph.op("IsNaN", numbers), graph.constant(CENTRE), numbers)
        scaled = graph.op("Div", graph.op("Sub", filled, graph.constant(CENTRE)), graph.constant(SPREAD))
        known = [*LEVELS, "north", "south"]
        codes = graph.op(
            "LabelEncoder",
            texts,
            domain="ai.onnx.ml",
            keys_strings=known,
            values_int64s=list(range(1, len(known) + 1)),
            default_int64=0,
        )
        spread = graph.columns(codes, [0] * 4 + [1] * 2)
        one_hot = graph.op("Equal", spread, graph.constant(np.arange(1, 7)[None]))
        return {"numeric": scaled, "binary": graph.cast(one_hot, np.float64)}


class Linear:
    """`matrix @ coefficients`, softmax of it for classes."""

    def __init__(self, n_outputs: int, seed: int = 0, *, scale: float = 1.0) -> None:
        self.coefficients = np.random.default_rng(seed).normal(size=(10, n_outputs)) * scale

    def predict(self, inputs: Any) -> Any:
        matrix = np.concatenate(list(inputs.values()), axis=1)
        logits = matrix @ self.coefficients
        if logits.shape[1] == 1:
            return logits
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        logits = graph.op("MatMul", graph.concat(list(blocks.values())), graph.constant(self.coefficients))
        return logits if self.coefficients.shape[1] == 1 else graph.op("Softmax", logits, axis=1)


def blocks_of(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """What the preparation makes, in numpy."""
    numbers = np.where(np.isnan(feeds["number"]), CENTRE, feeds["number"])
    texts = feeds["category"]
    one_hot = [texts[:, 0] == level for level in LEVELS] + [texts[:, 1] == level for level in ("north", "south")]
    return {"numeric": (numbers - CENTRE) / SPREAD, "binary": np.stack(one_hot, axis=1).astype(np.float64)}


def golden_feeds() -> dict[str, Any]:
    """The golden rows as graph inputs, decoded by hand."""
    booleans = {"yes": 1.0, "no": 0.0, None: np.nan}
    moments = [np.nan if m is None else (np.datetime64(m) - np.datetime64("1970-01-01T00:00:00")) / np.timedelta64(1, "s")
               for m in GOLDEN["joined"]]  # fmt: skip
    numbers = [
        np.array(GOLDEN["age"], np.float64),
        np.array(GOLDEN["paid"], np.float64),
        np.array([booleans[cell] for cell in GOLDEN["member"]]),
        np.array(moments),
    ]
    texts = np.array([[cell or "" for cell in GOLDEN[name]] for name in TEXTS], dtype=object).T
    return {"number": np.stack(numbers, axis=1), "category": texts}


def unit(n_outputs: int, seed: int = 0, *, scale: float = 1.0) -> tuple[bytes, Any]:
    """A serialised unit model, and what it must predict for the golden rows."""
    model = Linear(n_outputs, seed, scale=scale)
    exported = packing.export_unit(Preparation(), model, INPUTS, n_outputs=n_outputs)
    return exported.SerializeToString(), model.predict(blocks_of(golden_feeds()))


def package(kind: str = "binary", *, classes: tuple[str, ...] | None = None, **changes: Any) -> packing.Package:
    """A package that proves itself; `changes` replace fields."""
    named = {"binary": ("stay", "leave"), "multiclass": ("stay", "leave", "maybe"), "regression": ()}[kind]
    task = Task(kind=TaskKind(kind), target="answer", metric="x", classes=named if classes is None else classes)
    spread = 5000.0 if kind == "regression" else 1.0
    model, expected = unit(task.n_outputs, scale=spread if kind == "regression" else 1.0)
    fields = {
        "model": model,
        "schema": SCHEMA,
        "task": task,
        "inputs": INPUTS,
        "golden": GOLDEN,
        "expected": expected,
        "spread": spread,
        "card": "# A model\n",
        "facts": {"made": "by hand"},
    }
    return packing.Package(**{**fields, **changes})


def packed(folder: Path, kind: str = "binary", **changes: Any) -> Path:
    """A packed model in a folder."""
    path = folder / f"{kind}.cupel"
    packing.pack(path, package(kind, **changes))
    return path
