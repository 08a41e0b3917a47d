import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupel import data
from cupel.core.decoding import decode
from cupel.core.errors import DataError, UsageError
from cupel.core.feeds import feeds_of
from cupel.core.modality import GraphInput
from cupel.core.schema import ColumnKind, Schema
from cupel.core.task import TaskKind
from cupel.data.files import read_columns

N = 60
MIXED = {
    "id": [f"c{i:04d}" for i in range(N)],
    "age": [20 + i % 40 for i in range(N)],
    "height": [None if i % 9 == 0 else 1.5 + i / 100 for i in range(N)],
    "town": [["Bonn", "Ulm", "Kiel"][i % 3] if i % 10 else None for i in range(N)],
    "member": [bool(i % 2) for i in range(N)],
    "since": [f"2024-01-{1 + i % 28:02d}" for i in range(N)],
    "note": [f"word{i} and some more of what was said on day {i}" for i in range(N)],
    "one": ["x"] * N,
    "churn": ["yes" if i % 3 else "no" for i in range(N)],
}


def with_target(target, **options):
    return data.read({"a": [i % 7 for i in range(len(target))], "y": target}, target="y", **options)


def finding(dataset, code):
    return next(found for found in dataset.findings if found.code == code)


def test_a_table_becomes_a_typed_dataset():
    dataset = data.read(MIXED, target="churn")
    kinds = {column.name: column.kind.value for column in dataset.schema.columns}
    assert kinds == {
        "id": "identifier",
        "age": "number",
        "height": "number",
        "town": "category",
        "member": "boolean",
        "since": "datetime",
        "note": "text",
        "one": "constant",
        "churn": "boolean",
    }
    assert [column.name for column in dataset.schema.features] == ["age", "height", "town", "member", "since"]
    assert dataset.columns["town"].dtype == np.int32
    assert dataset.columns["town"][0] == -1
    assert dataset.schema["town"].levels[dataset.columns["town"][1]] == "Ulm"
    assert (dataset.schema["age"].low, dataset.schema["age"].high) == (20, 59)
    assert dataset.columns["since"][0] == np.datetime64("2024-01-01", "s").astype(np.int64)
    assert dataset.task.classes == ("no", "yes")
    assert dataset.task.metric == "roc_auc"
    assert dataset.target.tolist() == [0 if i % 3 == 0 else 1 for i in range(N)]
    assert dataset.row_numbers.tolist() == list(range(N))


def test_without_a_target_there_is_no_task():
    dataset = data.read(MIXED)
    assert dataset.task is None
    assert dataset.target is None
    assert dataset.n_samples == N


def test_the_fingerprint_tells_the_data_and_not_the_format(tmp_path):
    frame = pl.DataFrame(MIXED)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "b.tsv", separator="\t", null_value="NA", quote_style="always")
    frame.with_columns(pl.col("since").str.to_date()).write_parquet(tmp_path / "c.parquet")
    frame.write_ndjson(tmp_path / "d.jsonl")
    sources = [MIXED, frame, *(tmp_path / name for name in ("a.csv", "b.tsv", "c.parquet", "d.jsonl"))]
    if pytest.importorskip("pandas"):
        sources.append(frame.to_pandas())
    assert len({data.read(source, target="churn").fingerprint for source in sources}) == 1
    changed = [
        frame.with_columns(pl.col("age") + 1),
        frame.rename({"age": "years"}),
        frame.reverse(),
        frame.with_columns(pl.col("note").str.replace("word7 ", "word8 ")),
        frame.drop("one"),
    ]
    others = {data.read(source, target="churn").fingerprint for source in changed}
    others |= {data.read(frame, target="member").fingerprint, data.read(frame, target="churn", group="town").fingerprint}
    assert len({*others, data.read(MIXED, target="churn").fingerprint}) == 8


def test_cells_of_a_dataset_decode_to_what_it_holds():
    dataset = data.read(MIXED, target="churn")
    for column in dataset.schema.columns:
        cells = dataset.cells(column.name)
        again = decode(cells, column)
        assert not len(again.unreadable)
        if column.kind.is_numeric:
            np.testing.assert_array_equal(again.values, dataset.columns[column.name])
        elif column.kind in (ColumnKind.TEXT, ColumnKind.IDENTIFIER):
            assert again.values.tolist() == dataset.columns[column.name].tolist()


