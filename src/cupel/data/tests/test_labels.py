from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cupel import data
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Severity
from cupel.core.task import TaskKind
from cupel.data.label_sets import look_like_sets, sets_of
from cupel.data.label_strata import label_strata


def table(n_rows: int = 60, seed: int = 0) -> dict[str, list]:
    generator = np.random.default_rng(seed)
    amount = generator.normal(size=n_rows)
    holds = {name: (amount + generator.normal(size=n_rows) > 0).astype(int).tolist() for name in ("red", "round", "big")}
    return {"amount": amount.tolist(), "colour": ["a", "b", "c"] * (n_rows // 3), **holds}


def sets(columns: dict[str, list], delimiter: str = "|") -> list[str]:
    names = ("red", "round", "big")
    rows = zip(*(columns[name] for name in names), strict=True)
    return [delimiter.join(name for name, cell in zip(names, row, strict=True) if cell) or "[]" for row in rows]


def test_several_columns_are_several_labels() -> None:
    columns = table()
    columns["red"][3] = None
    dataset = data.read(columns, target="red,round,big")
    assert dataset.task is not None
    assert (dataset.task.kind, dataset.task.classes) == (TaskKind.MULTILABEL, ("red", "round", "big"))
    assert dataset.task.metric == "roc_auc_macro"
    assert [column.name for column in dataset.schema.features] == ["amount", "colour"]
    assert np.isnan(dataset.target[3, 0])
    np.testing.assert_array_equal(dataset.target[:, 1], columns["round"])
    assert {"several-labels", "unknown-labels"} <= {finding.code for finding in dataset.findings}
    assert data.read(columns, target=["red", "round", "big"]).fingerprint == dataset.fingerprint


def test_the_fingerprint_sees_every_label() -> None:
    columns = table()
    before = data.read(columns, target=["red", "round"]).fingerprint
    changed = {**columns, "round": [1 - columns["round"][0], *columns["round"][1:]]}
    unknown = {**columns, "round": [None, *columns["round"][1:]]}
    found = {data.read(each, target=["red", "round"]).fingerprint for each in (changed, unknown)}
    assert len(found | {before}) == 3


@pytest.mark.parametrize("delimiter", ["|", ";", ",", " "])
def test_sets_of_labels_say_what_columns_say(delimiter: str) -> None:
    columns = table()
    cells = {"amount": columns["amount"], "tags": sets(columns, delimiter)}
    found = data.read(cells, target="tags", task="multilabel")
    expected = data.read(columns, target=["big", "red", "round"])
    assert found.task.classes == ("big", "red", "round")
    np.testing.assert_array_equal(found.target, expected.target)


def test_list_columns_of_parquet_and_json_texts_are_sets(tmp_path: Path) -> None:
    columns = table()
    listed = [[] if cell == "[]" else cell.split("|") for cell in sets(columns)]
    path = tmp_path / "things.parquet"
    pl.DataFrame({"amount": columns["amount"], "tags": listed}).write_parquet(path)
    found = data.read(path, target="tags", task="multilabel")
    np.testing.assert_array_equal(found.target, data.read(columns, target=["big", "red", "round"]).target)


def test_an_empty_cell_of_a_set_says_nothing_and_an_empty_list_says_none() -> None:
    cells = sets_of("tags", np.array(["red|round", None, "[]", '["red"]'], dtype=object))
    assert cells == [frozenset({"red", "round"}), None, frozenset(), frozenset({"red"})]
    columns = {"amount": list(range(40)), "tags": ["red|round", "round", "red", "[]", None] * 8}
    found = data.read(columns, target="tags", task="multilabel")
    assert found.n_samples == 32
    assert "target-missing" in {finding.code for finding in found.findings}


def test_labels_of_hardly_any_row_are_left_out_and_named() -> None:
    tags = sets(table())
    tags[0] += "|odd"
    found = data.read({"amount": list(range(60)), "tags": tags}, target="tags", task="multilabel")
    assert "odd" not in found.task.classes
    assert any(finding.code == "labels-left-out" and "odd" in finding.what for finding in found.findings)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"target": "red,wrong"}, DataError, "wrong"),
        ({"target": ["red", "red"]}, UsageError, "different columns"),
        ({"target": ["red", "amount"]}, DataError, "each is a label"),
        ({"target": ["red", "same"]}, DataError, "'same'"),
        ({"target": ["red", "round"], "task": "binary"}, UsageError, "several labels"),
        ({"target": ["red", "round"], "positive": "1"}, UsageError, "positive"),
        ({"target": "amount", "task": "multilabel"}, DataError, "labels"),
        ({"target": "broken", "task": "multilabel"}, DataError, "row 1"),
    ],
)
def test_what_cannot_be_labels_is_refused_in_words(change: dict, error: type, words: str) -> None:
    columns = {**table(), "same": [1] * 60, "broken": ["[1, 2"] * 60}
    with pytest.raises(error, match=words):
        data.read(columns, **change)


