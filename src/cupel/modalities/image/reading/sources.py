"""Recognises what a path leads to, and reads it as a table of pictures."""

from __future__ import annotations

from pathlib import Path

from cupel.core.errors import DataError
from cupel.core.idx_files import is_idx_name
from cupel.modalities.image.reading.archives import read_npz
from cupel.modalities.image.reading.class_folders import read_class_folders
from cupel.modalities.image.reading.idx import pairs_in, read_idx_folder, read_idx_pair
from cupel.modalities.image.reading.masks import holds_masks, read_mask_folders
from cupel.modalities.image.reading.table import PictureTable


def is_source_of_pictures(path: Path) -> bool:
    """Whether `read_source` is the one to read this: a folder, an .npz archive, or an idx file; tables of paths are not."""
    return path.is_dir() or path.suffix.lower() == ".npz" or (path.is_file() and is_idx_name(path.name))


def read_source(path: Path) -> PictureTable:
    """Pictures and labels of an .npz archive, an idx file, or a folder: of idx files, of pictures and masks, or of one per class.

    Raises:
        DataError: it is none of these, or cannot be read.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path.")
    if path.is_dir():
        if pairs_in(path):
            return read_idx_folder(path)
        return read_mask_folders(path) if holds_masks(path) else read_class_folders(path)
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    if is_idx_name(path.name):
        for pictures, labels in pairs_in(path.parent).values():
            if path.name in (pictures.name, labels.name):
                return read_idx_pair(pictures, labels)
        raise DataError(
            f"{path} has no partner; expected a file like train-labels-idx1-ubyte beside one like train-images-idx3-ubyte."
        )
    raise DataError(f"{path} is no folder, .npz archive or idx file; a table that names pictures is read as a table.")