def test_learning_and_prediction_read_the_same_rows_alike(tmp_path):
    pl.DataFrame(MIXED).write_csv(tmp_path / "t.csv")
    dataset = data.read(tmp_path / "t.csv", target="churn")
    raw = read_columns(tmp_path / "t.csv")
    fed = feeds_of(
        dataset,
        np.arange(N),
        [GraphInput(name="n", kind="numbers", columns=("age", "since")), GraphInput(name="c", kind="strings", columns=("town",))],
    )
    for position, name in enumerate(("age", "since")):
        np.testing.assert_array_equal(decode(raw[name], dataset.schema[name]).values, fed["n"][:, position])
    assert decode(raw["town"], dataset.schema["town"]).values.tolist() == fed["c"][:, 0].tolist()


def test_the_schema_survives_json():
    schema = data.read(MIXED, target="churn").schema
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    ("target", "kind", "classes"),
    [
        (["0", "1", "1"] * 10, TaskKind.BINARY, ("0", "1")),
        ([0.0, 1.0, 1.0] * 10, TaskKind.BINARY, ("0", "1")),
        ([-1, 1, 1] * 10, TaskKind.BINARY, ("-1", "1")),
        ([0.5, 1.5] * 10, TaskKind.BINARY, ("0.5", "1.5")),
        ([True, False] * 10, TaskKind.BINARY, ("false", "true")),
        (["+", "-"] * 10, TaskKind.BINARY, ("+", "-")),
        (["<=50K", ">50K"] * 10, TaskKind.BINARY, ("<=50K", ">50K")),
        (["None", "Some"] * 10, TaskKind.BINARY, ("None", "Some")),
        (["b", "a", "c"] * 10, TaskKind.MULTICLASS, ("a", "b", "c")),
        ([0, 1, 2] * 20, TaskKind.MULTICLASS, ("0", "1", "2")),
        (list(range(1, 11)) * 20, TaskKind.MULTICLASS, tuple(map(str, range(1, 11)))),
        (list(range(3, 9)) * 30, TaskKind.REGRESSION, ()),
        ([0, 1, 2, 50, 99] * 30, TaskKind.REGRESSION, ()),
        (list(range(30)) * 20, TaskKind.REGRESSION, ()),
        (list(range(60)), TaskKind.REGRESSION, ()),
        (list(np.linspace(0, 1, 40)), TaskKind.REGRESSION, ()),
        ([0.5, 1.5, 2.5] * 20, TaskKind.REGRESSION, ()),
        (["$1,200.50", "$3", "$4.5"] * 20, TaskKind.REGRESSION, ()),
    ],
)
def test_the_task_is_found_from_the_target(target, kind, classes):
    dataset = with_target(target)
    assert dataset.task.kind is kind
    assert dataset.task.classes == classes
    assert dataset.target.dtype == (np.float64 if kind is TaskKind.REGRESSION else np.int64)


def test_a_doubtful_task_is_explained():
    found = finding(with_target([0, 1, 2] * 20), "task-guessed")
    assert "task=regression" in found.action
    assert "task=classification" in finding(with_target(list(range(3, 9)) * 30), "task-guessed").action
    assert not with_target(["0", "1"] * 20).findings


def test_the_task_can_be_set():
    numbers = list(range(3, 9)) * 30
    assert with_target(numbers, task="classification").task.kind is TaskKind.MULTICLASS
    assert with_target(numbers, task="multiclass").schema["y"].kind is ColumnKind.CATEGORY
    assert with_target([0, 1, 2] * 20, task="regression").target.dtype == np.float64
    assert with_target([0, 1] * 20, task="regression").task.metric == "rmse"
    assert with_target([0, 1] * 20, task=TaskKind.MULTICLASS).task.kind is TaskKind.MULTICLASS
    assert with_target([0, 1] * 20, metric="accuracy").task.metric == "accuracy"
    assert with_target([0, 1, 2] * 20, kinds={"y": "category"}).task.kind is TaskKind.MULTICLASS


def test_the_metric_says_what_numbers_are_where_they_leave_it_open():
    assert with_target(list(range(10)) * 5).task.kind is TaskKind.REGRESSION
    few = with_target(list(range(10)) * 5, metric="accuracy")
    assert few.task.kind is TaskKind.MULTICLASS
    assert not few.findings
    assert with_target(list(range(30)) * 20, metric="log_loss").task.kind is TaskKind.MULTICLASS
    assert with_target([0, 1, 2] * 20, metric="mae").task.kind is TaskKind.REGRESSION
    assert with_target([0, 1] * 20, metric="rmse").task.kind is TaskKind.BINARY  # refused later, by name
    assert with_target(list(np.linspace(0, 1, 40)), metric="accuracy").task.kind is TaskKind.REGRESSION  # refused later, by name


