"""Boosting ends while there is time left for what must follow: predicting, and writing all folds' trees."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from lightgbm.callback import EarlyStopException

from cupel.core.budget import Deadline
from cupel.core.task import Task, TaskKind
from cupel.learners.lightgbm import SECONDS_TO_EXPORT, _Cut, _seconds_after_a_round

MANY = Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=tuple("abcdefgh"))


def ended(seconds: float, after: float, *, n_rounds: int) -> bool:
    cut = _Cut(Deadline(seconds), after)
    try:
        cut(SimpleNamespace(iteration=n_rounds - 1, evaluation_result_list=[]))
    except EarlyStopException:
        assert cut.happened
    return cut.happened


def test_what_follows_grows_with_classes_rows_and_folds() -> None:
    assert _seconds_after_a_round(0, MANY, n_units=5) == pytest.approx(8 * 5 * SECONDS_TO_EXPORT)
    assert _seconds_after_a_round(10_000, MANY, n_units=5) > _seconds_after_a_round(1_000, MANY, n_units=5)


def test_rounds_end_before_their_time_by_what_follows_them() -> None:
    assert not ended(10.0, 0.05, n_rounds=100)
    assert ended(10.0, 0.05, n_rounds=201)
    assert ended(-1.0, 0.0, n_rounds=1)
    assert not ended(1.0, 0.0, n_rounds=10_000)
