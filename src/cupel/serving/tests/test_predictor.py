import subprocess
import sys
import threading

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import packed_examples as examples
from cupel.core.errors import ArtifactError, DataError, UsageError
from cupel.serving import Predictor, load
from cupel.serving.rows import rows_of


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return {kind: examples.packed(folder, kind) for kind in ("binary", "multiclass", "regression")}


@pytest.fixture
def binary(paths):
    return load(paths["binary"])


def test_predictions_are_those_of_the_model_in_numpy(paths):
    for kind, path in paths.items():
        predictor = load(path)
        expected = examples.Linear(predictor.task.n_outputs, scale=5000.0 if kind == "regression" else 1.0).predict(
            examples.blocks_of(examples.golden_feeds())
        )
        given = predictor.predict_columns(examples.GOLDEN)
        if kind == "regression":
            np.testing.assert_allclose(given["prediction"], expected[:, 0], rtol=1e-12)
            assert list(given) == ["prediction"]
            assert given["prediction"].dtype == np.float64
        else:
            np.testing.assert_allclose(predictor.predict_proba(examples.GOLDEN), expected, atol=1e-12)
            assert list(given) == ["prediction", *(f"probability_{label}" for label in predictor.classes)]
            labels = np.array(predictor.classes, dtype=object)[expected.argmax(axis=1)]
            assert given["prediction"].tolist() == labels.tolist()


def test_cells_as_a_file_brings_them_are_understood(binary):
    feeds = binary.feeds(examples.RAW)
    assert feeds["category"][:, 0].tolist() == ["basic", "gold", "3", "Öl & co", "", "platin"]
    np.testing.assert_array_equal(feeds["number"][:, 0], [20, 35.5, np.nan, 1000, 44, np.nan])
    np.testing.assert_array_equal(feeds["number"][:, 1], [1234.5, 77, np.nan, 0, 0.5, 12])
    np.testing.assert_array_equal(feeds["number"][:, 2], [1, 0, np.nan, 1, 0, 1])
    assert feeds["number"][0, 3] == np.datetime64("2001-01-31").astype("datetime64[s]").astype(float)


