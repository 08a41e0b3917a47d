"""Decoded pictures are kept where it pays, bounded, and read from the disk."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cupel.core.errors import DataError
from cupel.modalities.image.reader import PictureReader
from cupel.modalities.image.reading import cache, pictures
from cupel.modalities.image.reading.cache import cache_file_for, cache_folder, trim

N_PICTURES = 12


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for decoded pictures, used for however few there are."""
    folder = tmp_path / "kept"
    monkeypatch.setenv("CUPEL_CACHE", str(folder))
    monkeypatch.setattr(cache, "FEWEST_BYTES", 1)
    return folder


def cells_in(folder: Path) -> np.ndarray:
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    names = np.array([f"{number}.png" for number in range(N_PICTURES)], dtype=object)
    for number, name in enumerate(names):
        stream = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (5 + number % 2, 7, 3), np.uint8)).save(stream, "PNG")
        (folder / name).write_bytes(stream.getvalue())
    return names


def decoded(cells: np.ndarray, folder: Path) -> tuple[np.ndarray, list[str]]:
    column = PictureReader().decode("photo", cells, folder=folder, progress=lambda share: None)
    return column.values, [finding.code for finding in column.findings]


def is_mapped(cell: np.ndarray) -> bool:
    holder: object = cell
    while isinstance(holder, np.ndarray):
        holder = holder.base
    return isinstance(holder, memoryview) and type(holder.obj).__name__ == "mmap"


def test_many_pictures_are_decoded_once_and_read_from_the_file(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = cells_in(tmp_path / "photos")
    first, codes = decoded(names, tmp_path / "photos")
    assert codes == ["decoded-pictures-kept"]
    assert len(list(kept.glob("*.images"))) == 1
    monkeypatch.setattr(pictures, "decoded", never)
    again, _ = decoded(names, tmp_path / "photos")
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert all(is_mapped(cell) for cell in again)
    assert not any(cell.flags.writeable for cell in again)


def never(*_: object, **__: object) -> None:
    raise AssertionError("decoded again")


def test_what_is_read_is_the_same_as_without_a_file(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = cells_in(tmp_path / "photos")
    mapped, _ = decoded(names, tmp_path / "photos")
    monkeypatch.setenv("CUPEL_CACHE", "")
    plain, codes = decoded(names, tmp_path / "photos")
    assert codes == []
    assert not any(is_mapped(cell) for cell in plain)
    assert all(np.array_equal(one, two) for one, two in zip(mapped, plain, strict=True))


def test_a_changed_picture_is_seen_and_takes_the_place_of_the_old_file(kept: Path, tmp_path: Path) -> None:
    names = cells_in(tmp_path / "photos")
    before, _ = decoded(names, tmp_path / "photos")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "photos" / "3.png")
    after, _ = decoded(names, tmp_path / "photos")
    assert after[3].shape == (4, 4, 3)
    assert before[3].shape != after[3].shape, "who has the old file mapped goes on reading it"
    assert len(list(kept.glob("*.images"))) == 1


def test_few_small_pictures_and_arrays_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPEL_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(cache.machine, "usable_memory_bytes", lambda: 8 << 30)
    names = cells_in(tmp_path)
    assert cache_file_for(names, folder=tmp_path) is None
    arrays = np.empty(3, dtype=object)
    for row in range(3):
        arrays[row] = np.zeros((2, 2, 3), np.uint8)
    monkeypatch.setattr(cache.machine, "usable_memory_bytes", lambda: 1)
    assert cache_file_for(arrays, folder=tmp_path) is None
    assert cache_file_for(names, folder=tmp_path) is not None, "might not fit into memory"


def test_the_folder_is_the_one_named_or_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUPEL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/cupel/pictures")
    monkeypatch.setenv("CUPEL_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.setenv("CUPEL_CACHE", "")
    assert cache_folder() is None


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        (tmp_path / f"{name}.images").write_bytes(bytes(100))
        os.utime(tmp_path / f"{name}.images", ns=(10**9 - age, 10**9 - age))
    (tmp_path / "other.txt").write_bytes(bytes(1000))
    trim(tmp_path, but=tmp_path / "oldest.images", most_bytes=250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.images", "oldest.images", "other.txt"]
    trim(tmp_path, but=tmp_path / "oldest.images", most_bytes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["oldest.images", "other.txt"]


def test_what_is_kept_is_read_by_its_owner_alone(kept: Path, tmp_path: Path) -> None:
    decoded(cells_in(tmp_path / "photos"), tmp_path / "photos")
    assert kept.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in kept.iterdir()] == [0o600]


def test_what_a_killed_run_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    for name in ("new.images", ".new.images.a1b2c3d4", ".old.images.a1b2c3d4", ".old.txt"):
        (tmp_path / name).write_bytes(bytes(100))
        if "old" in name:
            os.utime(tmp_path / name, (0, 0))
    trim(tmp_path, but=tmp_path / "new.images")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new.images.a1b2c3d4", ".old.txt", "new.images"]


def test_what_another_run_removes_meanwhile_is_no_fault(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.glob

    def vanishing(folder: Path, pattern: str) -> list[Path]:
        found = list(usual(folder, pattern))
        for path in found:
            path.unlink()
        return found

    monkeypatch.setattr(Path, "glob", vanishing)
    values, codes = decoded(cells_in(tmp_path / "photos"), tmp_path / "photos")
    assert codes == ["decoded-pictures-kept"]
    assert values[0].shape == (5, 7, 3)
    trim(kept, but=kept / "gone.images")


def test_a_disk_that_does_not_take_them_leaves_them_to_memory(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = cells_in(tmp_path / "photos")
    monkeypatch.setattr(pictures, "ImagesWriter", full)
    values, codes = decoded(names, tmp_path / "photos")
    assert codes == []
    assert values[2].shape == (5, 7, 3)


def full(*_: object, **__: object) -> None:
    try:
        raise OSError("No space left on device")
    except OSError as error:
        raise DataError("cannot be written") from error


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CUPEL_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(cache, "FEWEST_BYTES", 1)
    names = cells_in(tmp_path / "photos")
    assert cache_file_for(names, folder=tmp_path / "photos") is None
