"""`cupel predict` with picture files and folders of them."""

import csv
import gzip
import json
import os
import struct

import numpy as np
import polars
import pytest

import packed_examples
import packed_pictures as examples
from cupel.cli.main import main
from cupel.core.uncertainty import Coverage, Distribution, Silence, Uncertainty
from cupel.serving import load


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(examples.packed(tmp_path_factory.mktemp("packed")))


@pytest.fixture
def folder(tmp_path):
    examples.written(tmp_path / "photos", examples.pictures())
    (tmp_path / "photos" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "photos" / "notes.txt").write_text("x")
    return tmp_path / "photos"


def read(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def probabilities(rows):
    return np.array([[row["probability_bright"], row["probability_dark"]] for row in rows], np.float64)


def test_a_folder_gives_a_row_for_each_picture_with_its_path(model, folder, tmp_path):
    assert main(["predict", model, str(folder), "-o", str(tmp_path / "out.csv")]) == 0
    found = read(tmp_path / "out.csv")
    assert list(found[0]) == ["picture", "prediction", "probability_bright", "probability_dark"]
    assert [row["picture"] for row in found] == [str(folder / f"{number:02d}.png") for number in range(8)]
    np.testing.assert_allclose(probabilities(found), examples.predicted(examples.pictures()[:-1]), atol=1e-6)


def test_a_file_gives_one_row(model, folder, capsys):
    path = str(folder / "06.png")
    assert main(["predict", model, path, "-o", "-", "--no-proba"]) == 0
    assert capsys.readouterr().out == f"picture,prediction\n{path},bright\n"
    assert main(["predict", model, path]) == 0
    assert "bright" in capsys.readouterr().out


def sure(tmp_path):
    """The same model, with what it knows about its own errors."""
    lacks = Distribution(np.linspace(0.05, 0.95, 19), np.arange(1, 20) / 19, 19.0)
    known = Uncertainty(coverage=Coverage(lacks), silence=Silence((0.5, 0.9), (0.8, 0.95), (1.0, 0.5)))
    return str(examples.packed(tmp_path, "sure", uncertainty=known.to_json()))


def test_sets_that_cover_and_silence_are_those_of_the_stored_errors(folder, tmp_path):
    said = examples.predicted(examples.pictures()[:-1])
    model, out = sure(tmp_path), tmp_path / "out.csv"
    assert main(["predict", model, str(folder), "--coverage", "0.5", "--abstain", "0.9", "-o", str(out), "--no-proba"]) == 0
    found = read(out)
    assert list(found[0]) == ["picture", "prediction", "set"]
    members = (1 - said <= 0.5) | (said == said.max(axis=1, keepdims=True))  # the tenth of nineteen errors
    assert [json.loads(row["set"]) for row in found] == [
        [name for name, is_in in zip(examples.CLASSES, row, strict=True) if is_in] for row in members
    ]
    assert [bool(row["prediction"]) for row in found] == (said.max(axis=1) >= 0.9).tolist()


def test_what_the_model_cannot_promise_is_refused(model, folder, tmp_path, capsys):
    assert main(["predict", sure(tmp_path), str(folder), "--coverage", "0.99"]) == 2
    assert "cannot be promised" in capsys.readouterr().err
    assert main(["predict", model, str(folder), "--coverage", "0.9"]) == 2


def test_a_folder_can_be_written_as_parquet(model, folder, tmp_path):
    assert main(["predict", model, str(folder), "-o", str(tmp_path / "out.parquet")]) == 0
    assert polars.read_parquet(tmp_path / "out.parquet").height == 8


def test_a_table_of_paths_is_read_beside_itself_whatever_the_working_directory(model, folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    table = polars.DataFrame({"id": ["a", "b", "c"], "photo": ["photos/06.png", "photos/00.png", None]})
    table.write_csv(tmp_path / "rows.csv")
    assert main(["predict", model, str(tmp_path / "rows.csv"), "-o", "out.csv", "--keep", "id,photo"]) == 0
    found = read("out.csv")
    assert list(found[0])[:3] == ["id", "photo", "prediction"]
    assert [row["prediction"] for row in found] == ["bright", "dark", "dark"]


def test_pictures_that_cannot_be_read_are_named_and_the_others_predicted(model, folder, tmp_path, capsys):
    (folder / "03.png").write_bytes(b"<html>")
    (folder / "05.png").write_bytes(b"")
    assert main(["predict", model, str(folder), "-o", str(tmp_path / "out.csv")]) == 2
    assert [row["picture"][-6:-4] for row in read(tmp_path / "out.csv")] == ["00", "01", "02", "04", "06", "07"]
    said = capsys.readouterr().err
    assert "2 of 8 pictures cannot be read and have no prediction. The other 6 have one." in said
    assert "03.png is a web page" in said
    assert "05.png has no bytes" in said


def test_many_faults_are_not_all_listed(model, folder, capsys):
    for number in range(30):
        (folder / f"x{number:02d}.png").write_bytes(b"nothing")
    assert main(["predict", model, str(folder)]) == 2
    said = capsys.readouterr().err
    assert "30 of 38 pictures" in said
    assert "and 20 more" in said


def test_where_no_picture_can_be_read_nothing_is_written(model, folder, tmp_path, capsys):
    for path in folder.glob("*.png"):
        path.write_bytes(b"nothing")
    assert main(["predict", model, str(folder), "-o", str(tmp_path / "out.csv")]) == 2
    assert "8 of 8 pictures cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.jpg", b"text", "a.jpg is no picture"), ("a.jpg", None, "a.jpg does not exist"), ("a.png", b"", "a.png has no bytes")],
)
def test_one_bad_file_is_named(model, tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["predict", model, str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_pictures_is_refused(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.png").write_bytes(b"x")
    assert main(["predict", model, str(tmp_path / "empty")]) == 2
    assert "there is no picture in" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "00.png"])
def test_a_model_of_tables_refuses_pictures(folder, tmp_path, capsys, name):
    model = packed_examples.packed(tmp_path, "binary")
    assert main(["predict", str(model), str(folder / name)]) == 2
    assert "this model reads a table with the columns plan, age" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--keep", "--query", "--sheet"])
def test_options_of_tables_are_refused_for_pictures(model, folder, capsys, option):
    assert main(["predict", model, str(folder), option, "x"]) == 2
    assert f"{option} is for tables" in capsys.readouterr().err


def test_a_model_of_pictures_refuses_a_table_without_them(model, tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("age,plan\n1,a\n")
    assert main(["predict", model, str(tmp_path / "rows.csv")]) == 2
    assert "1 column is missing: 'photo'; the rows have 'age', 'plan'" in capsys.readouterr().err


def test_checking_a_model_of_pictures_answers(model, capsys):
    assert main(["check", model]) == 0
    assert os.path.basename(model) in capsys.readouterr().out


STACK = np.stack([examples.picture(level, seed=level) for level in (10, 200, 90)])


def idx_of(stack):
    return struct.pack(f">BBBB{stack.ndim}I", 0, 0, 8, stack.ndim, *stack.shape) + stack.tobytes()


@pytest.mark.parametrize("name", ["test.npz", "both.npz", "second.npz", "t10k-images-idx4-ubyte.gz", "t10k-images-idx4-ubyte"])
def test_archives_of_pictures_are_predicted(model, tmp_path, name):
    labels = np.zeros(3)
    np.savez(tmp_path / "test.npz", photos=STACK, y=labels)
    np.savez(tmp_path / "both.npz", x_train=STACK[::-1], y_train=labels, x_test=STACK, y_test=labels)
    np.savez(tmp_path / "second.npz", x=np.moveaxis(STACK, 3, 1))
    (tmp_path / "t10k-images-idx4-ubyte").write_bytes(idx_of(STACK))
    (tmp_path / "t10k-images-idx4-ubyte.gz").write_bytes(gzip.compress(idx_of(STACK)))
    assert main(["predict", model, str(tmp_path / name), "-o", str(tmp_path / "out.csv")]) == 0
    found = read(tmp_path / "out.csv")
    assert list(found[0]) == ["prediction", "probability_bright", "probability_dark"]
    np.testing.assert_allclose(probabilities(found), examples.predicted(list(STACK)), atol=1e-6)
    np.testing.assert_allclose(load(model).predict_proba(tmp_path / name), examples.predicted(list(STACK)), atol=1e-6)


def test_an_archive_in_which_nothing_tells_what_is_meant_is_refused(model, tmp_path, capsys):
    np.savez(tmp_path / "a.npz", one=STACK, two=STACK)
    assert main(["predict", model, str(tmp_path / "a.npz")]) == 2
    assert "holds the arrays one, two; expected one of pictures" in capsys.readouterr().err
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_of(np.zeros(3, np.uint8)))
    assert main(["predict", model, str(tmp_path / "t10k-labels-idx1-ubyte")]) == 2
    assert "Is it the file of labels?" in capsys.readouterr().err
