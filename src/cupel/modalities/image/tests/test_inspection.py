"""What is found wrong with pictures, by file, and which of them are kept together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.masks import on_grid
from cupel.core.modality import Inspection
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.modalities.image import modality
from cupel.modalities.image.inspection import inspect
from cupel.modalities.image.reader import PictureReader


def scene(seed: int, *, height: int = 40, width: int = 40) -> Any:
    """A smooth picture unlike those of other seeds."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def make_dataset(pictures: list[Any], labels: list[str] | None = None, **roles: Any) -> Dataset:
    cells = np.empty(len(pictures), dtype=object)
    cells[:] = pictures
    names = np.array([f"{row}.png" for row in range(len(pictures))], dtype=object)
    columns: dict[str, Any] = {"photo": cells}
    described = [Column(name="photo", kind=ColumnKind.IMAGE, channels=3)]
    task, target = None, None
    if labels is not None:
        classes = tuple(sorted(set(labels)))
        target = np.array([classes.index(label) for label in labels])
        columns["kind"] = target.astype(np.int32)
        described.append(Column(name="kind", kind=ColumnKind.CATEGORY, levels=classes))
        task = Task(kind=TaskKind.MULTICLASS, target="kind", metric="log_loss", classes=classes)
    schema = Schema(tuple(described), None if labels is None else "kind", **roles)
    return Dataset(schema, columns, "made", task=task, target=target, names={"photo": names})


def many(n_pictures: int, *more: Any) -> list[Any]:
    return [*(scene(seed) for seed in range(n_pictures)), *more]


def found_in(dataset: Dataset) -> tuple[dict[str, Finding], Inspection]:
    inspection = inspect(dataset)
    return {finding.code: finding for finding in inspection.findings}, inspection


def brighter(picture: Any) -> Any:
    return np.clip(picture * 0.9 + 10, 0, 255).astype(np.uint8)


def test_clean_pictures_have_no_findings_and_no_twins() -> None:
    inspection = inspect(make_dataset(many(60), ["cat", "dog"] * 30))
    assert inspection.findings == ()
    assert inspection.twins is None
    assert dict(inspection.facts)["sizes"] == "all 40 x 40"
    assert dict(inspection.facts)["pictures"] == "60, coloured"


def test_channels_and_sharpness_are_told() -> None:
    red = np.zeros((4, 6, 3), np.uint8)
    red[:2, :, 0] = 255
    bright, dark = np.full((8, 3, 3), 255, np.uint8), np.zeros((4, 6, 3), np.uint8)
    facts = dict(inspect(make_dataset([dark, bright, red, None, red])).facts)
    assert facts["channels"] == "red 128 ± 128, green 64 ± 110, blue 64 ± 110 of 255", "each counts alike, though one is larger"
    assert facts["sharpness"] == "0 to 5,813, median 2,907; the least are blurred or plain"


def test_blank_pictures_are_named() -> None:
    blank = np.full((40, 40, 3), 7, np.uint8)
    found, inspection = found_in(make_dataset(many(50, blank, blank), ["cat", "dog"] * 26))
    assert found["blank-pictures"].severity is Severity.WARNING
    assert "50.png, 51.png" in found["blank-pictures"].what
    assert "duplicate-rows" not in found  # that blank ones are equal is no news
    assert inspection.twins is None


def test_exact_copies_are_named_and_kept_together() -> None:
    found, inspection = found_in(make_dataset(many(50, scene(3), scene(3)), ["cat"] * 26 + ["cat"] * 26))
    assert "3.png = 50.png = 51.png" in found["duplicate-rows"].what
    assert found["duplicate-rows"].what.startswith("2 of 52 pictures are equal")
    assert inspection.twins is not None
    assert len(set(inspection.twins[[3, 50, 51]].tolist())) == 1
    assert len(set(inspection.twins.tolist())) == 50


def test_copies_with_other_labels_are_serious() -> None:
    found, _ = found_in(make_dataset(many(51, scene(3)), ["cat"] * 26 + ["dog"] * 26))
    assert found["contradicting-rows"].severity is Severity.SERIOUS
    assert "3.png (cat) = 51.png (dog)" in found["contradicting-rows"].what
    assert "duplicate-rows" not in found


def test_near_copies_are_named_and_kept_together() -> None:
    pictures = many(50, brighter(scene(3)), brighter(scene(9)))
    found, inspection = found_in(make_dataset(pictures, ["cat"] * 20 + ["dog"] * 31 + ["cat"]))
    assert "9.png = 51.png" in found["near-copies"].what
    assert "3.png (cat) = 50.png (dog)" in found["contradicting-near-copies"].what
    assert inspection.twins is not None
    assert inspection.twins[3] == inspection.twins[50] != inspection.twins[9]
    assert "same fold" in found["near-copies"].action


@pytest.mark.parametrize(("role", "words"), [("group", "the groups decide"), ("time", "the order in time decides")])
def test_where_the_user_divides_the_finding_says_so(role: str, words: str) -> None:
    found, _ = found_in(make_dataset(many(50, brighter(scene(3))), ["cat"] * 51, **{role: "kind"}))
    assert words in found["near-copies"].action


