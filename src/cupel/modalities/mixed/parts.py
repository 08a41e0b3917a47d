"""Which modality reads which columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.modality import Modality
from cupel.core.schema import Schema


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Columns that one modality reads together.

    `column` is set where it reads one at a time and there are several: then each is a part. `label` tells the part from the
    others: the modality's name, or the column's.
    """

    modality: Modality
    columns: tuple[str, ...]
    label: str
    column: str = ""

    def schema(self, whole: Schema) -> Schema:
        """The schema without the features of other parts."""
        others = {column.name for column in whole.features} - set(self.columns)
        return replace(whole, columns=tuple(column for column in whole.columns if column.name not in others))

    def dataset(self, whole: Dataset) -> Dataset:
        """The dataset without the features of other parts."""
        return whole.without([column.name for column in whole.schema.features if column.name not in self.columns])


def parts_of(schema: Schema) -> tuple[Part, ...]:
    """The parts of these columns, by the modalities' names and in schema order; none for a modality without columns."""
    parts: list[Part] = []
    for modality in registry.modalities():
        if modality.for_schema is not None:
            continue
        names = [column.name for column in schema.features if column.kind in modality.kinds]
        if len(names) > 1 and modality.reads_one_column:
            parts += [Part(modality=modality, columns=(name,), label=name, column=name) for name in names]
        elif names:
            parts.append(Part(modality=modality, columns=tuple(names), label=modality.name))
    return tuple(_told_apart(parts))


def _told_apart(parts: Sequence[Part]) -> Sequence[Part]:
    """A column that has a modality's name is called a column."""
    names = {part.label for part in parts if not part.column}
    return [replace(part, label=f"column {part.label}") if part.column and part.label in names else part for part in parts]
