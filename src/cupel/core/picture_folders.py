"""Which files of a folder are pictures, at any depth, by their names; the same for training and prediction."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cupel.core.errors import DataError

SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".dib"))
_LEFT_BY_SYSTEMS = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information"))


@dataclass(frozen=True)
class Found:
    """Paths relative to the folder that was searched, in the order of their names: pictures, and what was passed over."""

    pictures: tuple[str, ...]
    skipped: tuple[str, ...]


def has_picture_suffix(name: str) -> bool:
    """Whether a file name ends as pictures do."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_visible(name: str) -> bool:
    """Whether a folder was made by a person, as opposed to hidden ones and those that systems leave."""
    return not name.startswith(".") and name.lower() not in _LEFT_BY_SYSTEMS


def subfolders(folder: Path) -> list[Path]:
    """The visible folders right inside, in the order of their names.

    Raises:
        DataError: the folder cannot be listed.
    """
    return [folder / entry.name for entry in entries_of(folder) if is_visible(entry.name) and entry.is_dir()]


def loose_pictures(folder: Path) -> list[str]:
    """Names of the pictures right inside.

    Raises:
        DataError: the folder cannot be listed.
    """
    return [entry.name for entry in entries_of(folder) if _is_picture(entry)]


def find_pictures(folder: Path) -> Found:
    """All pictures at any depth, by their suffix. Links to folders are followed, each folder being entered once.

    Raises:
        DataError: a folder cannot be listed.
    """
    pictures: list[str] = []
    skipped: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        entries = entries_of(folder / inner)
        identity = os.stat(folder / inner)
        if (identity.st_dev, identity.st_ino) in entered:
            continue
        entered.add((identity.st_dev, identity.st_ino))
        for entry in entries:
            path = f"{inner}/{entry.name}" if inner else entry.name
            if _is_picture(entry):
                pictures.append(path)
            elif entry.is_dir() and is_visible(entry.name):
                waiting.append(path)
            else:
                skipped.append(path)
    return Found(tuple(sorted(pictures)), tuple(sorted(skipped)))


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and has_picture_suffix(entry.name) and entry.is_file()


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """All that stands right inside a folder, in the order of names.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror or error}); expected a folder of pictures.") from error
