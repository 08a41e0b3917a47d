"""Datasets with a column of pictures: read, compared, profiled, searched for leaks."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.data import profile, read
from cupel.data.duplicates import find_duplicates
from cupel.data.leaks import find_leaks

READERS = registry.readers()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pixels(seed: int, *, size: tuple[int, ...] = (6, 5)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six cats, six dogs, in a folder each."""
    for number in range(12):
        path = tmp_path / "animals" / ("cat" if number < 6 else "dog") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(pixels(number)))
    return tmp_path / "animals"


def table(folder: Path, **columns: Any) -> Path:
    path = folder.parent / "animals.csv"
    polars.DataFrame(columns).write_csv(path)
    return path


def codes(dataset: Dataset) -> set[str]:
    return {finding.code for finding in dataset.findings}


def test_a_folder_per_class_needs_no_target(folder: Path) -> None:
    dataset = read(folder, readers=READERS)
    assert dataset.task is not None
    assert (dataset.task.kind, dataset.task.target, dataset.task.classes) == (TaskKind.BINARY, "label", ("cat", "dog"))
    assert dataset.schema["picture"].kind is ColumnKind.IMAGE
    assert dataset.schema["picture"].channels == 1
    assert [column.name for column in dataset.schema.features] == ["picture"]
    assert dataset.n_samples == 12
    assert np.array_equal(dataset.columns["picture"][7][:, :, 0], pixels(7))
    assert dataset.target is not None
    assert dataset.target.tolist() == [0] * 6 + [1] * 6


def test_without_readers_a_folder_is_no_table(folder: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        read(folder)


def test_a_table_of_paths_is_read_beside_its_pictures(folder: Path) -> None:
    path = table(
        folder, file=[f"animals/{'cat' if n < 6 else 'dog'}/{n:02d}.png" for n in range(12)], kind=["cat"] * 6 + ["dog"] * 6
    )
    dataset = read(path, target="kind", readers=READERS)
    assert dataset.schema["file"].kind is ColumnKind.IMAGE
    assert np.array_equal(dataset.columns["file"][11][:, :, 0], pixels(11))
    assert not dataset.schema["file"].had_unreadable


def test_the_same_pictures_have_the_same_fingerprint_wherever_they_are(folder: Path, tmp_path: Path) -> None:
    paths = [f"animals/{'cat' if n < 6 else 'dog'}/{n:02d}.png" for n in range(12)]
    labels = ["cat"] * 6 + ["dog"] * 6
    by_path = read(table(folder, picture=paths, label=labels), target="label", readers=READERS)
    polars.DataFrame({"picture": [png(pixels(n)) for n in range(12)], "label": labels}).write_parquet(tmp_path / "a.parquet")
    by_bytes = read(tmp_path / "a.parquet", target="label", readers=READERS)
    by_folder = read(folder, readers=READERS)
    assert by_path.fingerprint == by_bytes.fingerprint == by_folder.fingerprint
    (folder / "cat" / "00.png").write_bytes(png(pixels(99)))
    assert read(folder, readers=READERS).fingerprint != by_folder.fingerprint


def test_files_that_are_not_there_are_missing_and_found(folder: Path) -> None:
    names = [f"{n:02d}.png" for n in range(12)]
    names[3] = "gone.png"
    (folder / "dog" / "08.png").write_bytes(b"nothing")
    dataset = read(table(folder, file=names, kind=["cat"] * 6 + ["dog"] * 6), target="kind", readers=READERS)
    assert [row for row, cell in enumerate(dataset.columns["file"]) if cell is None] == [3, 8]
    assert {"missing-files", "foreign-pictures"} <= codes(dataset)
    assert dataset.schema["file"].had_unreadable


def test_rows_without_a_target_are_not_decoded(folder: Path) -> None:
    labels = [None, *["cat"] * 5, *["dog"] * 6]
    (folder / "cat" / "00.png").write_bytes(b"nothing")
    dataset = read(table(folder, file=[f"{n:02d}.png" for n in range(12)], kind=labels), target="kind", readers=READERS)
    assert dataset.n_samples == 11
    assert "foreign-pictures" not in codes(dataset)
    assert np.array_equal(dataset.columns["file"][0][:, :, 0], pixels(1))


def test_an_archive_names_its_target(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.stack([pixels(n) for n in range(8)]), labels=np.arange(8) % 2)
    dataset = read(tmp_path / "a.npz", readers=READERS)
    assert dataset.task is not None
    assert dataset.task.kind is TaskKind.BINARY
    (column,) = dataset.schema.features
    assert column.kind is ColumnKind.IMAGE
    assert np.array_equal(dataset.columns[column.name][5][:, :, 0], pixels(5))


def test_a_kind_that_is_said_decides(folder: Path) -> None:
    path = table(folder, file=[f"{n:02d}.png" for n in range(12)], age=list(range(12)), kind=["cat"] * 6 + ["dog"] * 6)
    as_text = read(path, target="kind", kinds={"file": "text"}, readers=READERS)
    assert as_text.schema["file"].kind is ColumnKind.TEXT
    assert read(path, target="kind", kinds={"file": "image"}, readers=READERS).schema["file"].kind is ColumnKind.IMAGE


def with_pictures(cells: list[np.ndarray | None], target: list[int]) -> Dataset:
    pictures = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        pictures[row] = cell
    schema = Schema(
        (Column(name="photo", kind=ColumnKind.IMAGE, channels=1), Column(name="y", kind=ColumnKind.CATEGORY, levels=("a", "b"))),
        target="y",
    )
    task = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("a", "b"))
    answers = np.array(target)
    return Dataset(
        schema=schema, columns={"photo": pictures, "y": answers.astype(np.int32)}, fingerprint="f", task=task, target=answers
    )


