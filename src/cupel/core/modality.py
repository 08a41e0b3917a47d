"""The promise that every kind of input keeps: one object that hands over all that is special about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cupel.core.dataset import Dataset
from cupel.core.family import Family
from cupel.core.schema import Schema


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """One input of a packed graph: which columns, decoded how.

    `kind` "numbers": double tensor (rows, columns), NaN is missing. `kind` "strings": string tensor
    (rows, columns) of canonical category spellings, the empty string is missing.
    """

    name: str
    kind: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of data: how it is recognised, what a packed model of it reads, and which families serve it.

    `recognises(schema)` is how well it fits, 0 (not at all) to 1. `families()` imports the models on first use, so that
    looking at data needs no training library. `graph_inputs(schema)` declares what `Preparation.emit` may read.
    """

    name: str
    recognises: Callable[[Schema], float]
    families: Callable[[], Sequence[Family]]
    graph_inputs: Callable[[Schema], Sequence[GraphInput]]
    unusable: Callable[[Dataset], str | None]
