"""What a packed model rests on: columns, places in pictures, and how every pixel of masks is judged."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation, execution, packing, verdict
from cupel.core.feeds import feeds_of
from cupel.core.thumbnails import Thumbnails
from cupel.core.trial import Ensemble
from cupel.problem import Problem

Array = NDArray[Any]
MAX_IMPORTANCE_COLUMNS = 400
IMPORTANCE_CELLS, FEWEST_IMPORTANCE_ROWS = 40_000, 100
SHARE_TO_EXPLAIN = 0.15
"""Of the time that is left: on so many rows as fit into it importance is measured, so that the cap holds."""
OCCLUSION_SECONDS = 4.0


def importance(
    problem: Problem, folder: execution.RunFolder, *, pick: Ensemble, seconds_left: float
) -> list[evaluation.Importance]:
    """Of the pick's heaviest member, by the models of its folds on the rows that each had not seen."""
    member = pick.members[int(np.argmax(pick.weights))]
    parts = [(unit.rows, partial(packing.run, packing.session(folder.units.model(unit.key)))) for unit in member.units]
    n_columns = sum(len(graph_input.columns) for graph_input in problem.inputs)
    if n_columns > MAX_IMPORTANCE_COLUMNS or n_columns < 2:
        return []
    seconds_a_row = 1e-6 * member.latency_ms.get("thousand", 0.0) / len(member.units) * (1 + evaluation.N_SHUFFLES * n_columns)
    affordable = SHARE_TO_EXPLAIN * max(seconds_left, 0.0) / max(seconds_a_row, 1e-9)
    most = max(200, min(2000, IMPORTANCE_CELLS // n_columns))
    return evaluation.permutation_importance(
        parts,
        problem.dataset,
        problem.task.metric,
        inputs=problem.inputs,
        seed=problem.settings.seed,
        units=problem.splits.units,
        max_rows=int(np.clip(affordable, FEWEST_IMPORTANCE_ROWS, most)),
    )


def occlusions(
    problem: Problem, folder: execution.RunFolder, *, pick: Ensemble, seconds_left: float
) -> list[evaluation.Occlusion]:
    """What the pick's heaviest member looks at in a few pictures, each by the model of a fold that had not seen it."""
    thumbnails = Thumbnails.of(problem.dataset)
    if thumbnails is None or not problem.task.is_classification:
        return []
    member = pick.members[int(np.argmax(pick.weights))]
    owners = {int(row): unit.key for unit in member.units for row in unit.rows.tolist()}
    sessions: dict[str, Any] = {}
    wanted = []
    for row in verdict.telling_rows(problem.target, pick.out_of_fold):
        if row in owners:
            key = owners[row]
            sessions[key] = sessions.get(key) or packing.session(folder.units.model(key))
            wanted.append((row, int(pick.out_of_fold[row].argmax()), partial(packing.run, sessions[key])))
    seconds = min(OCCLUSION_SECONDS, SHARE_TO_EXPLAIN * max(seconds_left, 0.0))
    return evaluation.occluded(wanted, problem.dataset, inputs=problem.inputs, seconds=seconds, column=thumbnails.column)


def masks(problem: Problem, folder: execution.RunFolder, *, pick: Ensemble, seconds_left: float) -> evaluation.WholeMasks | None:
    """How every pixel is judged, each picture by the pick's models that had not seen it, combined as they are packed."""
    if not problem.task.grid:
        return None
    keys = [{int(row): unit.key for unit in member.units for row in unit.rows.tolist()} for member in pick.members]
    sessions = {unit.key: packing.session(_with_maps(problem, folder, unit.key)) for m in pick.members for unit in m.units}

    def predict(row: int) -> Array:
        feeds = feeds_of(problem.dataset, np.array([row]), problem.inputs)
        maps = [packing.maps(sessions[of_row[row]], feeds) for of_row in keys]
        return np.asarray(pick.rule.apply(maps).argmax(axis=0), np.uint8)

    return evaluation.whole_masks(
        np.array(sorted(set.intersection(*map(set, keys))), np.int64),
        predict,
        truth=problem.dataset.columns[problem.task.target],
        classes=problem.task.classes,
        groups=problem.splits.units,
        seconds=SHARE_TO_EXPLAIN * max(seconds_left, 0.0),
        stretch=evaluation.stretch_of(is_mutual=problem.splits.teach_one_another),
    )


def _with_maps(problem: Problem, folder: execution.RunFolder, key: str) -> bytes:
    return packing.with_maps(folder.units.model(key), problem.task, inputs=problem.inputs)
