"""What is special about tables, as one object."""

from __future__ import annotations

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.modality import GraphInput, Modality
from cupel.core.schema import ColumnKind, Schema
from cupel.modalities.tabular.models import families
from cupel.modalities.tabular.preparation.fitting import CATEGORY_INPUT, NUMBER_INPUT
from cupel.modalities.tabular.preparation.missing import is_present


def recognises(schema: Schema) -> float:
    """One half where any column can be read as a number or a category, so that a more special modality may claim it."""
    return 0.5 if schema.features else 0.0


def graph_inputs(schema: Schema) -> tuple[GraphInput, ...]:
    """Numeric features as "number" and category features as "category", in schema order; none of width 0."""
    numbers = GraphInput(name=NUMBER_INPUT, kind="numbers", columns=tuple(c.name for c in schema.numeric_features))
    categories = GraphInput(name=CATEGORY_INPUT, kind="strings", columns=tuple(c.name for c in schema.category_features))
    return tuple(graph_input for graph_input in (numbers, categories) if graph_input.columns)


def unusable(dataset: Dataset) -> str | None:
    """Why no model can learn from these features, as a sentence; None where one can."""
    features = dataset.schema.features
    if not features:
        kinds = ", ".join(sorted({f"{c.name} ({c.kind.value})" for c in dataset.schema.columns}))
        return (
            f"no column can be used as a feature: the columns are {kinds}. At least one number, category, boolean or "
            f"date-time beside the target was expected. Add one, or override a column's kind with kinds=."
        )
    if all(_carries_nothing(dataset, column.name, column.kind) for column in features):
        names = ", ".join(column.name for column in features[:10])
        return (
            f"every feature ({names}) has the same value, or none, in each of the {dataset.n_samples} rows. "
            f"At least one that varies was expected. Add columns, or more rows."
        )
    return None


def _carries_nothing(dataset: Dataset, name: str, kind: ColumnKind) -> bool:
    values = dataset.columns[name]
    if len(values) == 0:
        return True
    if kind.is_numeric:
        missing = np.isnan(values)
        observed = values[~missing]
        return bool(missing.all() or (not missing.any() and observed.min() == observed.max()))
    return bool((values == values[0]).all())


def unfelt(dataset: Dataset) -> frozenset[str]:
    """How categories are prepared where there are none, or paired where there is one; missing numbers where none is missing."""
    schema, names = dataset.schema, set[str]()
    if not schema.category_features:
        names |= {"categories", "one_hot_limit", "above_limit", "min_level_count", "category_width"}
    if len(schema.category_features) < 2:
        names.add("crossed_pairs")
    if all(is_present(dataset.columns[column.name]).all() for column in schema.numeric_features):
        names |= {"missing", "indicators"}
    return frozenset(names)


modality = Modality(
    name="tabular",
    recognises=recognises,
    families=families,
    graph_inputs=graph_inputs,
    unusable=unusable,
    unfelt=unfelt,
    kinds=frozenset({ColumnKind.NUMBER, ColumnKind.BOOLEAN, ColumnKind.DATETIME, ColumnKind.CATEGORY}),
)