def test_equal_pictures_are_copies_and_different_ones_are_not() -> None:
    first, second = pixels(0)[:, :, None], pixels(1)[:, :, None]
    turned = first.reshape(5, 6, 1)
    found = find_duplicates(with_pictures([first, second, first.copy(), turned, second.copy()], [0, 1, 0, 0, 0]))
    assert found.twins[0] == found.twins[2]
    assert found.twins[1] == found.twins[4]
    assert len({found.twins[0], found.twins[1], found.twins[3]}) == 3
    assert found.repeats.tolist() == [False, False, True, False, False]
    assert found.conflicts.tolist() == [False, True, False, False, True]
    assert found.n_twins == 4


def test_missing_pictures_are_no_copies_of_one_another() -> None:
    found = find_duplicates(with_pictures([pixels(0)[:, :, None], None, None, None, pixels(1)[:, :, None]], [0, 1, 0, 1, 0]))
    assert len(set(found.twins.tolist())) == 5
    assert found.n_twins == 0


def test_pictures_are_profiled_by_size_and_brightness() -> None:
    bright, dark = np.full((4, 6, 1), 200, np.uint8), np.full((4, 6, 1), 10, np.uint8)
    tall = np.full((9, 2, 1), 100, np.uint8)
    (found, _) = profile(with_pictures([bright, dark, tall, None, bright.copy()], [0, 1, 0, 1, 0])).columns
    assert (found.kind, found.n_missing, found.n_unique) == ("image", 1, 3)
    assert dict(zip(found.labels, found.histogram, strict=True)) == {"6 x 4": 3, "2 x 9": 1}
    assert (found.low, found.high, found.mean) == (10, 200, 127.5)


def test_many_sizes_are_summed_up() -> None:
    cells = [np.zeros((1 + number, 3, 1), np.uint8) for number in range(30)]
    found = profile(with_pictures(cells, [0, 1] * 15)).columns[0]
    assert len(found.labels) == 12
    assert found.labels[-1] == "other"
    assert sum(found.histogram) == 30


def test_a_column_without_any_picture_is_profiled_too() -> None:
    found = profile(with_pictures([None] * 4, [0, 1, 0, 1])).columns[0]
    assert (found.n_missing, found.n_unique, found.mean) == (4, 0, None)


def test_a_leak_beside_pictures_is_found_and_pictures_are_no_suspects() -> None:
    generator = np.random.default_rng(0)
    target = generator.integers(0, 2, 200).tolist()
    dataset = with_pictures([np.full((3, 3, 1), 250 * label, np.uint8) for label in target], target)
    assert find_leaks(dataset, profile(dataset)) == []
    columns = {
        **dataset.columns,
        "fee": np.array(target) * 10.0 + generator.normal(size=200),
        "noise": generator.normal(size=200),
    }
    numbers = [Column(name=name, kind=ColumnKind.NUMBER) for name in ("fee", "noise")]
    leaky = replace(dataset, columns=columns, schema=replace(dataset.schema, columns=(*dataset.schema.columns, *numbers)))
    assert [finding.where for finding in find_leaks(leaky, profile(leaky))] == ["fee"]
