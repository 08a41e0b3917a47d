"""Masks as they are learned, judged and kept."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.masks import VOID, grid_of, judged_answers, judged_predictions, on_grid, shares_of
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import MOST_JUDGED, Task, TaskKind


def task(*grid: int, classes: tuple[str, ...] = ("0", "1", "2")) -> Task:
    return Task(kind=TaskKind.SEGMENTATION, target="mask", metric="dice", classes=classes, grid=grid)


def test_a_grid_has_the_median_shape_in_steps_of_eight_and_is_not_too_large() -> None:
    assert grid_of([(40, 50), (40, 50), (400, 10)], n_classes=2) == (40, 48)
    assert grid_of([(512, 512)] * 30, n_classes=2) == (256, 256)
    assert grid_of([(512, 1024)] * 30, n_classes=2) == (128, 256)
    assert grid_of([(3, 3)], n_classes=2) == (16, 16)


def test_a_grid_shrinks_with_many_pictures_and_many_classes() -> None:
    few, many = grid_of([(256, 256)] * 500, n_classes=2), grid_of([(256, 256)] * 5000, n_classes=2)
    assert many[0] < few[0]
    assert grid_of([(256, 256)] * 5000, n_classes=40)[0] < many[0]


def test_labels_are_taken_and_never_mixed() -> None:
    labels = np.array([[0, 9], [9, 0]], np.uint8).repeat(50, axis=0).repeat(50, axis=1)
    for grid in ((16, 24), (200, 300), (100, 100), (1, 1)):
        found = on_grid(labels, grid)
        assert found.shape == grid
        assert set(np.unique(found)) <= {0, 9}
    assert np.array_equal(on_grid(labels, (2, 2)), [[0, 9], [9, 0]])


@pytest.mark.parametrize("grid", [(16, 16), (256, 256), (64, 200)])
def test_predictions_and_answers_are_judged_at_the_same_points(grid: tuple[int, int]) -> None:
    asked = task(*grid)
    places = np.arange(np.prod(grid)).reshape(grid)
    predictions = np.stack([places + 1_000_000 * klass for klass in range(3)]).reshape(1, -1)
    kept = judged_predictions(asked, predictions)
    assert kept.shape == (1, asked.n_judged)
    answers = judged_answers(asked, places[None])
    assert answers.shape[1] * 3 == asked.n_judged
    assert answers.shape[1] <= MOST_JUDGED * 1.1
    for klass in range(3):
        assert np.array_equal(kept.reshape(1, 3, -1)[:, klass], answers + 1_000_000 * klass)


def test_other_tasks_are_judged_as_they_are() -> None:
    plain = Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("a", "b"))
    target, predictions = np.arange(4), np.random.default_rng(0).random((4, 2))
    assert judged_answers(plain, target) is target
    assert judged_predictions(plain, predictions) is predictions
    assert plain.n_judged == plain.n_outputs == 2


def test_a_task_with_a_grid_is_read_back_from_json_and_others_have_none() -> None:
    asked = task(16, 24)
    assert Task.from_json({**asked.to_json(), "classes": list(asked.classes), "grid": list(asked.grid)}) == asked
    assert asked.n_outputs == 3 * 16 * 24
    assert "grid" not in Task(kind=TaskKind.REGRESSION, target="y", metric="rmse").to_json()


def test_a_dataset_of_masks_is_divided_by_how_much_is_not_the_commonest_class() -> None:
    target = np.zeros((3, 16, 16), np.uint8)
    target[1, :8], target[2, :4], target[2, 4:8] = 1, 2, VOID
    schema = Schema((Column(name="mask", kind=ColumnKind.IMAGE, channels=1),), target="mask")
    dataset = Dataset(schema=schema, columns={"mask": np.empty(3, object)}, fingerprint="", task=task(16, 16), target=target)
    assert np.allclose(shares_of(task(16, 16), target), [[1, 0, 0], [0.5, 0.5, 0], [2 / 3, 0, 1 / 3]])
    assert np.allclose(dataset.summary.target, [0, 0.5, 1 / 3])
    assert dataset.summary.task is not None
    assert dataset.summary.task.kind is TaskKind.REGRESSION
    assert dataset.unasked.task is None
    assert dataset.judged.shape == (3, 256)
