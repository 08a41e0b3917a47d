"""Pictures as rows bring them, well and ill meant."""

import base64
import json
import os

import numpy as np
import polars
import pytest

import packed_pictures as examples
from cupel import data, packing
from cupel.core import registry
from cupel.core.errors import DataError, ParityError
from cupel.core.picture_levels import Scale
from cupel.core.pixels import WORKING_PIXELS, data_url, decoded
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.serving import load
from cupel.serving.masks import own_size
from cupel.serving.pictures import files_in, is_picture_source, pictures_of, stack_of

COLOUR = Column(name="photo", kind=ColumnKind.IMAGE, channels=3)
GREY = Column(name="photo", kind=ColumnKind.IMAGE, channels=1)


def read(cell, *, column=COLOUR, folder=None):
    cells = np.empty(1, dtype=object)
    cells[0] = cell
    found, n_unreadable = pictures_of(column, cells, folder=folder, first_row=1)
    assert n_unreadable == 0
    return found[0, 0]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return examples.packed(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def predictor(model):
    return load(model)


@pytest.fixture
def folder(tmp_path):
    examples.written(tmp_path / "photos", examples.pictures())
    return tmp_path / "photos"


def test_every_form_of_a_picture_gives_the_same_pixels(tmp_path):
    pixels = examples.picture(100, (5, 9))
    content = examples.png(pixels)
    (tmp_path / "a.png").write_bytes(content)
    forms = {
        "bytes": content,
        "bytearray": bytearray(content),
        "structure of bytes": {"bytes": content, "path": None},
        "array": pixels,
        "array of floats": pixels / 255,
        "with alpha": np.concatenate([pixels, np.full((5, 9, 1), 255, np.uint8)], axis=2),
        "data URL": data_url(pixels),
        "path as text": "a.png",
        "path": tmp_path / "a.png",
        "absolute path": str(tmp_path / "a.png"),
        "structure of a path": {"bytes": None, "path": "a.png"},
        "backslashes": ".\\a.png",
    }
    for name, form in forms.items():
        found = read(form, folder=tmp_path)
        assert np.array_equal(found, pixels), name
        assert found.dtype == np.uint8, name


@pytest.mark.parametrize("cell", [None, "", "  ", float("nan"), {"bytes": None, "path": None}], ids=str)
def test_a_missing_picture_is_one_black_pixel(cell):
    for column in (COLOUR, GREY):
        found = read(cell, column=column)
        assert found.shape == (1, 1, column.channels)
        assert not found.any()


def test_pictures_get_the_channels_that_training_had():
    pixels = examples.picture(100)
    assert read(pixels, column=GREY).shape == (8, 8, 1)
    assert np.array_equal(read(pixels, column=GREY), decoded(pixels, n_channels=1))
    grey = examples.picture(100, channels=1)
    assert np.array_equal(read(grey), np.repeat(grey, 3, axis=2))
    assert np.array_equal(read(grey[:, :, 0]), np.repeat(grey, 3, axis=2))


def test_large_pictures_are_reduced_as_in_training():
    large = np.random.default_rng(0).integers(0, 256, (600, 700, 1), np.uint8)
    assert np.array_equal(read(large, column=GREY), decoded(large, n_channels=1, most_pixels=WORKING_PIXELS))
    assert read(large, column=GREY).shape[0] < 600


def test_names_are_found_as_they_are_in_training(tmp_path):
    examples.written(tmp_path / "inner", [examples.picture(50)])
    assert np.array_equal(read("00", folder=tmp_path), examples.picture(50))
    assert np.array_equal(read("elsewhere/00.png", folder=tmp_path), examples.picture(50))


@pytest.mark.parametrize("cell", ["/etc/passwd", "../secret.png", "a.png", {"path": "a.png"}], ids=str)
@pytest.mark.parametrize("had_unreadable", [False, True])
def test_rows_from_elsewhere_open_no_files(tmp_path, monkeypatch, cell, had_unreadable):
    (tmp_path / "a.png").write_bytes(examples.png(examples.picture(1)))
    monkeypatch.chdir(tmp_path)
    column = Column(name="photo", kind=ColumnKind.IMAGE, channels=3, had_unreadable=had_unreadable)
    with pytest.raises(DataError, match=r"row 1, column 'photo': a path .* is not opened here; send the picture itself"):
        read(cell, column=column)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (b"", "no bytes"),
        (b"hello", "no picture"),
        (b"<html>not found</html>", "web page"),
        (examples.png(examples.picture(9, (40, 40)))[:-300], "cut off|damaged"),
        ("data:image/png;base64,%%%", "data URL"),
        ("data:image/png;base64,iVBORw0KGgo", "data URL|header is damaged"),
        (data_url(examples.picture(9, (40, 40)))[:-401], "data URL|cut off|damaged"),
        ("data:image/png,plain", "not base64"),
        ("data:image/svg+xml;base64," + base64.b64encode(b"<svg></svg>").decode(), "SVG"),
        (np.zeros((4, 4, 2), np.uint8), "no picture"),
        (np.full((4, 4), 700), "array of int64"),
        (np.full((4, 4), np.nan), "expected 0 to 1"),
        (7, "'7' is no picture"),
        ([1, 2], r"'\[1, 2\]' is no picture"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_picture_is_refused_with_its_row(cell, message):
    cells = np.empty(3, dtype=object)
    cells[2] = cell
    with pytest.raises(DataError, match=rf"row 7, column 'photo': .*({message})"):
        pictures_of(COLOUR, cells, folder=None, first_row=5)


def test_a_header_that_claims_too_much_is_refused_before_it_is_decoded():
    content = bytearray(examples.png(examples.picture(9)))
    content[16:24] = (200_000).to_bytes(4, "big") * 2
    with pytest.raises(DataError, match=r"too many|200000 x 200000|damaged"):
        read(bytes(content))


def test_what_cannot_be_read_is_missing_where_training_had_such_pictures():
    column = Column(name="photo", kind=ColumnKind.IMAGE, channels=3, had_unreadable=True)
    cells = np.empty(3, dtype=object)
    cells[:] = [b"hello", None, "data:image/png;base64,%%%"]
    found, n_unreadable = pictures_of(column, cells, folder=None, first_row=1)
    assert n_unreadable == 2
    assert all(picture.shape == (1, 1, 3) and not picture.any() for picture in found[:, 0])


def test_files_of_a_folder_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.PNG", "a/2.jpg", "a/1.jpeg", ".hidden.png", ".git/c.png", "__MACOSX/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path)] == ["a/1.jpeg", "a/2.jpg", "b.PNG"]
    assert files_in(tmp_path / "b.PNG") == [tmp_path / "b.PNG"]


