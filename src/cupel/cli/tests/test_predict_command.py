import csv
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import polars
import pytest

import packed_examples as examples
from cupel.cli.main import main
from cupel.cli.predictions import shown, written
from cupel.serving import load

ROWS = {**examples.RAW, "id": ["=1+1", "2", "-3", "x", "", "+a"], "remark": ["a", None, "c,d", 'e"', "é", "line\nbreak"]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return {kind: str(examples.packed(folder, kind)) for kind in ("binary", "multiclass", "regression")}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    polars.DataFrame(ROWS).write_csv(path)
    return str(path)


def read(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_row_is_written_for_each_row_of_the_file_in_its_order(models, rows, tmp_path, kind):
    out = tmp_path / "out.csv"
    assert main(["predict", models[kind], rows, "-o", str(out)]) == 0
    predictor = load(models[kind])
    expected = predictor.predict_columns(examples.RAW)
    found = read(out)
    assert list(found[0]) == list(expected)
    for name, cells in expected.items():
        given = [row[name] for row in found]
        if cells.dtype == object:
            assert given == cells.tolist()
        else:
            np.testing.assert_array_equal(np.array(given, np.float64), cells)


def test_probabilities_can_be_left_out_and_columns_kept(models, rows, tmp_path):
    out = tmp_path / "out.csv"
    assert main(["predict", models["binary"], rows, "-o", str(out), "--no-proba", "--keep", "remark,id", "--keep", "age"]) == 0
    found = read(out)
    assert list(found[0]) == ["remark", "id", "age", "prediction"]
    assert [row["remark"] for row in found] == ["a", "", "c,d", 'e"', "é", "line\nbreak"]
    assert [row["age"] for row in found] == examples.RAW["age"]


def test_no_cell_of_a_spreadsheet_begins_a_formula(models, rows, tmp_path):
    out = tmp_path / "out.csv"
    assert main(["predict", models["binary"], rows, "-o", str(out), "--keep", "id"]) == 0
    assert [row["id"] for row in read(out)] == ["'=1+1", "2", "-3", "x", "", "'+a"]


def test_formulas_are_disarmed_in_every_text_column_and_in_names():
    nasty = ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-", "-5", "+1e3", "a=b", None]
    columns = {
        "=name": np.array(nasty, dtype=object),
        "other": np.array(nasty, dtype=object),
        "number": -np.arange(13.0),
    }
    found = list(csv.reader(io.StringIO(written(columns, suffix=".csv").decode(), newline="")))
    assert found[0] == ["'=name", "other", "number"]
    for row, text in zip(found[1:], nasty, strict=True):
        expected = text or "" if text in ("-5", "+1e3", "a=b", None) else f"'{text}"
        assert row[:2] == [expected, expected]
        assert not row[2].startswith("'")


def test_labels_that_are_numbers_stay_numbers(tmp_path, rows):
    model = examples.packed(tmp_path, classes=("-1", "1"))
    assert main(["predict", str(model), rows, "-o", str(tmp_path / "out.csv")]) == 0
    found = read(tmp_path / "out.csv")
    assert {row["prediction"] for row in found} <= {"-1", "1"}
    assert list(found[0])[1:] == ["probability_-1", "probability_1"]


def test_parquet_keeps_types(models, rows, tmp_path):
    out = tmp_path / "out.parquet"
    assert main(["predict", models["binary"], rows, "-o", str(out), "--keep", "id"]) == 0
    frame = polars.read_parquet(out)
    assert frame.columns == ["id", "prediction", "probability_stay", "probability_leave"]
    assert frame["probability_stay"].dtype == polars.Float64
    assert frame["id"].to_list()[0] == "=1+1"


def test_without_out_the_first_rows_are_shown(models, tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    polars.DataFrame({name: cells * 3 for name, cells in examples.RAW.items()}).write_parquet(path)
    assert main(["predict", models["binary"], str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["prediction", "probability_stay", "probability_leave"]
    assert len(lines) == 12
    assert lines[-1] == "10 of 18 rows; write all with -o OUT.csv"


def test_what_is_shown_cannot_steer_the_terminal():
    text = shown({"x": np.array(["\x1b[2Jgone", "a\nb", "w" * 100], dtype=object)}, n_rows=3)
    assert "\x1b" not in text
    assert len(text.splitlines()) == 4
    assert "…" in text


def test_standard_output_gets_csv_alone_and_notes_go_beside(models, rows, capfdbinary):
    assert main(["predict", models["binary"], rows, "-o", "-"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out.splitlines()[0] == b"prediction,probability_stay,probability_leave"
    assert len(captured.out.splitlines()) == 7
    assert b"note: plan: 1 cells hold categories not seen in training ('platin')" in captured.err


def test_a_header_alone_gives_a_header_alone(models, tmp_path):
    path, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    path.write_text(",".join(examples.RAW) + "\n")
    assert main(["predict", models["binary"], str(path), "-o", str(out)]) == 0
    assert out.read_text() == "prediction,probability_stay,probability_leave\n"


def test_wrong_use_is_refused_before_anything_is_written(models, rows, tmp_path, capsys):
    model = models["binary"]
    cases = [
        ([model, rows, "-o", str(tmp_path / "out.txt")], "written as .csv or .parquet"),
        ([model, rows, "-o", str(tmp_path / "out")], "written as .csv or .parquet"),
        ([model, rows, "-o", rows], "would overwrite"),
        ([model, rows, "--keep", "weather"], "no such column"),
        ([model, rows, "--query", "select 1"], "is no database"),
        ([model, str(tmp_path / "none.csv")], "there is no file"),
        ([str(tmp_path / "none.cupel"), rows], "there is no file"),
        ([rows, rows], "not a packed model"),
        ([model, rows, "--threads", "0"], "threads is 0"),
    ]
    before = sorted(tmp_path.iterdir())
    for arguments, message in cases:
        assert main(["predict", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_rows_that_break_the_contract_end_with_one_clear_line(models, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    polars.DataFrame(ROWS).drop("age").write_csv(path)
    assert main(["predict", models["binary"], str(path), "-o", str(tmp_path / "out.csv")]) == 2
    assert "1 column is missing: 'age'" in capsys.readouterr().err
    polars.DataFrame({**ROWS, "age": ["1", "2", "3", "four", "5", "6"]}).write_csv(path)
    assert main(["predict", models["binary"], str(path), "-o", str(tmp_path / "out.csv")]) == 2
    error = capsys.readouterr().err
    assert "row 4, column 'age': 'four' cannot be read; expected a number" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_a_kept_column_may_not_hide_the_prediction(models, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    polars.DataFrame({**ROWS, "prediction": list("abcdef")}).write_csv(path)
    assert main(["predict", models["binary"], str(path), "--keep", "prediction"]) == 2
    assert "have a column of that name" in capsys.readouterr().err


def test_check_says_how_near_the_golden_rows_are_met(models, capsys):
    assert main(["check", models["binary"]]) == 0
    assert "trained" in capsys.readouterr().out


def test_check_fails_where_the_golden_rows_are_missed(models, tmp_path, capsys):
    import hashlib

    with zipfile.ZipFile(models["binary"]) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    golden, manifest = json.loads(contents["golden.json"]), json.loads(contents["manifest.json"])
    golden["expected"][3].reverse()
    contents["golden.json"] = json.dumps(golden).encode()
    facts = {"sha256": hashlib.sha256(contents["golden.json"]).hexdigest(), "bytes": len(contents["golden.json"])}
    manifest["files"]["golden.json"] = facts
    contents["manifest.json"] = json.dumps(manifest).encode()
    path = tmp_path / "model.cupel"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    assert main(["check", str(path)]) != 0
    assert "golden row 4" in capsys.readouterr().err


def test_predicting_from_the_command_line_loads_no_training_library(models, rows):
    code = (
        "import sys; from cupel.cli.main import main\n"
        "assert main(['predict', sys.argv[1], sys.argv[2]]) == 0\n"
        "banned = 'torch sklearn scipy pandas pyarrow onnx lightgbm rich yaml'.split()\n"
        "print([name for name in banned if name in sys.modules])"
    )
    command = [sys.executable, "-I", "-c", code, models["binary"], rows]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