def test_the_positive_class_can_be_set():
    dataset = with_target(["good", "bad"] * 10, positive="bad")
    assert dataset.task.classes == ("good", "bad")
    assert dataset.target[:2].tolist() == [0, 1]
    assert with_target([0, 1] * 10, positive=0).task.classes == ("1", "0")
    assert with_target([True, False] * 10, positive=False).target[:2].tolist() == [0, 1]
    assert with_target(["yes", "no"] * 10, positive="no").target[:2].tolist() == [0, 1]
    with pytest.raises(UsageError, match=r"'maybe'.*'bad', 'good'"):
        with_target(["good", "bad"] * 10, positive="maybe")
    with pytest.raises(UsageError, match="3 classes"):
        with_target(["a", "b", "c"] * 10, positive="a")
    with pytest.raises(UsageError, match="regression"):
        with_target(list(np.linspace(0, 1, 40)), positive="a")


def test_rows_without_a_target_are_left_out():
    dataset = data.read({"a": list(range(10)), "c": list("aabbccddee"), "y": ["x", None, "z", "NA", "x"] * 2}, target="y")
    assert dataset.row_numbers.tolist() == [0, 2, 4, 5, 7, 9]
    assert dataset.n_samples == len(dataset.target) == 6
    assert set(dataset.schema["c"].levels) == set("abcde")
    assert "4 of 10 rows" in finding(dataset, "target-missing").what


def test_infinite_and_unreadable_values_are_missing_and_reported():
    a = ["1.5", "inf", *map(str, np.arange(48) / 7), "broken"]
    dataset = data.read({"a": a, "y": ["u", "v", "w"] * 17}, target="y")
    assert np.isnan(dataset.columns["a"][[1, 50]]).all()
    assert "1 of 51" in finding(dataset, "infinite-values").what
    assert "'broken'" in finding(dataset, "unreadable-cells").what
    assert with_target([np.inf, *np.arange(48) / 7]).n_samples == 48


def test_markers_are_gathered_in_one_note():
    table = {"a": ["x", "y", "?", "x"] * 5, "b": ["u", "v", "w", "?"] * 5, "y": [0, 1] * 10}
    assert finding(data.read(table, target="y"), "missing-markers").what.endswith("'?' in a (5), b (5).")


def test_a_class_with_one_row_is_reported():
    assert "'rare'" in finding(with_target(["a", "b"] * 10 + ["rare"]), "single-row-class").what


def test_columns_keep_the_kind_that_was_set():
    dataset = data.read(
        {"zip": [10115, 20095] * 10, "b": ["0", "1"] * 10, "y": [0, 1] * 10}, target="y", kinds={"zip": "category"}
    )
    assert dataset.schema["zip"].overridden
    assert dataset.schema["zip"].levels == ("10115", "20095")
    assert not dataset.schema["b"].overridden


