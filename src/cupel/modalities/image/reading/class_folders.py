"""A folder with one folder per class: the name of the folder is the label."""

from __future__ import annotations

from pathlib import Path

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.picture_folders import entries_of, find_pictures, loose_pictures, subfolders
from cupel.modalities.image.reading.skipped import skipped_files
from cupel.modalities.image.reading.splits import training_part
from cupel.modalities.image.reading.table import LABEL, PICTURE, PictureTable, counted, listed, object_array

TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".feather", ".arrow", ".xlsx")


def read_class_folders(folder: Path) -> PictureTable:
    """Paths and labels of all pictures, by class and then by name; folders inside a class belong to it.

    Raises:
        DataError: the folder cannot be listed, or fewer than two folders in it hold pictures.
    """
    root, findings = training_part(folder)
    paths: list[str] = []
    labels: list[str] = []
    skipped: list[str] = []
    empty: list[str] = []
    for inner in subfolders(root):
        found = find_pictures(inner)
        paths += [f"{inner.name}/{path}" for path in found.pictures]
        labels += [inner.name] * len(found.pictures)
        skipped += [f"{inner.name}/{path}" for path in found.skipped]
        empty += [] if found.pictures else [inner.name]
    n_classes = len(set(labels))
    loose = loose_pictures(root)
    if n_classes < 2:
        raise _too_few_classes(root, sorted(set(labels)), len(loose))
    findings += [
        *_beside_classes(root, loose),
        *_empty(root, empty),
        *skipped_files([*_loose_others(root), *skipped], where=root),
    ]
    columns = {PICTURE: object_array(paths), LABEL: object_array(labels)}
    return PictureTable(columns, root, has_classes=True, findings=tuple(findings))


def read_flat_folder(folder: Path) -> PictureTable:
    """Paths of all pictures at any depth, without labels: what is to be predicted.

    Raises:
        DataError: the folder cannot be listed, or holds no picture.
    """
    found = find_pictures(folder)
    if not found.pictures:
        others = f" It holds {listed(found.skipped)}." if found.skipped else ""
        raise DataError(f"{folder} holds no picture; expected files that end in .jpg, .png, .webp, .gif, .tif or .bmp.{others}")
    findings = tuple(skipped_files(found.skipped, where=folder))
    return PictureTable({PICTURE: object_array(found.pictures)}, folder, target=None, findings=findings)


def _loose_others(root: Path) -> list[str]:
    """Files beside the classes that are no pictures, and hidden folders there."""
    visible = {path.name for path in subfolders(root)}
    pictures = set(loose_pictures(root))
    return [entry.name for entry in entries_of(root) if entry.name not in visible | pictures]


def _too_few_classes(root: Path, classes: list[str], n_loose: int) -> DataError:
    if classes:
        seen = f"one folder of pictures, {classes[0]!r}"
    elif n_loose:
        seen = f"{counted(n_loose, 'picture')} and no folders of pictures"
    else:
        seen = "no pictures"
    tables = [name for name in _loose_others(root) if name.lower().endswith(TABLE_ENDINGS)]
    return DataError(
        f"{root} holds {seen}; expected one folder for each class, two at least, with its pictures inside; "
        f"or a folder 'images' beside one of 'masks'; or a table with a column of paths."
        + (f" If {root / tables[0]} is that table, give it in place of the folder." if tables else "")
    )


def _beside_classes(root: Path, loose: list[str]) -> list[Finding]:
    if not loose:
        return []
    return [
        Finding(
            code="pictures-without-class",
            severity=Severity.WARNING,
            where=str(root),
            what=f"Beside the folders of classes stand pictures: {counted(len(loose), 'file')}, {listed(loose)}.",
            action="They have no label and are passed over.",
        )
    ]


def _empty(root: Path, names: list[str]) -> list[Finding]:
    if not names:
        return []
    return [
        Finding(
            code="empty-folders",
            severity=Severity.WARNING,
            where=str(root),
            what=f"Without any picture: {counted(len(names), 'folder')}, {listed(names)}.",
            action="They are not taken for classes.",
        )
    ]
