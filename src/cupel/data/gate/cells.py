"""All that is looked for in single cells, column by column."""

from __future__ import annotations

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding
from cupel.core.profile import Profile
from cupel.core.schema import ColumnKind
from cupel.data.gate.absence import find_telling_absence
from cupel.data.gate.impossible import find_impossible
from cupel.data.gate.spellings import find_spellings
from cupel.data.gate.units import find_units

MAX_COLUMNS = 500


def judge_cells(dataset: Dataset, profile: Profile) -> list[Finding]:
    """Findings about cells of features: spellings, units, impossible and far values, near-constant columns, telling absences."""
    found: list[Finding] = []
    for column in dataset.schema.plain_features[:MAX_COLUMNS]:
        values = dataset.columns[column.name]
        if column.kind is ColumnKind.CATEGORY:
            found += find_spellings(column, values)
        elif column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME):
            units = find_units(column, values) if column.kind is ColumnKind.NUMBER else []
            found += units or find_impossible(dataset, column)
    return [*found, *find_telling_absence(dataset, profile)]
