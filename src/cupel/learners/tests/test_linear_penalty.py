"""The penalty of a logistic regression is chosen on fewer rows, where they can tell."""

from __future__ import annotations

import numpy as np

from cupel.core.task import Task, TaskKind
from cupel.learners.linear import MOST_TO_CHOOSE, _enough_to_choose

BINARY = Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("no", "yes"))


def test_a_part_of_many_rows_chooses() -> None:
    target = np.random.default_rng(0).integers(0, 2, 3 * MOST_TO_CHOOSE)
    few = _enough_to_choose(target, BINARY)
    assert len(few) == MOST_TO_CHOOSE
    assert (few == _enough_to_choose(target, BINARY)).all()


def test_all_rows_choose_where_a_class_is_rare() -> None:
    target = (np.arange(3 * MOST_TO_CHOOSE) < 20).astype(np.int64)
    assert _enough_to_choose(target, BINARY) == slice(None)