def test_every_form_of_the_same_rows_gives_the_same(binary, tmp_path):
    rows = examples.RAW
    expected = binary.predict_proba(rows)
    frame = polars.DataFrame(rows)
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_parquet(tmp_path / "rows.parquet")
    records = frame.to_dicts()
    forms = {
        "csv": tmp_path / "rows.csv",
        "csv, path as text": str(tmp_path / "rows.csv"),
        "parquet": tmp_path / "rows.parquet",
        "polars": frame,
        "lazy": frame.lazy(),
        "pandas": pandas.DataFrame(rows),
        "arrow": pyarrow.table(rows),
        "arrays": {name: np.array(cells, dtype=object) for name, cells in rows.items()},
        "fixed-width texts": {name: np.array(cells) for name, cells in rows.items()},
        "tuples": {name: tuple(cells) for name, cells in rows.items()},
        "pandas series": {name: pandas.Series(cells) for name, cells in rows.items()},
        "polars series": {name: polars.Series(cells) for name, cells in rows.items()},
        "records": records,
        "tuple of records": tuple(records),
        "matrix": frame.select(binary.feature_names).to_numpy().astype(object),
        "other order": dict(reversed(rows.items())),
        "padded names": {f" {name} ": cells for name, cells in rows.items()},
        "records with padded names": [{f" {name}": cell for name, cell in record.items()} for record in records],
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(binary.predict_proba(form), expected, err_msg=name)
    for row, record in enumerate(records):
        np.testing.assert_allclose(binary.predict_proba(record)[0], expected[row], atol=1e-12)


def test_typed_columns_give_what_their_texts_give(binary):
    rows = {
        "plan": ["basic", "3", None],
        "age": [20, 35, None],
        "paid": [1.5, None, 12.0],
        "member": [True, False, None],
        "joined": [np.datetime64("2001-01-31"), np.datetime64("NaT"), np.datetime64("2020-02-29")],
        "region": ["north", None, "south"],
    }
    texts = {
        "plan": ["basic", "3", ""],
        "age": ["20", "35", ""],
        "paid": ["1,5", "", "12"],
        "member": ["yes", "no", ""],
        "joined": ["31.01.2001", "", "29.02.2020"],
        "region": ["north", "", "south"],
    }
    expected = binary.predict_proba(texts)
    moments = np.array(rows["joined"], "datetime64[ns]")
    frame = pandas.DataFrame({**rows, "joined": moments})
    nullable = frame.convert_dtypes()
    zoned = frame.assign(joined=frame["joined"].dt.tz_localize("UTC"), plan=frame["plan"].astype("category"))
    for form in (frame, nullable, zoned, polars.from_pandas(frame), {**rows, "joined": moments}):
        np.testing.assert_array_equal(binary.predict_proba(form), expected)
    dates = [None if moment != moment else moment.astype("datetime64[s]").item() for moment in moments]
    np.testing.assert_array_equal(binary.predict_proba({**rows, "joined": dates}), expected)
    one = {name: cells[0] for name, cells in {**rows, "joined": dates}.items()}
    np.testing.assert_allclose(binary.predict_proba(one)[0], expected[0], atol=1e-12)
    generic = {**one, "age": np.int64(20), "paid": np.float32(1.5), "plan": np.str_("basic"), "member": np.bool_(True)}
    np.testing.assert_allclose(binary.predict_proba(generic)[0], expected[0], atol=1e-12)


CELLS = {
    "plan": ["basic", " basic", "3", "3.0", 3, 3.0, "n/a", "", None, float("nan"), True, "Öl & co", "x" * 100, "NULL", "-"],
    "age": [
        1,
        -1,
        0.5,
        True,
        "7",
        " 7 ",
        "1e3",
        "1,000",
        None,
        float("nan"),
        float("inf"),
        2**60,
        "",
        "NA",
        -0.0,
        np.float32(3.1),
    ],
    "paid": [1, "1,5", "1.234,5", "unknown", None, "12 €", 0.25],
    "member": [True, False, "yes", "No", 1, 0, 1.0, "t", None, ""],
    "joined": ["31.1.2001", "2001-01-31 12:00", 981072000, 981072000.5, None, "", np.datetime64("2001-01-31")],
}


@pytest.mark.parametrize(("name", "cell"), [(name, cell) for name, cells in CELLS.items() for cell in cells])
def test_a_row_alone_is_read_as_in_a_table(binary, name, cell):
    row = {**{column: cells[0] for column, cells in examples.RAW.items()}, name: cell}
    alone = binary.predict_proba(row)
    notes = binary.notes
    np.testing.assert_array_equal(binary.predict_proba([row]), alone)
    assert binary.notes == notes
    with_another = binary.predict_proba([row, {column: cells[1] for column, cells in examples.RAW.items()}])
    np.testing.assert_allclose(with_another[0], alone[0], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "cell", "shown"),
    [
        ("age", "young", "'young' cannot be read; expected a number"),
        ("age", [1, 2], "cannot be read"),
        ("paid", "1.5.2", "a number with a decimal comma"),
        ("member", "perhaps", "a truth value such as 'no' or 'yes'"),
        ("joined", "31.31.2001", "%d.%m.%Y"),
        ("age", "x" * 1000, "…"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_row_and_column(binary, name, cell, shown):
    rows = {column: list(cells) for column, cells in examples.RAW.items()}
    rows[name][3] = cell
    with pytest.raises(DataError, match=f"row 4, column '{name}'") as caught:
        binary.predict(rows)
    assert shown in str(caught.value)
    if not isinstance(cell, list):
        with pytest.raises(DataError, match=f"row 1, column '{name}'"):
            binary.predict({column: cells[3] for column, cells in rows.items()})


def test_the_row_of_a_bad_cell_is_counted_over_the_whole_file(binary, tmp_path):
    n_rows = 40_000
    frame = polars.DataFrame({name: [cells[0]] * n_rows for name, cells in examples.RAW.items()})
    ages = ["20"] * n_rows
    ages[33_332] = "old"
    ages[39_000] = "old"
    frame.with_columns(polars.Series("age", ages)).write_csv(tmp_path / "rows.csv")
    with pytest.raises(DataError, match=r"row 33333, column 'age'.*1 more"):
        binary.predict(tmp_path / "rows.csv")


def test_a_missing_column_is_named_and_a_like_one_shown(binary):
    rows = {name: cells for name, cells in examples.RAW.items() if name not in ("age", "plan")}
    with pytest.raises(DataError, match="2 columns are missing: 'plan', 'age'"):
        binary.predict(rows)
    with pytest.raises(DataError, match=r"1 column is missing: 'age'.*'Age'"):
        binary.predict(_renamed("age", "Age"))
    with pytest.raises(DataError, match=r"'joined'.*'joind'"):
        binary.predict(_renamed("joined", "joind"))
    with pytest.raises(DataError, match="none"):
        binary.predict({})
    with pytest.raises(DataError, match="missing: 'age'"):
        binary.predict({name: cells[0] for name, cells in examples.RAW.items() if name != "age"})


def _renamed(old, new):
    return {new if name == old else name: cells for name, cells in examples.RAW.items()}


def test_a_key_that_some_records_lack_is_a_missing_cell(binary):
    records = polars.DataFrame(examples.RAW).to_dicts()
    del records[1]["age"]
    expected = binary.predict_proba([{**record, "age": record.get("age")} for record in records])
    np.testing.assert_array_equal(binary.predict_proba(records), expected)


def test_what_the_model_does_not_know_is_noted_and_what_it_left_out_is_not(binary):
    extra = {"answer": ["stay"] * 6, "id": list("abcdef"), "remark": ["x"] * 6, "weather": ["fine"] * 6}
    np.testing.assert_array_equal(binary.predict_proba({**examples.RAW, **extra}), binary.predict_proba(examples.RAW))
    binary.predict({**examples.RAW, **extra})
    assert binary.notes[0] == "ignored columns that the model does not know: weather"
    assert not any(name in " ".join(binary.notes) for name in ("answer", "remark", "id:"))


def test_oddities_are_counted_by_column(binary):
    binary.predict(examples.RAW)
    text = "\n".join(binary.notes)
    assert "plan: 1 cells hold categories not seen in training ('platin')" in text
    assert "age: 1 values outside the range seen in training (18 to 90)" in text
    binary.predict({**examples.RAW, "joined": ["1.1.1990"] * 6, "age": [np.inf, -np.inf, *[20] * 4]})
    text = "\n".join(binary.notes)
    assert "joined: 6 values outside the range seen in training (1999-10-15T" in text
    assert "age: 2 infinite values were read as missing" in text
    binary.predict({name: cells[:1] for name, cells in examples.RAW.items()})
    assert binary.notes == ()


def test_names_that_are_numbers_are_names_all_the_same():
    assert rows_of([{0: 1.5, 1: "a"}], ["0", "1"]).columns["0"].tolist() == [1.5]
    assert rows_of({0: [1.5], 1: ["a"]}, ["0", "1"]).columns["1"].tolist() == ["a"]
    assert rows_of(pandas.DataFrame([[1.5, "a"]]), ["0", "1"]).columns["0"].tolist() == [1.5]


def test_no_rows_give_no_predictions_in_the_right_columns(binary, tmp_path):
    (tmp_path / "rows.csv").write_text(",".join(examples.RAW) + "\n")
    for empty in ([], {name: [] for name in examples.RAW}, np.empty((0, 6)), tmp_path / "rows.csv"):
        columns = binary.predict_columns(empty)
        assert list(columns) == ["prediction", "probability_stay", "probability_leave"]
        assert all(len(cells) == 0 for cells in columns.values())
        assert binary.predict_proba(empty).shape == (0, 2)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_rows_do_not_influence_one_another(paths, kind):
    predictor = load(paths[kind])
    generator = np.random.default_rng(0)
    n_rows = 5000
    rows = {
        "plan": generator.choice([*examples.LEVELS, "", "new"], n_rows).astype(object),
        "age": generator.normal(50, 30, n_rows),
        "paid": generator.lognormal(5, 2, n_rows),
        "member": generator.choice([True, False], n_rows),
        "joined": generator.integers(10**9, 16 * 10**8, n_rows).astype("datetime64[s]"),
        "region": generator.choice(["north", "south"], n_rows).astype(object),
    }
    whole = predictor._predictions(rows)
    scale = np.abs(whole).max()
    order = generator.permutation(n_rows)
    shuffled = predictor._predictions({name: cells[order] for name, cells in rows.items()})
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-12 * scale)
    for row in order[:50]:
        alone = predictor._predictions({name: cells[row] for name, cells in rows.items()})
        np.testing.assert_allclose(alone[0], whole[row], atol=1e-12 * scale)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("0", "1"), np.int64),
        (("-1", "7"), np.int64),
        (("0.5", "1"), np.float64),
        (("1.25", "2.5"), np.float64),
        (("007", "8"), object),
        (("1_0", "2"), object),
        (("nan", "1"), object),
        (("²", "1"), object),
        (("9" * 30, "1"), object),
        (("true", "false"), object),
        (("--1", "1"), object),
    ],
)
def test_labels_that_are_all_numbers_come_back_as_numbers(tmp_path, classes, expected):
    predictor = load(examples.packed(tmp_path, classes=classes))
    labels = predictor.predict(examples.RAW)
    assert labels.dtype == expected
    assert set(labels.tolist()) <= {expected(label) if expected is not object else label for label in classes}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((3, 5)), r"shape \(3, 5\); expected \(rows, 6\)"),
        (np.zeros(6), r"shape \(6,\)"),
        ([1, 2, 3], "row 1 is a int"),
        ([{"age": 1}, 5], "row 2 is a int"),
        ([[1, 2]], "row 1 is a list"),
        ({**examples.RAW, "age": 3}, "'plan' holds several cells and 'age' one"),
        ({**examples.RAW, "age": ["3"]}, "'age' has 1"),
        (7, "int is no table"),
        ("no_such_file.csv", "there is no file"),
    ],
)
def test_what_is_no_table_is_refused_with_what_was_expected(binary, rows, message):
    with pytest.raises(DataError, match=message):
        binary.predict(rows)