def test_a_tenth_of_all_that_look_alike_are_no_copies_but_equal_ones_stay_together() -> None:
    alike = [brighter(scene(0)), np.clip(scene(0) * 0.8 + 20, 0, 255).astype(np.uint8)] * 5
    found, inspection = found_in(make_dataset(many(30, *alike), ["cat", "dog"] * 20))
    assert "pictures-all-alike" in found
    assert inspection.twins is not None
    assert inspection.twins[30] == inspection.twins[32] != inspection.twins[31]
    assert inspection.twins[0] != inspection.twins[30]


def test_unusual_sizes_and_shapes_are_named_unless_sizes_vary_anyhow() -> None:
    pictures = many(50, scene(90, height=8, width=8), scene(91, height=20, width=90))
    found, inspection = found_in(make_dataset(pictures, ["cat", "dog"] * 26))
    assert "50.png (8 x 8), 51.png (90 x 20)" in found["unusual-sizes"].what
    assert dict(inspection.facts)["sizes"].startswith("40 x 40 (96%)")
    mixed = [scene(seed, height=side, width=side) for seed, side in enumerate([8, 60] * 25)]
    found, _ = found_in(make_dataset(mixed, ["cat", "dog"] * 25))
    assert "unusual-sizes" not in found


def test_classes_of_few_pictures_are_counted_without_those_that_are_missing() -> None:
    pictures = many(60)
    pictures[:8] = [None] * 8
    found, _ = found_in(make_dataset(pictures, ["owl"] * 25 + ["cat"] * 35))
    assert "'owl' 17" in found["rare-classes"].what
    assert "'cat'" not in found["rare-classes"].what


def test_nothing_but_missing_pictures_is_no_fault_here() -> None:
    inspection = inspect(make_dataset([None] * 12))
    assert inspection.findings == ()
    assert inspection.twins is None
    assert dict(inspection.facts)["pictures"] == "0, 12 missing, coloured"


def test_pictures_without_classes_are_looked_at_too() -> None:
    found, _ = found_in(make_dataset(many(50, scene(3))))
    assert set(found) == {"duplicate-rows"}


def test_the_modality_hands_the_hook_over() -> None:
    assert modality.inspect is not None
    assert modality.inspect(make_dataset(many(20))).facts


def test_the_reader_keeps_the_files_names(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(scene(number)).save(tmp_path / f"{number}.png")
    cells = np.array(["0.png", None, "2.png", "absent.png", {"path": "1.png"}], dtype=object)
    read = PictureReader().decode("photo", cells, folder=tmp_path, progress=lambda _: None)
    assert read.names is not None
    assert read.names.tolist() == ["0.png", None, "2.png", "absent.png", "1.png"]
    arrays = np.empty(2, dtype=object)
    arrays[:] = [scene(0), scene(1)]
    assert PictureReader().decode("photo", arrays, folder=tmp_path, progress=lambda _: None).names is None


def masked(pictures: list[Any], masks: list[Any], **roles: Any) -> Dataset:
    dataset = make_dataset(pictures)
    cells = np.empty(len(masks), dtype=object)
    cells[:] = [mask[:, :, None] for mask in masks]
    column = Column(name="mask", kind=ColumnKind.IMAGE, channels=1, levels=("0", "1"))
    schema = Schema((*dataset.schema.columns, column), "mask", **roles)
    task = Task(kind=TaskKind.SEGMENTATION, target="mask", metric="dice", classes=("0", "1"), grid=(16, 16))
    target = np.stack([on_grid(mask, (16, 16)) for mask in masks])
    return Dataset(schema, {**dataset.columns, "mask": cells}, "made", task=task, target=target, names=dataset.names)


def drawn(seed: int) -> Any:
    return (scene(1000 + seed)[:, :, 0] > 127).astype(np.uint8)


def test_masks_that_are_copies_are_named_and_kept_together_with_their_pictures() -> None:
    pictures, masks = many(40, brighter(scene(3))), [drawn(seed) for seed in (*range(39), 7, 3)]
    found, inspection = found_in(masked(pictures, masks))
    assert "2 of 41 masks equal another to the last pixel" in found["copied-masks"].what
    assert "7.png = 39.png" in found["copied-masks"].what
    assert found["copied-masks"].fix == found["near-copies"].fix
    assert inspection.twins is not None
    assert inspection.twins[7] == inspection.twins[39]
    assert inspection.twins[3] == inspection.twins[40] != inspection.twins[7]
    assert len(set(inspection.twins.tolist())) == 39


def test_masks_of_one_class_or_of_one_kind_are_no_copies() -> None:
    masks = [drawn(seed) for seed in range(30)] + [np.zeros((40, 40), np.uint8)] * 2 + [drawn(99)] * 8
    found, inspection = found_in(masked(many(40), masks))
    assert "copied-masks" not in found
    assert inspection.twins is None


def test_pictures_are_described_row_by_row_and_masked_ones_point_by_point() -> None:
    pictures = many(6, None, scene(2))
    for dataset, axes in ((make_dataset(pictures), ()), (masked(pictures, [drawn(0)] * 8), (100,))):
        describe = inspect(dataset).describe
        assert describe is not None
        every = describe(np.arange(8))
        assert every.shape[:-1] == (8, *axes)
        assert np.isfinite(every).all()
        np.testing.assert_array_equal(every[2], every[7])
        assert (every[2] != every[3]).any()
        np.testing.assert_array_equal(describe(np.array([5, 2])), every[[5, 2]])
