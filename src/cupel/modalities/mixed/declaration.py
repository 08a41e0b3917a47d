"""What is special about tables of several parts, as one object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from cupel.core.dataset import Dataset
from cupel.core.errors import UsageError
from cupel.core.family import Family
from cupel.core.modality import GraphInput, Inspection, Modality, Pretrained
from cupel.core.schema import Schema
from cupel.core.task import TaskKind
from cupel.core.weights import Weights
from cupel.modalities.mixed.example import example_mixed
from cupel.modalities.mixed.inspection import inspect_parts
from cupel.modalities.mixed.parts import Part, parts_of


def recognises(schema: Schema) -> float:
    """Surely, where columns make more than one part."""
    return 1.0 if len(parts_of(schema)) > 1 else 0.0


def families() -> Sequence[Family]:
    """Those that read all parts of a table such as the example; those of the parts keep their promises where they are."""
    from cupel.modalities.mixed.families import families_of_all

    return families_of_all(parts_of(example_mixed(TaskKind.BINARY).schema))


def graph_inputs(schema: Schema) -> tuple[GraphInput, ...]:
    """Those of all parts."""
    parts = parts_of(schema)
    return tuple(graph_input for part in parts for graph_input in part.modality.graph_inputs(part.schema(schema)))


def unusable(dataset: Dataset) -> str | None:
    """Why no model can learn from these columns, as a sentence; None where one can."""
    names = Counter(graph_input.name for graph_input in graph_inputs(dataset.schema))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        return f"a packed model would have two inputs named {twice[0]!r}; rename the column {twice[0]!r}."
    for part in parts_of(dataset.schema):
        reason = part.modality.unusable(part.dataset(dataset))
        if reason:
            return f"{reason} Or leave out what is at fault with --drop."
    return None


def inspect(dataset: Dataset) -> Inspection:
    """What every part sees in its own columns."""
    return inspect_parts(dataset, parts_of(dataset.schema))


def for_schema(schema: Schema) -> Modality:
    """With the families of all parts together, and of each part of these columns."""
    starts = partial(_pretrained_for, schema) if _that_start(schema) else None
    return replace(modality, families=partial(_families_for, schema), pretrained=starts)


def _families_for(schema: Schema) -> Sequence[Family]:
    from cupel.modalities.mixed.families import families_of_each

    return families_of_each(parts_of(schema))


def _that_start(schema: Schema) -> list[Part]:
    """The parts whose networks may start from weights."""
    return [part for part in parts_of(schema) if part.modality.pretrained is not None]


def _pretrained_for(schema: Schema, weights: Sequence[Weights]) -> Pretrained:
    """What the one part makes of them that can.

    Raises:
        UsageError: several can.
    """
    part, *others = _that_start(schema)
    if others or part.modality.pretrained is None:
        names = ", ".join(each.label for each in (part, *others))
        raise UsageError(f"weights were given, and {names} may each start from them; leave all but one out with --drop.")
    return part.modality.pretrained(weights)


modality = Modality(
    name="mixed",
    recognises=recognises,
    families=families,
    graph_inputs=graph_inputs,
    unusable=unusable,
    example=example_mixed,
    inspect=inspect,
    for_schema=for_schema,
)
