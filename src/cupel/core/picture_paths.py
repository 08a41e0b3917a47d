"""Where a picture is that a cell of a table names."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath

from cupel.core.errors import DataError
from cupel.core.picture_folders import loose_pictures, subfolders

_MOST_FOLDERS = 1000


class PictureFinder:
    """Looks for files by name, and without suffix unless told not to; lists folders only where a name does not lead to its file.

    A name is looked for as it stands, relative to `folder`, with backslashes as slashes, and then, by its last part, in `folder`
    and the folders up to two levels below; a name that stands in several of those is not taken.
    """

    def __init__(self, folder: Path, *, by_stem: bool = True) -> None:
        self.folder = folder
        self.by_stem = by_stem

    def find(self, name: str) -> str | None:
        """The path, relative to the folder where it is below it; None where there is no such file."""
        for spelled in dict.fromkeys((name.strip(), name.strip().replace("\\", "/"))):
            if _is_file(self.folder / spelled):
                return spelled
        last = PurePosixPath(name.strip().replace("\\", "/")).name
        places = self._below.get(last, [])
        return places[0] if len(places) == 1 else None

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        """Pictures here and up to two levels below, by file name, and by stem."""
        try:
            first = subfolders(self.folder)
            folders = [self.folder, *first, *(inner for path in first[:_MOST_FOLDERS] for inner in subfolders(path))]
            found = [path / name for path in folders[:_MOST_FOLDERS] for name in loose_pictures(path)]
        except DataError:  # no folder to look in
            return {}
        places: dict[str, list[str]] = {}
        for path in found:
            for key in (path.name, path.stem) if self.by_stem else (path.name,):
                places.setdefault(key, []).append(path.relative_to(self.folder).as_posix())
        return places


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that no path can be: too long, or with a NUL
        return False