def test_groups_and_times_are_read_as_what_they_are_for():
    n = 40
    table = {
        "patient": [f"p{i:03d}" for i in range(n)],
        "step": list(range(n)),
        "a": [i % 5 for i in range(n)],
        "y": [0, 1] * (n // 2),
    }
    dataset = data.read(table, target="y", group="patient", time="step")
    assert dataset.schema["patient"].kind is ColumnKind.CATEGORY
    assert dataset.schema["step"].kind is ColumnKind.NUMBER
    assert [column.name for column in dataset.schema.features] == ["step", "a"]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_moments_and_durations_of_any_unit_are_read(unit):
    n = 20
    table = {
        "when": np.arange(n).astype(f"datetime64[{unit}]"),
        "long": np.arange(n).astype(f"timedelta64[{unit}]"),
        "same moment": np.zeros(n, f"datetime64[{unit}]"),
        "same duration": np.zeros(n, f"timedelta64[{unit}]"),
        "y": [0, 1] * (n // 2),
    }
    dataset = data.read(table, target="y")
    kinds = [dataset.schema[name].kind.value for name in table]
    assert kinds[2:4] == ["constant", "constant"]
    assert (dataset.columns["same moment"] == 0).all()
    assert (dataset.columns["same duration"] == 0).all()
    assert not [found.code for found in dataset.findings]


def test_columns_without_names_are_named_by_position():
    array = np.column_stack([np.linspace(0, 1, 40), np.arange(40) % 2])
    assert data.read(array, target=1).task.target == "1"
    with pytest.raises(DataError, match="target='7'"):
        data.read(array, target=7)


def test_a_single_running_number_is_learned_from():
    dataset = data.read({"x": list(range(50)), "y": [i / 7 for i in range(50)]}, target="y")
    assert dataset.schema["x"].kind is ColumnKind.NUMBER


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "Y"}, r"target='Y'.*Did you mean 'y'.*a, y"),
        ({"target": "y", "group": "zz"}, "group='zz'"),
        ({"target": "y", "time": "zz"}, "time='zz'"),
        ({"target": "y", "kinds": {"zz": "number"}}, "kinds='zz'"),
        ({"target": "y", "group": "y"}, "group='y' is the target"),
        ({"target": "y", "time": "y"}, "time='y' is the target"),
        ({"target": "y", "task": "ranking"}, "'ranking'"),
        ({"target": "y", "task": "regression"}, "no number: it holds 'u', 'v'"),
        ({"target": "y", "task": "binary"}, "3 classes"),
        ({"target": "y", "kinds": {"y": "number"}}, "'u'"),
        ({"target": "a", "time": "y"}, "no order in time"),
    ],
)
def test_questions_that_do_not_fit_are_refused(options, expected):
    table = {"a": [i % 7 for i in range(30)], "y": ["u", "v", "w"] * 10}
    with pytest.raises((DataError, UsageError), match=expected):
        data.read(table, **options)


@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        ([None] * 20, {}, "missing in all 20 rows"),
        (["", "NA"] * 10, {}, "missing in all 20 rows"),
        ([1] * 20, {}, "one value '1'"),
        (["a", None] * 10, {}, "one value 'a'"),
        ([1.0, np.inf] * 10, {}, "one value '1'"),
        ([f"a text of some length number {i}" for i in range(120)], {}, "120 different texts"),
        ([f"c{i % 1500:04d}" for i in range(6000)], {}, "1500 classes.*task=regression"),
        ([f"2024-01-{1 + i % 28:02d}" for i in range(60)], {}, "dates"),
        ([1.5, 1.5, 1.5, "x"] * 10, {"task": "regression", "kinds": {"y": "number"}}, "one value '1.5'"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(target, options, expected):
    with pytest.raises(DataError, match=expected):
        with_target(target, **options)


def test_tables_that_cannot_be_learned_from_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    for text, expected in (("a,y\n", "no rows"), ("y\n1\n0\n", "one column 'y'"), ("y,y,a\n1,2,3\n", "more than once")):
        path.write_text(text)
        with pytest.raises(DataError, match=expected):
            data.read(path, target="y")


def test_moments_that_order_the_rows_must_be_complete():
    table = {"when": ["2024-01-01", None, "2024-01-02"] * 5, "a": [1, 2, 3] * 5, "y": [0, 1, 1] * 5}
    with pytest.raises(DataError, match="missing or unreadable in 5 rows"):
        data.read(table, target="y", time="when")


cell = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(width=16), st.text("ab1-?. /,", max_size=4))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=25))
def test_any_table_is_read_or_refused_with_a_reason(rows):
    table = dict(zip(("a", "b", "y"), map(list, zip(*rows, strict=True)), strict=True))
    try:
        dataset = data.read(table, target="y")
    except (DataError, UsageError):
        return
    assert dataset.n_samples == len(dataset.target) == len(dataset.row_numbers)
    if dataset.task.is_classification:
        assert set(dataset.target.tolist()) == set(range(len(dataset.task.classes)))
    else:
        assert np.isfinite(dataset.target).all()
    for column in dataset.schema.columns:
        values = dataset.columns[column.name]
        assert len(values) == dataset.n_samples
        if column.kind.is_numeric:
            assert values.dtype == np.float64
            assert not np.isinf(values).any()


def test_reading_needs_nothing_but_numpy_and_polars():
    heavy = ["torch", "sklearn", "scipy", "pandas", "pyarrow", "onnx", "lightgbm", "fastexcel", "psycopg"]
    script = f"import sys, cupel.data, cupel.data.files, cupel.data.reading; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_what_the_folder_promises_is_there():
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = data.nothing_of_the_kind
    assert callable(data.read)
    assert callable(data.read_columns)
