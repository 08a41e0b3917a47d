"""Findings about targets that are likely wrong, for classes, several labels and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.form import Form
from cupel.core.labels import known
from cupel.core.task import Task
from cupel.data.rehearsal import Describe, Rehearsal, why_not_rehearsed
from cupel.evaluation.label_scorers import HALF
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


def rehearsed_doubts(dataset: Dataset, *, describe: Describe | None = None, seed: int = 0) -> list[Finding]:
    """Doubtful targets among at most 5,000 rows, by a small forest, before anything is trained; of masks none.

    `describe` as for `Rehearsal`.
    """
    is_masked = dataset.task is not None and dataset.task.form is Form.MASKS
    if is_masked or why_not_rehearsed(dataset, min_rows=MIN_ROWS, describe=describe):
        return []
    rehearsal = Rehearsal(dataset, describe=describe, n_rows=N_ROWS, n_trees=N_TREES, seed=seed)
    return doubtful_targets(dataset, rehearsal.predictions(rehearsal.parts()), rows=rehearsal.rows, by="a small forest")


def doubtful_targets(dataset: Dataset, predictions: Array, *, rows: Array, by: str) -> list[Finding]:
    """A finding that names the rows whose target is most doubtful; none where no target is.

    `predictions` are out of fold, of the given rows of the dataset, made `by` what the words then say. Classes: confident
    learning, and another class is more probable than the label by half at least; so of several labels each by itself, a label
    and its absence being the classes. Numbers: six deviations or more.
    """
    assert dataset.task is not None, "doubts need a task"
    assert dataset.target is not None, "doubts need a target"
    if len(rows) < MIN_ROWS:
        return []
    target = dataset.target[rows]
    if dataset.task.form is Form.LABELS:
        doubts = _about_labels(dataset.task, target, np.clip(predictions, 0.0, 1.0), by=by)
    elif dataset.task.is_classification:
        doubts = _about_classes(dataset.task, target, np.clip(predictions, 0.0, 1.0), by=by)
    else:
        doubts = _about_values(target, predictions, by=by)
    places = doubts.places
    if not len(places):
        return []
    is_many = len(places) >= MANY * len(rows)
    sources = dataset.row_numbers[rows[places]] + 1 if len(dataset.row_numbers) else rows[places] + 1
    shown = "; ".join(
        f"{dataset.name_of(int(rows[place]))} ({words})" for place, words in list(zip(places, doubts.said, strict=True))[:N_SHOWN]
    )
    return [
        Finding(
            code=DOUBTS,
            severity=Severity.WARNING if doubts.is_easy and is_many else Severity.NOTE,
            where=dataset.task.target,
            what=f"The targets of {len(places):,} of {len(rows):,} rows ({len(places) / len(rows):.1%}) {doubts.how} "
            f"({doubts.context}); the surest: {shown}"
            f"{'; …' if len(places) > N_SHOWN else ''}.",
            action="They are kept. Look at them: where they are wrong, mend the file, or let a fix plan (`cupel look --fixes "
            f"FILE`) leave them out of training{doubts.other_mend}.",
            fix=Fix(kind=FixKind.LEAVE_OUT_ROWS, rows=tuple(map(int, sources[:MAX_LISTED]))),
        )
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Doubts:
    """Places of doubtful rows among those given, the surest first, and what is said of each and of all."""

    places: Array
    said: list[str]
    how: str
    context: str
    is_easy: bool = True
    other_mend: str = " or give them another label"


def _about_classes(task: Task, target: Array, probabilities: Array, *, by: str) -> _Doubts:
    suspects = likely_wrong_labels(target, probabilities)
    is_sure = suspects.margins <= SURE_MARGIN
    places, suggested = suspects.rows[is_sure], suspects.suggested[is_sure]
    right = float((probabilities.argmax(axis=1) == target).mean())
    return _Doubts(
        places=places,
        said=[
            f"labelled {task.classes[target[place]]!r}, seems {task.classes[klass]!r}"
            for place, klass in zip(places, suggested, strict=True)
        ],
        how="are much less probable than another class",
        context=f"{by} answers {right:.1%} of the rows rightly",
        is_easy=right >= EASY,
    )


def _about_labels(task: Task, target: Array, probabilities: Array, *, by: str) -> _Doubts:
    """Label by label, on the rows where each is known; a row once, by the label that is surest to be wrong."""
    found: list[tuple[float, int, int]] = []
    for label in range(target.shape[1]):
        rows = known(target, label)
        if len(rows) < MIN_ROWS:
            continue
        holds = target[rows, label].astype(np.int64)
        suspects = likely_wrong_labels(holds, np.stack([1 - probabilities[rows, label], probabilities[rows, label]], axis=1))
        found += [
            (float(margin), int(rows[place]), label)
            for place, margin in zip(suspects.rows, suspects.margins, strict=True)
            if margin <= SURE_MARGIN
        ]
    surest: dict[int, int] = {}
    for _, place, label in sorted(found):
        surest.setdefault(place, label)
    right = float((~np.isfinite(target) | ((probabilities >= HALF) == (target == 1))).all(axis=1).mean())
    said = {True: "labelled {!r}, seems not to be", False: "seems {!r} too"}
    return _Doubts(
        places=np.array(list(surest), np.int64),
        said=[said[bool(target[place, label] == 1)].format(task.classes[label]) for place, label in surest.items()],
        how="hold or lack a label whose opposite is much more probable",
        context=f"{by} answers all labels of {right:.1%} of the rows rightly",
        is_easy=right >= EASY,
        other_mend="",
    )


def _about_values(target: Array, predictions: Array, *, by: str) -> _Doubts:
    places = likely_wrong_values(target, predictions).rows
    return _Doubts(
        places=places,
        said=[f"{target[place]:.6g}, expected about {predictions[place, 0]:.6g}" for place in places],
        how="lie six or more usual deviations from what is expected of them",
        context=f"by {by}",
    )
