"""Opens the sealed rows: what the packed model scores on rows that nothing was learned from and nothing chosen by."""

from __future__ import annotations

from typing import Any

from cupel import evaluation, execution, packing
from cupel.core.feeds import feeds_of
from cupel.core.masks import judged_predictions
from cupel.problem import Problem

OPENED = "unsealed"
"""The journal's word for it."""


def opened(problem: Problem, folder: execution.RunFolder, *, model: bytes) -> dict[str, Any]:
    """The packed model's score on the sealed rows, and how often they were opened; nothing without any."""
    rows = problem.splits.sealed
    if rows is None:
        return {}
    n_before = sum(record["event"] == OPENED for record in folder.journal.read())
    folder.journal.append(OPENED, rows=len(rows))
    said = packing.run(packing.session(model), feeds_of(problem.dataset, rows, problem.inputs))
    predicted = judged_predictions(problem.task, said)
    metric, groups = evaluation.metric_named(problem.task.metric, problem.task), problem.splits.groups
    found = evaluation.interval(
        metric, problem.target[rows], predicted, groups=None if groups is None else groups[rows], seed=problem.settings.seed
    )
    facts = {"rows": len(rows), "opened": n_before + 1, "estimate": found.estimate, "low": found.low, "high": found.high}
    times = "opened once" if n_before == 0 else f"opened {n_before + 1} times, so what was chosen since may be flattered"
    words = (
        f"On {len(rows):,} sealed rows ({times}) the packed model itself scores {metric.label} {found.estimate:.4g} "
        f"(95% interval {found.low:.4g} to {found.high:.4g})."
    )
    return {"sealed": facts, "words": [words]}
