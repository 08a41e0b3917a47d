"""Pictures that are to be predicted, beside those that were learned from: what moved is named, and what is in both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cupel.core.finding import Finding
from cupel.core.settings import Settings
from cupel.new_rows import findings_on
from cupel.problem import read


def save(folder: Path, name: str, *, seed: int, contrast: float = 1.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(rough).resize((20, 20), Image.Resampling.BICUBIC))
    Image.fromarray((smooth * contrast).astype(np.uint8)).save(folder / name)


def pets(root: Path) -> Path:
    """Forty cats and forty dogs."""
    for number, label in enumerate(("cat", "dog")):
        for seed in range(40):
            save(root / label, f"{seed}.png", seed=1000 * number + seed)
    return root


def compared(old: Path, new: Path, target: str | None = None) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings_on(read(str(old), target, settings=Settings()), str(new)):
        found.setdefault(finding.code, []).append(finding)
    return found


def test_new_pictures_of_the_same_kind_have_not_shifted(tmp_path: Path) -> None:
    folder = pets(tmp_path / "old")
    new = tmp_path / "new"
    for seed in range(60):
        save(new, f"{seed}.png", seed=5000 + seed)
    assert compared(folder, new) == {}


def test_new_pictures_that_are_darker_and_of_another_format_are_told_by_what_moved(tmp_path: Path) -> None:
    folder, new = pets(tmp_path / "old"), tmp_path / "new"
    for seed in range(60):
        save(new, f"{seed}.jpg", seed=5000 + seed, contrast=0.4)
    found = compared(folder, new)
    assert {"picture: brightness", "picture: format"} <= {finding.where for finding in found["shifted-column"]}
    assert not any("--drop" in finding.action for finding in found["shifted-column"])
    assert "ROC-AUC" in found["shift"][0].what


def test_new_pictures_that_were_learned_from_are_named(tmp_path: Path) -> None:
    folder, new = pets(tmp_path / "old"), tmp_path / "new"
    for seed in range(12):
        save(new, f"{seed}.png", seed=5000 + seed)
    save(new, "same.png", seed=3)
    save(new, "paler.png", seed=1004, contrast=0.9)
    (finding,) = compared(folder, new)["known-pictures"]
    assert finding.what.startswith("2 of 14 new pictures")
    assert "same.png = cat/3.png" in finding.what
    assert "paler.png = dog/4.png" in finding.what


def test_pictures_named_in_a_table_are_compared_beside_its_columns(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for seed in range(140):
        save(tmp_path, f"{seed}.png", seed=seed, contrast=0.4 if seed >= 80 else 1.0)
    for name, rows in (("old.csv", range(80)), ("new.csv", range(80, 140))):
        lines = [f"{row}.png,{generator.normal():.3f},{row % 2}" for row in rows]
        (tmp_path / name).write_text("photo,x,y\n" + "\n".join(lines) + "\n")
    found = compared(tmp_path / "old.csv", tmp_path / "new.csv", "y")
    moved = {finding.where for finding in found["shifted-column"]}
    assert "photo: brightness" in moved
    assert "x" not in moved


def test_a_table_without_the_pictures_is_told_that_they_are_absent(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for seed in range(60):
        save(tmp_path, f"{seed}.png", seed=seed)
    lines = [f"{row}.png,{generator.normal():.3f},{row % 2}" for row in range(60)]
    (tmp_path / "old.csv").write_text("photo,x,y\n" + "\n".join(lines) + "\n")
    (tmp_path / "new.csv").write_text("x\n" + "\n".join(f"{generator.normal():.3f}" for _ in range(50)) + "\n")
    found = compared(tmp_path / "old.csv", tmp_path / "new.csv", "y")
    (absent,) = found["absent-columns"]
    assert absent.where == "photo"


def test_pictures_of_another_camera_and_season_are_told_so(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, camera, month in (("old/cat", "D5", 5), ("old/dog", "D5", 5), ("new", "X100", 11)):
        (tmp_path / name).mkdir(parents=True)
        for number in range(40):
            exif = Image.Exif()
            exif[0x0110] = camera
            exif.get_ifd(0x8769)[0x9003] = f"2020:{month:02d}:{1 + number % 28:02d} 12:00:00"
            pixels = generator.integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.jpg", exif=exif)
    found = {finding.where: finding.what for finding in compared(tmp_path / "old", tmp_path / "new")["shifted-column"]}
    assert "'D5' was 100% of the rows, now it is 0%" in found["picture: camera"]
    assert "2020-05" in found["picture: date"]
    assert "2020-11" in found["picture: date"]
