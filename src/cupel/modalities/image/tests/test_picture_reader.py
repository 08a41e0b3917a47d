"""What the reader opens, claims and decodes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cupel import problem
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.pixels import WORKING_PIXELS
from cupel.core.schema import ColumnKind
from cupel.core.settings import Settings
from cupel.core.task import TaskKind
from cupel.modalities.image.reader import PictureReader

READER = PictureReader()


def objects(*cells: object) -> np.ndarray:
    column = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return column


def png(level: int = 0, *, size: tuple[int, int] = (4, 4), mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, level if mode == "L" else (level, 0, 255 - level)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(3):
            (tmp_path / label / f"{label}{number}.png").write_bytes(png(40 * number))
    return tmp_path


def test_folders_and_archives_are_opened_tables_and_addresses_are_not(folder: Path) -> None:
    assert READER.opens(folder)
    assert READER.opens(str(folder))
    assert READER.opens("a.npz")
    assert not any(READER.opens(source) for source in ("a.csv", "postgresql://x/y", {"a": [1]}, None, np.zeros((2, 4, 4))))


def test_a_folder_names_its_target_and_its_pictures(folder: Path) -> None:
    source = READER.table(folder)
    assert source.target == "label"
    assert source.columns["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert source.columns["picture"].tolist()[0] == "cat/cat0.png"
    assert source.folder == folder


def read(source: Path, **settings: Any) -> Dataset:
    return problem.read(source, None, settings=Settings(**settings))


def test_names_of_folders_and_texts_in_an_archive_are_classes_even_where_they_look_like_numbers(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / "folders" / f"{number % 6:02d}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "folders" / f"{number % 6:02d}" / f"{number}.png").write_bytes(png(7 * number))
    found = read(tmp_path / "folders")
    assert found.task is not None
    assert (found.task.kind, found.task.classes) == (TaskKind.MULTICLASS, ("00", "01", "02", "03", "04", "05"))
    assert not found.findings
    assert read(tmp_path / "folders", task="multiclass").task == found.task  # as a refit asks
    for asked in ({"task": "regression"}, {"metric": "mae"}):
        assert read(tmp_path / "folders", **asked).task.kind is TaskKind.REGRESSION  # type: ignore[union-attr]
    pixels = np.random.default_rng(0).integers(0, 256, (30, 5, 6)).astype(np.uint8)
    numbers = np.arange(30) % 6
    one_hot, of_one_column = np.eye(6)[numbers], np.linspace(0, 1, 30)[:, None]
    kinds = [(numbers, TaskKind.REGRESSION), (of_one_column, TaskKind.REGRESSION)]
    for labels, kind in (*kinds, (numbers.astype(str), TaskKind.MULTICLASS), (one_hot, TaskKind.MULTICLASS)):
        np.savez(tmp_path / "a.npz", images=pixels, labels=labels)
        assert read(tmp_path / "a.npz").task.kind is kind  # type: ignore[union-attr]


def test_an_archive_gives_pictures_as_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 6)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.array([0, 1, 0, 1]))
    source = READER.table(tmp_path / "a.npz")
    (name,) = [name for name in source.columns if name != source.target]
    assert source.columns[name].dtype == object
    assert np.array_equal(source.columns[name][2], pixels[2][:, :, None])


@pytest.mark.parametrize(
    ("cells", "is_claimed"),
    [
        (["cat/cat0.png", "dog/dog1.png", None], True),
        (["cat0", "dog1", "dog2"], True),
        (["cat/cat0.png", "gone.png", "gone2.png"], False),
        (["a remark", "another", "a third"], False),
        (["two\nlines", "cat/cat0.png"], False),
        ([png(), png(9), None], True),
        ([b"none", b"of them"], False),
        ([np.zeros((4, 4)), np.zeros((5, 4, 3))], True),
        ([{"bytes": png(), "path": None}], True),
        ([None, None], False),
        ([], False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_columns_of_pictures_are_told_from_others(folder: Path, cells: list[object], is_claimed: bool) -> None:
    assert READER.claims(objects(*cells), folder=folder) is is_claimed


def test_folders_are_searched_only_where_pictures_stand_beside_the_table(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Path] = []
    monkeypatch.setattr(
        "cupel.modalities.image.reading.picture_likeness", lambda cells, *, folder: searched.append(folder) or 0.0
    )
    empty = tmp_path / "no pictures here"
    empty.mkdir()
    assert not READER.claims(objects("a1", "b2", "c3"), folder=empty)
    assert not READER.claims(objects("words with spaces", "more of them"), folder=folder)
    assert searched == []
    READER.claims(objects("a1", "b2", "c3"), folder=folder)
    assert searched == [folder]


def test_pictures_are_decoded_and_told_of(folder: Path) -> None:
    heard: list[float] = []
    read = READER.decode("picture", objects("cat/cat1.png", None, "dog2"), folder=folder, progress=heard.append)
    assert read.column.kind is ColumnKind.IMAGE
    assert read.column.channels == 1
    assert not read.column.had_unreadable
    assert read.values[0].shape == (4, 4, 1)
    assert (read.values[0] == 40).all()
    assert read.values[1] is None
    assert (read.values[2] == 80).all()
    assert heard[-1] == 1.0
    assert not read.findings


def test_what_cannot_be_read_is_missing_and_found(folder: Path) -> None:
    (folder / "broken.png").write_bytes(png()[:30])
    cells = objects("cat/cat1.png", "gone.png", "broken.png", b"<html>", "https://x.org/a.png")
    read = READER.decode("picture", cells, folder=folder, progress=lambda _: None)
    assert [value is None for value in read.values] == [False, True, True, True, True]
    codes = {finding.code for finding in read.findings}
    assert {"missing-files", "addresses"} <= codes
    assert len(codes) >= 3
    assert read.column.had_unreadable


def test_grey_pictures_among_coloured_ones_are_coloured(folder: Path) -> None:
    read = READER.decode("p", objects(png(5), png(5, mode="RGB")), folder=folder, progress=lambda _: None)
    assert read.column.channels == 3
    assert [value.shape for value in read.values] == [(4, 4, 3), (4, 4, 3)]
    assert [finding.code for finding in read.findings] == ["grey-among-colour"]
    assert not read.column.had_unreadable


def test_large_pictures_are_reduced_on_reading(folder: Path) -> None:
    read = READER.decode("p", objects(np.zeros((700, 900), np.uint8)), folder=folder, progress=lambda _: None)
    assert read.values[0].size <= WORKING_PIXELS


def test_a_column_in_which_nothing_can_be_read_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="none of 2 pictures can be read"):
        READER.decode("p", objects(b"x", b"y"), folder=folder, progress=lambda _: None)
