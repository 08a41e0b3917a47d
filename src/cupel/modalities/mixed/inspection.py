"""What the parts see in their own columns, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.modality import Inspection
from cupel.modalities.mixed.parts import Part

Array = NDArray[Any]
ABOUT_WHOLE_ROWS = frozenset({"duplicate-rows", "contradicting-rows"})
"""Codes of findings that a part, which sees a part of each row, cannot know to be true of rows."""
FEWEST_DIFFERENT = 0.5
"""A smaller share of different cells in a part, and equal ones are a kind of thing, not copies of a row."""


def inspect_parts(dataset: Dataset, parts: Sequence[Part]) -> Inspection:
    """Findings and facts of every part; rows that are twins in any of them are twins."""
    seen = [(part, part.modality.inspect(part.dataset(dataset))) for part in parts if part.modality.inspect is not None]
    findings = [finding for _, each in seen for finding in each.findings if finding.code not in ABOUT_WHOLE_ROWS]
    facts = [(f"{part.label}: {what}" if part.column else what, words) for part, each in seen for what, words in each.facts]
    telling = [(part, each.twins) for part, each in seen if each.twins is not None]
    twins = [found for _, found in telling if len(np.unique(found)) >= FEWEST_DIFFERENT * dataset.n_samples]
    findings += _repeated(telling)
    describing = [each.describe for _, each in seen if each.describe is not None]
    return Inspection(
        findings=tuple(findings),
        twins=_together(twins) if twins else None,
        facts=tuple(facts),
        describe=partial(_side_by_side, describing) if describing else None,
    )


def _side_by_side(describing: Sequence[Callable[[Array], Array]], rows: Array) -> Array:
    """What all parts say of rows, shape (rows, numbers)."""
    return np.concatenate([describe(rows) for describe in describing], axis=1)


def _repeated(telling: Sequence[tuple[Part, Array]]) -> Iterator[Finding]:
    for part, twins in telling:
        n_different = len(np.unique(twins))
        if n_different < FEWEST_DIFFERENT * len(twins):
            yield Finding(
                code="repeated-cells",
                severity=Severity.WARNING,
                where=", ".join(part.columns),
                what=f"{len(twins):,} rows have {n_different:,} cells that do not look alike: rows share them.",
                action="Rows that share one may be divided between training and validation. Where new rows will bring new ones, "
                "name a column that says what belongs together with --group.",
            )


def _together(all_twins: Sequence[Array]) -> Array:
    """One number for rows that share a number in any of these, directly or through others."""
    merged = all_twins[0]
    for twins in all_twins[1:]:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n_first, n_second = int(merged.max()) + 1, int(twins.max()) + 1
        size = n_first + n_second
        edges = coo_array((np.ones(len(merged), np.int8), (merged, n_first + twins)), shape=(size, size))
        merged = connected_components(edges, directed=False)[1][merged].astype(np.int64)
    return merged
