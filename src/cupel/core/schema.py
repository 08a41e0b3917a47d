"""What each column of a dataset is, and how its cells are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from cupel.core.errors import ArtifactError, DataError
from cupel.core.mending import NO_MENDING, Mending
from cupel.core.picture_levels import Scale
from cupel.core.restoring import restored


class ColumnKind(StrEnum):
    """What a column holds; decides how it is decoded, profiled and prepared."""

    NUMBER = "number"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"
    IDENTIFIER = "identifier"
    CONSTANT = "constant"
    IMAGE = "image"

    @property
    def is_numeric(self) -> bool:
        """Whether decoded cells are float64 with NaN for missing (numbers, booleans, date-times)."""
        return self in (ColumnKind.NUMBER, ColumnKind.BOOLEAN, ColumnKind.DATETIME)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its kind and everything needed to read a cell of it again at prediction.

    `levels` are the known categories in canonical spelling, most frequent first (for a boolean: its
    false and true spelling). `markers` are cell texts that mean "missing" here beside the empty cell.
    `datetime_format` is a strptime format, or "" for ISO 8601. `decimal` is the decimal mark of numbers written
    as text, "." or ",". `low` and `high` are the range seen. `had_unreadable` says that training held cells that are not of
    the kind and were read as missing; so are those of later rows. `mending` is what is corrected in its cells, now and later.
    Pictures have `channels`: 1 is grey, 3 is colour; `scale` says what the numbers of arrays mean.
    """

    name: str
    kind: ColumnKind
    levels: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    datetime_format: str = ""
    decimal: str = "."
    low: float | None = None
    high: float | None = None
    overridden: bool = False
    had_unreadable: bool = False
    channels: int = 0
    mending: Mending = NO_MENDING
    scale: Scale = Scale.OF_TYPE

    @property
    def is_feature(self) -> bool:
        """Whether a model may read the column: constants, identifiers and raw text carry nothing it can use."""
        return self.kind.is_numeric or self.kind in (ColumnKind.CATEGORY, ColumnKind.IMAGE)


@dataclass(frozen=True)
class Schema:
    """The typed columns of a dataset, in file order, target and roles included."""

    columns: tuple[Column, ...]
    target: str | None = None
    group: str | None = None
    time: str | None = None

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"there is no column {name!r}; the columns are {', '.join(self.names)}.")

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in file order."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that a model may read: neither target nor group, of a kind that carries signal."""
        return tuple(c for c in self.columns if c.is_feature and c.name not in (self.target, self.group))

    @property
    def numeric_features(self) -> tuple[Column, ...]:
        """Features decoded to float64: numbers, booleans, date-times (seconds since 1970, UTC)."""
        return tuple(c for c in self.features if c.kind.is_numeric)

    @property
    def category_features(self) -> tuple[Column, ...]:
        """Features decoded to text categories."""
        return tuple(c for c in self.features if c.kind is ColumnKind.CATEGORY)

    @property
    def image_features(self) -> tuple[Column, ...]:
        """Features decoded to pixels."""
        return tuple(c for c in self.features if c.kind is ColumnKind.IMAGE)

    @property
    def plain_features(self) -> tuple[Column, ...]:
        """Features whose cells are one number or category each."""
        return tuple(c for c in self.features if c.kind is not ColumnKind.IMAGE)

    def replacing(self, columns: Iterable[Column]) -> Schema:
        """The same schema with the columns of the same names exchanged."""
        new = {column.name: column for column in columns}
        return replace(self, columns=tuple(new.get(c.name, c) for c in self.columns))

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`; `from_json` reads it back. What is as usual in mending and scale is not said."""
        plain = asdict(self)
        for column, described in zip(self.columns, plain["columns"], strict=True):
            if not column.mending:
                del described["mending"]
            if column.scale is Scale.OF_TYPE:
                del described["scale"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Schema:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: a field is missing, unknown or of the wrong type.
        """
        try:
            roles = [plain.get(role) for role in ("target", "group", "time")]
            if not all(role is None or isinstance(role, str) for role in roles):
                raise TypeError("target, group and time are names of columns")
            return cls(tuple(_column_of(column) for column in plain["columns"]), *roles)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ArtifactError(f"the schema cannot be read ({error}); the file is damaged or not Cupel's.") from error


def _column_of(plain: Mapping[str, Any]) -> Column:
    """One column, every field of which has the type that it should have."""
    mended = Mending.from_json(plain.get("mending", {}))
    texts = {name: [str(text) for text in plain.get(name, ())] for name in ("levels", "markers")}
    column = restored(Column, {**plain, **texts, "mending": {}}, what="a column")
    low, high = (None if bound is None else float(bound) for bound in (column.low, column.high))
    return replace(column, low=low, high=high, mending=mended)
