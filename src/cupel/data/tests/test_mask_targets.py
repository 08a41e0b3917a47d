"""Masks as a target: which task they pose, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest
from PIL import Image

from cupel import data
from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.masks import VOID
from cupel.core.schema import ColumnKind
from cupel.core.settings import Settings
from cupel.core.task import TaskKind
from cupel.dividing import divide
from cupel.problem import findings_of, inspect, profile_of

N = 12


def mask_of(number: int) -> np.ndarray:
    mask = np.zeros((24, 16), np.uint8)
    mask[: 4 + number] = 255
    return mask


def saved(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def picture_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (24, 16)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(N):
        saved(picture_of(number), tmp_path / "images" / f"{number:02d}.png")
        saved(mask_of(number), tmp_path / "masks" / f"{number:02d}.png")
    return tmp_path


def read(source: object, target: str | None = None, **asked: str) -> Dataset:
    return data.read(source, target=target, readers=registry.readers(), **asked)


def must_be_the_masks(found: Dataset, *, target: str = "mask") -> None:
    assert found.task is not None
    assert found.target is not None
    assert found.task.kind is TaskKind.SEGMENTATION
    assert found.task.metric == "dice"
    assert found.task.classes == ("0", "255")
    assert found.task.grid == (24, 16)
    assert found.schema[target].kind is ColumnKind.IMAGE
    assert [column.name for column in found.schema.features] == ["picture"]
    for row in range(N):
        assert np.array_equal(found.target[row], mask_of(row) // 255)
        assert np.array_equal(found.columns[target][row][:, :, 0], mask_of(row) // 255)


def test_folders_of_pictures_and_masks_name_their_target(folder: Path) -> None:
    must_be_the_masks(read(folder))
    must_be_the_masks(read(folder, "mask", task="segmentation"))
    assert read(folder).name_of(3) == "images/03.png"


def test_pairs_in_one_folder_are_found(tmp_path: Path) -> None:
    for number in range(N):
        saved(picture_of(number), tmp_path / "all" / f"{number:02d}.png")
        saved(mask_of(number), tmp_path / "all" / f"{number:02d}_mask.png")
    must_be_the_masks(read(tmp_path / "all"))


def test_a_table_with_two_columns_of_paths_is_the_same(folder: Path) -> None:
    names = [f"{number:02d}.png" for number in range(N)]
    table = {"shape": [f"masks/{name}" for name in names], "picture": [f"images/{name}" for name in names]}
    polars.DataFrame(table).write_csv(folder / "pairs.csv")
    found = read(folder / "pairs.csv", "shape")
    must_be_the_masks(found, target="shape")
    assert found.name_of(0) == "images/00.png"


def test_arrays_in_memory_are_masks_too() -> None:
    rows = range(N)
    columns = {name: np.empty(N, dtype=object) for name in ("picture", "mask")}
    for row in rows:
        columns["picture"][row], columns["mask"][row] = picture_of(row), mask_of(row)
    must_be_the_masks(read(columns, "mask"))


def test_pictures_without_a_readable_mask_are_left_out_and_counted(folder: Path) -> None:
    (folder / "masks" / "05.png").write_bytes(b"<html>")
    found = read(folder)
    assert found.n_samples == N - 1
    assert 5 not in found.row_numbers
    assert {"unreadable-masks", "target-missing"} <= {finding.code for finding in found.findings}


def test_the_same_masks_have_one_fingerprint_and_others_another(folder: Path) -> None:
    first = read(folder).fingerprint
    assert read(folder).fingerprint == first
    saved(255 - mask_of(0), folder / "masks" / "00.png")
    assert read(folder).fingerprint != first


def test_other_tasks_and_other_columns_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="task=regression was asked for, but target 'mask' holds masks"):
        read(folder, task="regression")
    with pytest.raises(UsageError, match="positive='255' was given"):
        read(folder, positive="255")
    with pytest.raises(DataError, match="holds no pictures; segmentation needs masks"):
        read({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]}, "b", task="segmentation")


def test_masks_that_do_not_fit_their_pictures_are_found(folder: Path) -> None:
    saved(mask_of(2).T, folder / "masks" / "02.png")
    saved(np.zeros((24, 16), np.uint8), folder / "masks" / "03.png")
    dataset = read(folder)
    profile, inspection = profile_of(dataset), inspect(dataset, registry.recognise(dataset.schema))
    found = {finding.code: finding for finding in findings_of(dataset, profile, inspection=inspection)}
    assert "images/02.png (16 x 24, mask 24 x 16)" in found["masks-of-another-size"].what
    assert "1 of 12" in found["masks-of-one-class"].what
    assert sum(profile.class_counts) == N * 24 * 16
    assert ("masks", "2 classes of pixels, learned at 16 x 24") in inspection.facts


def test_few_masks_are_divided_once_in_three_with_like_shares(folder: Path) -> None:
    dataset = read(folder)
    splits = divide(dataset, Settings())
    assert (splits.scheme, len(splits.folds)) == ("stratified", 3)
    assert dataset.target is not None
    shares = [float((dataset.target[fold.valid] == 1).mean()) for fold in splits.folds]
    assert max(shares) - min(shares) < 0.15
    assert len(divide(dataset, Settings(split="repeated")).folds) == 10


def test_void_is_no_class_of_the_target() -> None:
    columns = {name: np.empty(N, dtype=object) for name in ("picture", "mask")}
    for row in range(N):
        mask = np.zeros((16, 16), np.uint8)
        mask[:8], mask[15] = 1, VOID
        columns["picture"][row], columns["mask"][row] = picture_of(row), mask
    found = read(columns, "mask")
    assert found.task is not None
    assert found.target is not None
    assert found.task.classes == ("0", "1")
    assert (found.target == VOID).mean() == 1 / 16
