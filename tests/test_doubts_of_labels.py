"""A run names rows whose labels its own model contradicts, also where several labels may hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from cupel.conclusion import _with_doubts
from cupel.core.finding import Finding, Severity
from cupel.data.reading import read

N_ROWS = 200


def test_a_label_that_what_is_packed_contradicts_is_told_instead_of_a_small_forest_s_doubts() -> None:
    generator = np.random.default_rng(0)
    truth = (generator.random((N_ROWS, 2)) < 0.4).astype(int)
    labels = truth.copy()
    labels[7, 1] = 1 - labels[7, 1]
    columns = {"x": generator.normal(size=N_ROWS), "red": labels[:, 0], "round": labels[:, 1]}
    dataset = read(columns, target=["red", "round"])
    earlier = Finding(code="doubtful-labels", severity=Severity.NOTE, where="y", what="By a forest.", action="")
    other = Finding(code="few-rows", severity=Severity.NOTE, where="rows", what="Few.", action="")
    problem: Any = SimpleNamespace(task=dataset.task, dataset=dataset, splits=SimpleNamespace(covered=np.arange(N_ROWS)))
    judged: Any = SimpleNamespace(findings=(earlier, other))
    pick: Any = SimpleNamespace(out_of_fold=np.where(truth == 1, 0.95, 0.05))
    kept, told = _with_doubts(problem, judged, pick)
    assert kept is other
    assert told.fix is not None
    assert told.fix.rows == (8,)
    assert "row 8" in told.what
    assert "'round'" in told.what
    assert "what is packed" in told.what
