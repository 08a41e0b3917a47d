from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.evaluation import permutation_importance

INPUTS = [
    GraphInput(name="number", kind="numbers", columns=("strong", "weak", "unused")),
    GraphInput(name="category", kind="strings", columns=("colour",)),
]


def dataset_of(n_rows: int) -> Dataset:
    generator = np.random.default_rng(0)
    numbers = {name: generator.normal(size=n_rows) for name in INPUTS[0].columns}
    colour = generator.integers(-1, 2, n_rows).astype(np.int32)
    target = 3 * numbers["strong"] + numbers["weak"] + 2.0 * (colour == 1) + generator.normal(0, 0.1, n_rows)
    columns = tuple(Column(name=name, kind=ColumnKind.NUMBER) for name in numbers)
    schema = Schema((*columns, Column(name="colour", kind=ColumnKind.CATEGORY, levels=("red", "blue"))))
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
    return Dataset(schema, {**numbers, "colour": colour}, "f", task=task, target=target)


def predict(feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    numbers, colours = feeds["number"], feeds["category"]
    return (3 * numbers[:, 0] + numbers[:, 1] + 2.0 * (colours[:, 0] == "blue"))[:, None]


def test_features_are_ranked_by_what_the_model_needs() -> None:
    parts = [(np.arange(0, 300), predict), (np.arange(300, 600), predict)]
    found = permutation_importance(parts, dataset_of(600), "rmse", inputs=INPUTS, seed=1)
    assert [importance.name for importance in found] == ["strong", "weak", "colour", "unused"]
    assert found[0].low > found[1].high
    assert (found[-1].drop, found[-1].low, found[-1].high) == (0.0, 0.0, 0.0)
    assert found[0].low <= found[0].drop <= found[0].high


def test_a_seed_and_a_limit_on_rows_give_the_same_answer_again() -> None:
    seen: list[int] = []

    def counting(feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        seen.append(len(feeds["number"]))
        return predict(feeds)

    parts = [(np.arange(0, 900), counting), (np.arange(900, 1000), counting), (np.arange(0), counting)]
    first, second = (
        permutation_importance(parts, dataset_of(1000), "mae", inputs=INPUTS, seed=3, max_rows=100) for _ in range(2)
    )
    assert first == second
    assert max(seen) == 270


def test_rows_that_count_once_leave_a_drop_as_unsure_as_few_rows_do() -> None:
    copies = np.arange(600) // 10
    dataset, parts = dataset_of(60).at(copies), [(np.arange(600), predict)]
    apart, together = (permutation_importance(parts, dataset, "rmse", inputs=INPUTS, units=units)[0] for units in (None, copies))
    assert together.drop == apart.drop
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
