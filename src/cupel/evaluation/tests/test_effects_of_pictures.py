"""What findings about pictures, several labels and masks do to the score is measured, or said not to be, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.finding import Contrast, Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.masks import FEW_POINTS
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.data.rehearsal import remembered
from cupel.data.tests.making_datasets import make_dataset
from cupel.evaluation import with_effects

N, N_ONCE = 80, 40
COPIES = np.tile(np.arange(N_ONCE), 2)
LOOKS = np.random.default_rng(0).normal(size=(N_ONCE, 6)).astype(np.float32)[COPIES]
CHANCE = np.random.default_rng(1).integers(0, 2, (N_ONCE, 3))
TOGETHER = Fix(kind=FixKind.KEEP_TOGETHER)
TASKS = {
    "classes": (Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("a", "b")), CHANCE[COPIES, 0]),
    "labels": (
        Task(kind=TaskKind.MULTILABEL, target="y", metric="roc_auc_macro", classes=("a", "b", "c")),
        CHANCE[COPIES].astype(np.float64),
    ),
    "values": (
        Task(kind=TaskKind.REGRESSION, target="y", metric="rmse"),
        np.random.default_rng(2).normal(size=N_ONCE)[COPIES],
    ),
    "masks": (
        Task(kind=TaskKind.SEGMENTATION, target="y", metric="dice", classes=("0", "1"), grid=(16, 16)),
        np.random.default_rng(3).integers(0, 2, (N_ONCE, 16, 16)).astype(np.uint8)[COPIES],
    ),
}


def pictures(kind: str) -> Dataset:
    """Nothing but pictures, each twice, whose targets are drawn by chance."""
    task, target = TASKS[kind]
    columns = (Column(name="photo", kind=ColumnKind.IMAGE, channels=1), Column(name="y", kind=ColumnKind.IMAGE))
    cells = np.empty(N, dtype=object)
    cells[:] = [np.full((2, 2, 1), row % N_ONCE, np.uint8) for row in range(N)]
    return Dataset(Schema(columns, target="y"), {"photo": cells, "y": cells}, "made", task=task, target=target)


def looks(rows: np.ndarray) -> np.ndarray:
    return LOOKS[rows]


def surroundings(rows: np.ndarray) -> np.ndarray:
    n_points = FEW_POINTS[0] * FEW_POINTS[1]
    places = np.broadcast_to(np.arange(n_points, dtype=np.float32)[None, :, None], (len(rows), n_points, 1))
    return np.concatenate([np.repeat(LOOKS[rows][:, None], n_points, axis=1), places], axis=2)


def finding(fix: Fix | None = TOGETHER, **more: Any) -> Finding:
    return Finding(code="some", severity=Severity.WARNING, where="photo", what="Something.", action="Nothing.", fix=fix, **more)


def measured(kind: str, found: Finding, **options: Any) -> Finding:
    describe = surroundings if kind == "masks" else looks
    return with_effects([found], pictures(kind), **{"units": COPIES, "describe": describe} | options)[0]


@pytest.mark.parametrize("kind", TASKS)
def test_copies_that_answer_for_one_another_make_the_score_better_than_it_is(kind: str) -> None:
    told = measured(kind, finding())
    assert told.effect is not None
    assert told.effect.high < 0
    assert told.severity is Severity.WARNING
    judged = "100 points in each of 80 masks" if kind == "masks" else "80 rows"
    assert f"Measured by a small forest on {judged}" in told.what
    assert "kept in one fold" in told.what


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_where_copies_change_nothing_the_finding_becomes_a_note(kind: str) -> None:
    others = np.random.default_rng(4).permutation(N) // 2
    dataset = pictures(kind)
    assert dataset.target is not None
    told = replace(dataset, target=np.random.default_rng(5).permutation(dataset.target))
    describe = surroundings if kind == "masks" else looks
    (note,) = with_effects([finding()], told, units=others, describe=describe)
    assert note.effect is not None
    assert note.severity is Severity.NOTE


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_things_that_no_column_names_are_kept_whole_by_a_contrast_which_is_then_gone(kind: str) -> None:
    told = measured(kind, finding(fix=None, contrast=Contrast(rows=np.arange(N), units=COPIES)), units=None)
    assert told.effect is not None
    assert "with its groups kept whole" in told.what
    assert told.contrast is None
    assert "contrast" not in json.loads(json.dumps(told.to_json()))


def test_what_files_tell_is_measured_on_the_rows_where_it_is_known() -> None:
    rows = np.arange(10, N)
    states = pictures("classes").judged[rows].astype(np.float64)
    told = measured("classes", finding(fix=None, contrast=Contrast(rows=rows, states=states)))
    assert told.effect is not None
    assert told.effect.n_rows == len(rows)
    assert told.effect.as_is > 0.9
    assert told.effect.mended < 0.7
    assert told.severity is Severity.WARNING
    assert "where the forest is told of it" in told.what


def test_a_column_of_a_table_with_several_labels_is_weighed_by_all_of_them() -> None:
    generator = np.random.default_rng(6)
    table = make_dataset({"x": generator.normal(size=N), "later": CHANCE[COPIES, 0].astype(float), "y": np.zeros(N)})
    task, target = TASKS["labels"]
    dataset = replace(table, task=task, target=np.where(generator.random(target.shape) < 0.1, np.nan, target))
    (told,) = with_effects([finding(Fix(kind=FixKind.DROP_COLUMN, columns=("later",)))], dataset)
    assert told.effect is not None
    assert told.effect.metric == "roc_auc_macro"
    assert told.effect.high < 0


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("classes", {"describe": None}, "can read none of the columns"),
        ("masks", {"describe": None}, "can read none of the columns"),
        ("labels", {"obstacle": "the run has less than 60 seconds"}, "less than 60 seconds"),
        ("values", {"units": None}, "no rows are kept together"),
        ("masks", {"units": np.zeros(N, np.int64)}, "all rows would be in one fold"),
    ],
)
def test_what_is_not_measured_says_why(kind: str, options: dict[str, Any], why: str) -> None:
    told = measured(kind, finding(), **options)
    assert told.effect is None
    assert "What this does to the score was not measured: " in told.what
    assert why in told.what


def test_only_the_gravest_are_measured_and_the_others_say_so() -> None:
    notes = [replace(finding(), severity=Severity.NOTE, code=f"note {number}") for number in range(9)]
    told = with_effects([*notes, finding()], pictures("classes"), units=COPIES, describe=looks)
    assert told[-1].effect is not None
    assert sum(each.effect is None for each in told) == 2
    assert "gravest" in told[8].what


def test_a_finding_without_a_remedy_is_left_as_it_is() -> None:
    plain = finding(fix=None)
    assert with_effects([plain], pictures("classes"), units=COPIES, describe=looks) == [plain]


def test_a_row_is_described_once() -> None:
    asked: list[int] = []

    def counted(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return looks(rows)

    describe = remembered(counted)
    np.testing.assert_array_equal(describe(np.arange(5)), LOOKS[:5])
    np.testing.assert_array_equal(describe(np.array([7, 2, 4])), LOOKS[[7, 2, 4]])
    assert sorted(asked) == [0, 1, 2, 3, 4, 7]
