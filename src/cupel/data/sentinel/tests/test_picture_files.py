"""Files of pictures whose names, formats or sizes tell the target are found, and honest ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.data.sentinel.picture_files import find_telling_files
from cupel.data.skill import Bench

N = 120


def pictures(names: list[str] | None = None, *, heights: np.ndarray | None = None, source: str = "") -> Dataset:
    """Noise of two classes."""
    generator = np.random.default_rng(0)
    heights = np.full(N, 6) if heights is None else heights
    cells = np.empty(N, dtype=object)
    for row, height in enumerate(heights.tolist()):
        cells[row] = generator.integers(0, 256, (height, 5, 1)).astype(np.uint8)
    columns = (
        Column(name="photo", kind=ColumnKind.IMAGE, channels=1),
        Column(name="kind", kind=ColumnKind.CATEGORY, levels=("cat", "dog")),
    )
    return Dataset(
        Schema(columns, target="kind"),
        {"photo": cells, "kind": TARGET.astype(np.int32)},
        "f",
        task=Task(kind=TaskKind.BINARY, target="kind", metric="roc_auc", classes=("cat", "dog")),
        target=TARGET,
        source=source,
        names={} if names is None else {"photo": np.array(names, dtype=object)},
    )


TARGET = np.random.default_rng(5).integers(0, 2, N)
SERIAL = np.random.default_rng(6).permutation(N)


def found(dataset: Dataset) -> list[Finding]:
    return find_telling_files(dataset, Bench(dataset))


def test_honest_files_draw_no_finding() -> None:
    assert found(pictures()) == []
    assert found(pictures([f"img_{number:04d}.png" for number in SERIAL])) == []
    assert found(pictures(heights=np.random.default_rng(1).integers(4, 9, N))) == []


TOLD = {
    "the number in it": [f"img_{1000 * up + number:05d}.png" for up, number in zip(TARGET, SERIAL, strict=True)],
    "what stands before its number": [
        f"{'DSC' if up else 'IMG'}{number:03d}.png" for up, number in zip(TARGET, SERIAL, strict=True)
    ],
}


@pytest.mark.parametrize("part", TOLD)
def test_a_name_that_tells_is_a_note(part: str) -> None:
    (finding,) = found(pictures(TOLD[part]))
    assert (finding.code, finding.severity, finding.where) == ("telling-files", Severity.NOTE, "photo")
    assert part in finding.what
    assert finding.probability == 0.999


def test_files_that_are_named_by_their_class_are_no_news() -> None:
    assert found(pictures([f"{'dog' if up else 'cat'}{number:03d}.png" for up, number in zip(TARGET, SERIAL, strict=True)])) == []


def test_a_format_and_a_size_that_tell_are_warnings() -> None:
    by_format = [f"{number:03d}.{'jpg' if up else 'png'}" for up, number in zip(TARGET, SERIAL, strict=True)]
    for dataset, word in ((pictures(by_format), "format"), (pictures(heights=np.where(TARGET == 1, 6, 8)), "height")):
        (finding,) = found(dataset)
        assert finding.severity is Severity.WARNING
        assert f"the {word} of a picture" in finding.what


def test_bytes_in_a_file_that_tell_are_found(tmp_path: Path) -> None:
    names = [f"{number:03d}.png" for number in SERIAL]
    sizes = 100 + 50 * TARGET + np.random.default_rng(3).integers(0, 40, N)
    for name, size in zip(names, sizes.tolist(), strict=True):
        (tmp_path / name).write_bytes(bytes(size))
    (finding,) = found(pictures(names, source=str(tmp_path)))
    assert "number of bytes" in finding.what


def photographed(folder: Path, *, cameras: list[str], days: list[int]) -> Dataset:
    names = [f"{number:03d}.jpg" for number in SERIAL]
    for name, camera, day in zip(names, cameras, days, strict=True):
        exif = Image.Exif()
        exif[0x0110] = camera
        exif.get_ifd(0x8769)[0x9003] = f"2020:{1 + day // 28:02d}:{1 + day % 28:02d} 12:00:00"
        Image.fromarray(np.zeros((6, 5), np.uint8)).save(folder / name, exif=exif)
    return pictures(names, source=str(folder))


def test_a_camera_that_tells_is_a_warning_and_one_that_does_not_is_none(tmp_path: Path) -> None:
    days = np.random.default_rng(2).integers(0, 300, N).tolist()
    (finding,) = found(photographed(tmp_path, cameras=["D850" if up else "X100" for up in TARGET], days=days))
    assert finding.severity is Severity.WARNING
    assert "the camera of a picture" in finding.what
    cameras = np.random.default_rng(3).choice(["D850", "X100"], N).tolist()
    assert found(photographed(tmp_path, cameras=cameras, days=days)) == []


def test_a_date_that_tells_is_a_note_about_sessions(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    days = (generator.integers(0, 100, N) + 150 * TARGET).tolist()
    (finding,) = found(photographed(tmp_path, cameras=generator.choice(["D850", "X100"], N).tolist(), days=days))
    assert finding.severity is Severity.NOTE
    assert "the date when a picture was taken" in finding.what
    assert "--order" in finding.action
