"""Findings about targets that are likely wrong, for classes and for numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.data.rehearsal import Rehearsal, can_rehearse
from cupel.evaluation.wrong_labels import likely_wrong_labels
from cupel.evaluation.wrong_values import likely_wrong_values

Array = NDArray[Any]

DOUBTS = "doubtful-labels"
N_ROWS, N_TREES = 5_000, 60
MIN_ROWS = 100
SURE_MARGIN = -0.5
EASY = 0.95
"""Of the rows that are answered rightly: in a table so easy a contradicted label is probably wrong; in a hard one it is
mostly the model."""
MANY = 0.005
N_SHOWN = 6
MAX_LISTED = 1_000


def rehearsed_doubts(dataset: Dataset, *, seed: int = 0) -> list[Finding]:
    """Doubtful targets among at most 5,000 rows, by a small forest, before anything is trained."""
    if not can_rehearse(dataset, min_rows=MIN_ROWS):
        return []
    rehearsal = Rehearsal(dataset, n_rows=N_ROWS, n_trees=N_TREES, seed=seed)
    return doubtful_targets(dataset, rehearsal.predictions(rehearsal.parts()), rows=rehearsal.rows, by="a small forest")


def doubtful_targets(dataset: Dataset, predictions: Array, *, rows: Array, by: str) -> list[Finding]:
    """A finding that names the rows whose target is most doubtful; none where no target is.

    `predictions` are out of fold, of the given rows of the dataset, made `by` what the words then say. Classes: confident
    learning, and another class is more probable than the label by half at least. Numbers: six deviations or more.
    """
    assert dataset.task is not None, "doubts need a task"
    assert dataset.target is not None, "doubts need a target"
    if len(rows) < MIN_ROWS:
        return []
    target = dataset.target[rows]
    if dataset.task.is_classification:
        suspects = likely_wrong_labels(target, np.clip(predictions, 0.0, 1.0))
        is_sure = suspects.margins <= SURE_MARGIN
        places, suggested = suspects.rows[is_sure], suspects.suggested[is_sure]
        right = float((predictions.argmax(axis=1) == target).mean())
        classes = dataset.task.classes
        said = [
            f"labelled {classes[target[place]]!r}, seems {classes[klass]!r}"
            for place, klass in zip(places, suggested, strict=True)
        ]
        how = "are much less probable than another class"
        is_easy = right >= EASY
        context = f"{by} answers {right:.1%} of the rows rightly"
    else:
        values = likely_wrong_values(target, predictions)
        places = values.rows
        said = [f"{target[place]:.6g}, expected about {predictions[place, 0]:.6g}" for place in places]
        how = "lie six or more usual deviations from what is expected of them"
        is_easy = True
        context = f"by {by}"
    if not len(places):
        return []
    is_many = len(places) >= MANY * len(rows)
    sources = dataset.row_numbers[rows[places]] + 1 if len(dataset.row_numbers) else rows[places] + 1
    shown = "; ".join(
        f"{dataset.name_of(int(rows[place]))} ({words})" for place, words in list(zip(places, said, strict=True))[:N_SHOWN]
    )
    return [
        Finding(
            code=DOUBTS,
            severity=Severity.WARNING if is_easy and is_many else Severity.NOTE,
            where=dataset.task.target,
            what=f"The targets of {len(places):,} of {len(rows):,} rows ({len(places) / len(rows):.1%}) {how} ({context}); "
            f"the surest: {shown}"
            f"{'; …' if len(places) > N_SHOWN else ''}.",
            action="They are kept. Look at them: where they are wrong, mend the file, or let a fix plan (`cupel look --fixes "
            "FILE`) leave them out of "
            "training or give them another label.",
            fix=Fix(kind=FixKind.LEAVE_OUT_ROWS, rows=tuple(map(int, sources[:MAX_LISTED]))),
        )
    ]