def test_folders_that_link_to_themselves_are_walked_once(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    os.symlink(tmp_path, tmp_path / "again")
    assert files_in(tmp_path) == [tmp_path / "a.png"]


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no picture in"):
        files_in(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"1 other files in it were passed over"):
        files_in(tmp_path)


def test_pictures_and_folders_are_sources_tables_and_addresses_are_not(tmp_path):
    assert all(is_picture_source(source) for source in ("a.jpg", "a/b.TIFF", tmp_path, str(tmp_path)))
    assert not any(is_picture_source(source) for source in ("a.csv", "https://x.org/a.jpg", {"a": 1}, None, 3))


def test_a_stack_of_pictures_is_told_from_one_picture():
    assert [cell.shape for cell in stack_of(np.zeros((3, 4, 5)))] == [(4, 5)] * 3
    assert [cell.shape for cell in stack_of(np.zeros((2, 4, 5, 3)))] == [(4, 5, 3)] * 2
    for shape in ((4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)):
        with pytest.raises(DataError, match=r"For one picture write array\[None\]"):
            stack_of(np.zeros(shape))


def test_a_model_predicts_every_form_of_the_same_pictures(predictor, folder, tmp_path):
    cells = examples.pictures()[:-1]
    expected = examples.predicted(cells)
    names = sorted(path.name for path in folder.iterdir())
    polars.DataFrame({"photo": [f"photos/{name}" for name in names], "other": [1] * len(names)}).write_csv(tmp_path / "rows.csv")
    contents = [examples.png(pixels) for pixels in cells]
    polars.DataFrame({"photo": contents}).write_parquet(tmp_path / "rows.parquet")
    forms = {
        "folder": folder,
        "folder as text": str(folder),
        "csv of paths": tmp_path / "rows.csv",
        "parquet of bytes": tmp_path / "rows.parquet",
        "arrays": {"photo": cells},
        "bytes": {"photo": contents},
        "paths": {"photo": [folder / name for name in names]},
        "records": [{"photo": pixels} for pixels in cells],
        "data URLs": [{"photo": data_url(pixels)} for pixels in cells],
    }
    for name, form in forms.items():
        np.testing.assert_allclose(predictor.predict_proba(form), expected, atol=1e-6, err_msg=name)
    for row, pixels in enumerate(cells):
        np.testing.assert_allclose(predictor.predict_proba({"photo": pixels[None]}), expected[row : row + 1], atol=1e-6)
        np.testing.assert_allclose(predictor.predict_proba({"photo": contents[row]}), expected[row : row + 1], atol=1e-6)
    np.testing.assert_allclose(predictor.predict_proba(folder / names[3]), expected[3:4], atol=1e-6)


def test_an_array_is_a_stack_of_pictures(predictor):
    stack = np.stack([examples.picture(level, seed=level) for level in (10, 200, 90)])
    expected = examples.predicted(list(stack))
    np.testing.assert_allclose(predictor.predict_proba(stack), expected, atol=1e-6)
    np.testing.assert_allclose(predictor.predict_proba({"photo": stack}), expected, atol=1e-6)
    np.testing.assert_allclose(predictor.predict_proba(stack / 255), expected, atol=1e-6)
    assert predictor.predict(stack).tolist() == ["dark", "bright", "dark"]
    assert predictor.predict(np.empty((0, 8, 8, 3), np.uint8)).tolist() == []
    for one in (stack[0], {"photo": stack[0]}):
        with pytest.raises(DataError, match="For one picture write"):
            predictor.predict(one)


def test_many_pictures_are_decoded_part_by_part_and_keep_their_order(predictor):
    stack = np.random.default_rng(0).integers(0, 256, (300, 2, 2, 3), np.uint8)
    heard = []
    found = predictor.predict_columns(stack, progress=heard.append)
    np.testing.assert_allclose(found["probability_bright"], examples.predicted(list(stack))[:, 0], atol=1e-6)
    assert heard[-1] == 1.0
    assert len(heard) == 3


def test_a_file_that_is_not_there_is_named(predictor, tmp_path):
    with pytest.raises(DataError, match=r"row 1, .*none\.png does not exist"):
        predictor.predict(tmp_path / "none.png")
    with pytest.raises(DataError, match=r"row 2, column 'photo': .*gone\.jpg does not exist"):
        predictor.predict({"photo": [examples.picture(5), "gone.jpg"]})


def test_a_model_says_what_it_read_as_missing(tmp_path):
    predictor = load(examples.packed(tmp_path, had_unreadable=True))
    found = predictor.predict_proba({"photo": [examples.picture(200), b"hello", None]})
    np.testing.assert_allclose(found, examples.predicted([examples.picture(200), None, None]), atol=1e-6)
    assert predictor.notes == ("photo: 1 cells cannot be read and were taken as missing",)


def test_golden_rows_open_no_files(tmp_path):
    cells = examples.pictures()
    (tmp_path / "a.png").write_bytes(examples.png(cells[0]))
    golden = examples.package().golden["photo"]
    hostile = examples.package(golden={"photo": [str(tmp_path / "a.png"), *golden[1:]]})
    with pytest.raises(ParityError, match="is not opened here"):
        packing.pack(tmp_path / "hostile.cupel", hostile)


def test_a_model_of_pictures_says_so(predictor):
    assert predictor.pictures == COLOUR
    assert predictor.feature_names == ("photo",)
    assert max(predictor.check().values()) < 1e-5


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_an_artifact_whose_pictures_have_strange_channels_is_refused(tmp_path, channels):
    with pytest.raises(ParityError, match="reads columns of another kind"):
        packing.pack(tmp_path / "x.cupel", examples.package(schema=examples.schema(channels=channels)))


@pytest.mark.parametrize(
    ("stack", "scale"),
    [
        (np.arange(0, 240, 5, dtype=np.uint16), "levels"),
        (np.arange(0, 240, 5, dtype=np.int64), "levels"),
        (np.arange(0, 240, 5, dtype=np.float32), "float levels"),
        (np.arange(48, dtype=np.int32) * 1000, "sixteen bits"),
        (np.arange(48, dtype=np.uint8), ""),
        (np.arange(48) / 47, ""),
    ],
    ids=["uint16", "int64", "float32", "int32", "uint8", "shares"],
)
def test_arrays_mean_at_prediction_what_they_meant_in_training(tmp_path, stack, scale):
    stack = stack.reshape(8, 3, 2)
    np.savez(tmp_path / "a.npz", images=stack, labels=np.arange(8) % 2)
    dataset = data.read(tmp_path / "a.npz", readers=registry.readers())
    schema = Schema.from_json(json.loads(json.dumps(dataset.schema.to_json())))
    assert schema["picture"].scale == scale
    served, n_unreadable = pictures_of(schema["picture"], stack_of(stack), folder=None, first_row=1)
    assert n_unreadable == 0
    for trained, given in zip(dataset.columns["picture"], served[:, 0], strict=True):
        np.testing.assert_array_equal(trained, given)


def test_an_array_beyond_what_its_column_held_is_refused():
    column = Column(name="photo", kind=ColumnKind.IMAGE, channels=1, scale=Scale.LEVELS)
    with pytest.raises(DataError, match="from 0 to 256; expected 0 to 255"):
        read(np.array([[0, 256]], np.uint16), column=column)
    assert read(np.array([[0, 255]], np.uint16), column=column).max() == 255


def test_a_mask_of_an_array_has_its_size_whatever_its_numbers_mean():
    assert own_size(np.zeros((400, 400, 1), np.uint8), np.zeros((800, 800), np.int64), folder=None) == (800, 800)
