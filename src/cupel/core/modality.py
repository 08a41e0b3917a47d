"""The promise that every kind of input keeps: one object that hands over all that is special about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.family import Family
from cupel.core.finding import Finding
from cupel.core.masks import Masks
from cupel.core.picture_levels import Scale
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import TaskKind

if TYPE_CHECKING:
    from cupel.core.weights import Weights  # the runtime opens no weights

Array = NDArray[Any]
INPUT_KINDS = ("numbers", "strings", "pixels")
"""What a packed graph can read; `GraphInput` says what each is."""


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """One input of a packed graph: which columns, decoded how.

    `kind` "numbers": double tensor (rows, columns), NaN is missing. `kind` "strings": string tensor
    (rows, columns) of canonical category spellings, the empty string is missing. `kind` "pixels": uint8 tensor
    (rows, height, width, channels) of one column; all pictures of one call have one size.
    """

    name: str
    kind: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What a source that is no table holds: raw columns of equal length; `target` is the one to predict, where that is plain.

    `has_classes` where the target holds names of classes even if they look like numbers: names of folders, texts in an array.
    `scales` says of columns of pictures what the numbers meant in the arrays that they were made of.
    """

    columns: Mapping[str, Array]
    target: str | None
    folder: Path
    has_classes: bool = False
    findings: tuple[Finding, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadColumn:
    """A column of the reader's kind, decoded as `Dataset.columns` holds it, and what was amiss.

    `names` are the files that its cells came from, None where a cell came from none; no array where no cell did.
    """

    column: Column
    values: Array
    findings: tuple[Finding, ...] = ()
    names: Array | None = None


class Reader(Protocol):
    """Reads what tables cannot hold: sources of its own, and columns whose cells are files, bytes or arrays."""

    @property
    def kind(self) -> ColumnKind:
        """What its columns hold."""
        ...

    def opens(self, source: Any) -> bool:
        """Whether it is the one to read this source."""
        ...

    def table(self, source: Any) -> Source:
        """Raw columns of a source that it opens."""
        ...

    def claims(self, cells: Array, *, folder: Path) -> bool:
        """Whether raw cells are of its kind; paths among them are relative to `folder`."""
        ...

    def decode(self, name: str, cells: Array, *, folder: Path, progress: Callable[[float], None]) -> ReadColumn:
        """Decode the cells of one column; what cannot be read is missing, and found."""
        ...

    def masks(self, cells: Array, *, folder: Path, progress: Callable[[float], None]) -> Masks:
        """The cells of a target column that it claims, as a class for every pixel; a reader of anything else refuses.

        Raises:
            DataError: they are no masks.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """What a modality sees in its own columns before anything is trained.

    A finding here stands in the place of those of the same code that hold for every table. `twins` has a number for each
    row: rows of one number are so alike that none may judge a model that has seen another. `facts` are (what, words), for
    people. `measures` are numbers for each row that say what its cells are like, by name, NaN where there is nothing to measure:
    by them rows can be compared that no table of numbers describes. `describe` gives, for positions of rows, numbers that a small
    model can learn from: float32 (rows, numbers), or, where masks are asked, (rows, points, numbers) of the points of
    `core.masks.at_few_points`.
    """

    findings: tuple[Finding, ...] = ()
    twins: Array | None = None
    facts: tuple[tuple[str, str], ...] = ()
    measures: Mapping[str, Array] = field(default_factory=dict)
    describe: Callable[[Array], Array] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pretrained:
    """Opened weights, what is now known of their licences included, and the families that start from them."""

    weights: tuple[Weights, ...] = ()
    families: tuple[Family, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of data: how it is recognised, what a packed model of it reads, and which families serve it.

    `recognises(schema)` is how well it fits, 0 (not at all) to 1. `families()` imports the models on first use, so that
    looking at data needs no training library. `graph_inputs(schema)` declares what `Preparation.emit` may read. `reader`
    reads what a table cannot hold, and `inspect` looks for what only this kind of data can be wrong with; tables need neither.
    `pretrained(weights)` opens weights of networks trained before, where it has a use for such.
    `example(kind)` makes a small dataset of its kind, task and target set, that can be learned from: what it is checked on.

    `kinds` are the columns that it reads: what others need to know to learn from them together with its own. One that
    `reads_one_column` takes the first unless its preparations' field `column` names another. A modality that is made of others
    says by `for_schema` what it is where these are the columns. `unfelt(dataset)` names what may be chosen and makes no
    difference to these rows, so that it is not searched.
    """

    name: str
    recognises: Callable[[Schema], float]
    families: Callable[[], Sequence[Family]]
    graph_inputs: Callable[[Schema], Sequence[GraphInput]]
    unusable: Callable[[Dataset], str | None]
    reader: Reader | None = None
    example: Callable[[TaskKind], Dataset] | None = None
    inspect: Callable[[Dataset], Inspection] | None = None
    kinds: frozenset[ColumnKind] = frozenset()
    reads_one_column: bool = False
    for_schema: Callable[[Schema], Modality] | None = None
    pretrained: Callable[[Sequence[Weights]], Pretrained] | None = None
    unfelt: Callable[[Dataset], frozenset[str]] | None = None
