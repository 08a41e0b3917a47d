"""Some rows of a table that is larger than memory as a dataset, which knows what all rows have told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.schema import ColumnKind
from cupel.data.reading import Said, dataset_of
from cupel.data.streamed.batches import Batches
from cupel.data.streamed.survey import Survey, surveyed
from cupel.data.streamed.whole import Whole


def drawn(
    batches: Batches,
    said: Said,
    *,
    n_rows: int,
    seed: int,
    seconds: float = math.inf,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Dataset, Whole]:
    """A dataset of `n_rows` rows of the file, and the file itself, to be read again.

    Kinds, levels, ends of columns and what is missing are those of all rows.

    Raises:
        DataError: the file cannot be read, or the target not be learned.
        UsageError: a setting does not fit.
    """
    survey = surveyed(batches, said, n_wanted=n_rows, seed=seed, seconds=seconds, progress=progress)
    dataset = dataset_of(survey.table, said, known=survey.typed)
    if dataset.task is None or dataset.task.grid or dataset.schema.image_features:
        raise DataError(f"{batches.path} holds pictures, which are not read in pieces; give the run more memory with --memory.")
    whole = Whole(
        path=batches.path,
        n_rows=survey.n_rows,
        target=survey.typed[str(said.target)].column,
        seed=seed,
        group=said.group,
        seconds=survey.seconds,
        counts={name: counts.to_json() for name, counts in survey.counts.items()},
        content=survey.content,
    )
    told = survey.told(dataset)
    found = _findings(survey)
    told_already = {(finding.code, finding.where) for finding in found}
    others = (finding for finding in told.findings if (finding.code, finding.where) not in told_already)
    return replace(told, findings=(*others, *found)), whole


def refuse_what_needs_all_rows(batches: Batches, wishes: Mapping[str, Any], *, needed_bytes: float, memory_bytes: float) -> None:
    """Raises:
    UsageError: one of the wishes, by option, cannot be met without having all rows in memory.
    """  # fmt: skip
    met = [name for name, value in wishes.items() if value]
    if met:
        raise UsageError(
            f"{batches.path} would take about {needed_bytes / 1e9:.1f} GB and {memory_bytes / 1e9:.1f} GB may be used; it is too "
            f"large for {', '.join(met)}. Leave that out, give more with --memory, or fewer rows."
        )


def _findings(survey: Survey) -> list[Finding]:
    """What only all rows could tell."""
    found = []
    for name, counts in survey.counts.items():
        kind = survey.typed[name].column.kind
        if counts.n_beyond and kind is ColumnKind.CATEGORY:
            found.append(
                Finding(
                    code="too-many-levels",
                    severity=Severity.WARNING,
                    where=name,
                    what=f"Of {counts.n_rows:,} cells {counts.n_beyond:,} hold levels that came after the first 50,000.",
                    action="They are read as missing.",
                )
            )
        if counts.n_unreadable:
            found.append(
                Finding(
                    code="unreadable-cells",
                    severity=Severity.WARNING,
                    where=name,
                    what=f"Of {counts.n_rows:,} cells in all {counts.n_unreadable:,} cannot be read as {kind.value}.",
                    action="They are read as missing.",
                )
            )
    return found