def test_a_column_that_looks_like_sets_is_pointed_out() -> None:
    columns = table()
    found = data.read({"amount": columns["amount"], "tags": sets(columns)}, target="tags")
    assert found.task.kind is TaskKind.MULTICLASS
    pointed = next(finding for finding in found.findings if "--task multilabel" in finding.what)
    assert pointed.severity is Severity.WARNING, "another question than the one that was meant"
    assert look_like_sets(["red|round", "red", "round|big", "big|red"])
    assert not look_like_sets(["Smith, John", "Miller, Ann", "Brown, Eve", "Jones, Max"])
    assert not look_like_sets(["yes", "no", "perhaps"])


def test_rare_labels_are_spread_over_the_folds() -> None:
    generator = np.random.default_rng(0)
    target = (generator.random((200, 5)) < [0.5, 0.3, 0.2, 0.1, 0.03]).astype(float)
    columns = {"amount": generator.normal(size=200), **{f"label {k}": target[:, k].astype(int) for k in range(5)}}
    dataset = data.read(columns, target=[f"label {k}" for k in range(5)])
    splits = data.split(dataset, n_folds=5)

    def ranges(folds: tuple) -> np.ndarray:
        return np.ptp([target[fold.valid].sum(axis=0) for fold in folds], axis=0)

    assert (ranges(splits.folds) <= [2, 3, 4, 3, 1]).all()
    assert ranges(splits.folds).sum() < ranges(data.split(dataset, n_folds=5, scheme="k-fold").folds).sum() / 2
    assert "labels in proportion" in splits.reason
    strata = label_strata(target, n_folds=5)
    assert len(strata) == 200
    assert np.bincount(strata).min() >= 1


def test_cells_missing_where_a_label_holds_are_pointed_out() -> None:
    generator = np.random.default_rng(0)
    red = generator.random(300) < 0.5
    columns = {
        "amount": np.where(red & (generator.random(300) < 0.8), np.nan, generator.normal(size=300)),
        "other": generator.normal(size=300),
        "red": red.astype(int),
        "round": generator.integers(0, 2, 300),
    }
    dataset = data.read(columns, target=["red", "round"])
    found = data.judge_quality(dataset, data.profile(dataset))
    assert [finding.where for finding in found if finding.code == "telling-absence"] == ["amount"]


def test_a_label_that_a_column_gives_away_is_found() -> None:
    generator = np.random.default_rng(0)
    amount, other = generator.normal(size=(2, 300))
    columns = {
        "amount": amount,
        "told": other,
        "red": (amount + generator.normal(size=300) > 0).astype(int),
        "round": (other > 0.1).astype(int),
    }
    dataset = data.read(columns, target=["red", "round"])
    profile = data.profile(dataset)
    told = {column.name: column.association for column in profile.columns}
    assert told["told"] > 0.9 > told["amount"] > 0.2
    leaks = [finding for finding in data.judge_quality(dataset, profile) if finding.code == "leak"]
    assert [(leak.where, "'round'" in leak.what) for leak in leaks] == [("told", True)]
    assert profile.class_counts == (int(columns["red"].sum()), int(columns["round"].sum()))
    assert not [f for f in data.judge_quality(replace(dataset), profile) if f.code in ("imbalance", "skewed-target")]