def test_numbers_have_no_probabilities(paths):
    with pytest.raises(UsageError, match="no probabilities"):
        load(paths["regression"]).predict_proba(examples.RAW)


def test_the_predictor_tells_what_it_is(binary, paths):
    assert binary.feature_names == ("plan", "age", "paid", "member", "joined", "region")
    assert binary.classes == ("stay", "leave")
    assert binary.card == "# A model\n"
    assert binary.facts == {"made": "by hand"}
    assert binary.schema == examples.SCHEMA
    assert binary.manifest["format"] == 1
    assert "binary 'answer' from 6 columns" in repr(binary)
    assert Predictor.load(paths["binary"].read_bytes()).predict(examples.RAW).tolist() == binary.predict(examples.RAW).tolist()
    with pytest.raises(UsageError, match="threads"):
        load(paths["binary"], threads=0)


def test_checking_predicts_the_golden_rows_again(binary):
    found = binary.check()
    assert list(found) == ["trained", "one_by_one", "subset", "contract", "refusals", "missing"]
    assert max(found.values()) < 1e-9
    assert all(claim.holds for claim in binary.claims())


def test_progress_is_told_from_part_to_part(binary):
    rows = {name: [cells[0]] * 40_000 for name, cells in examples.RAW.items()}
    heard = []
    binary.predict_columns(rows, progress=heard.append)
    assert len(heard) == 3
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_many_threads_get_the_same_as_one(binary):
    expected = binary.predict_proba(examples.RAW)
    agreed = []

    def work():
        agreed.extend(np.array_equal(binary.predict_proba(examples.RAW), expected) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(agreed) == 400
    assert all(agreed)


def test_loading_and_predicting_plain_rows_needs_numpy_and_onnxruntime_alone(paths):
    code = (
        "import sys; from cupel.serving import load\n"
        "p = load(sys.argv[1]); p.check(); row = dict(plan='gold', age=3, paid=1, member='yes', joined='1.1.2001', region='x')\n"
        "p.predict(row); p.predict([row]); p.predict({name: [cell] for name, cell in row.items()})\n"
        "banned = 'torch sklearn scipy pandas polars pyarrow onnx lightgbm rich yaml optuna jaxtyping safetensors'.split()\n"
        "print([name for name in banned if name in sys.modules])"
    )
    command = [sys.executable, "-I", "-c", code, str(paths["binary"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_model_that_predicts_no_finite_number_says_which_row(paths):
    predictor = load(paths["regression"])
    rows = {**examples.RAW, "age": [20, 30, 40, 1.7e308, 50, 60]}
    with pytest.raises(DataError, match="row 4 has no finite prediction"):
        predictor.predict(rows)


def test_a_path_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="there is no file"):
        load(tmp_path / "none.cupel")
    with pytest.raises(ArtifactError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be opened"):
        load("a\0b")
