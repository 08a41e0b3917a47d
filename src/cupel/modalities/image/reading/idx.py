"""Pictures and labels in pairs of idx files, as MNIST and its successors come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.idx_files import is_idx_name, read_idx
from cupel.core.images import Images
from cupel.core.picture_folders import entries_of
from cupel.core.picture_stacks import stacked_pictures
from cupel.modalities.image.reading.table import LABEL, PICTURE, PictureTable, listed

Array = NDArray[Any]


def read_idx_pair(pictures: Path, labels: Path) -> PictureTable:
    """The pictures of one file with the labels of another, decoded already.

    Raises:
        DataError: one of them cannot be read, or their lengths differ.
    """
    stack, scale, findings = stacked_pictures(read_idx(pictures), name=str(pictures))
    classes = read_idx(labels)
    if classes.ndim != 1 or len(classes) != len(stack):
        raise DataError(
            f"{labels} has shape {classes.shape} and {pictures} holds {len(stack)} pictures; expected a label for each."
        )
    columns: dict[str, Array | Images] = {PICTURE: Images.of_stack(stack), LABEL: classes.astype(np.int64)}
    return PictureTable(columns, pictures.parent, has_classes=True, findings=tuple(findings), scale=scale)


def pairs_in(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Files of pictures with their labels, by what stands before "images" in their names, as in `train-images-idx3-ubyte.gz`.

    Raises:
        DataError: the folder cannot be listed.
    """
    pairs: dict[str, tuple[Path, Path]] = {}
    for path in map(Path, entries_of(folder)):
        before, images, after = path.name.rpartition("images")
        if not (images and is_idx_name(path.name) and path.is_file()):
            continue
        partner = before + "labels" + after.replace("idx3", "idx1").replace("idx4", "idx1")
        for name in (partner, partner.removesuffix(".gz"), f"{partner}.gz"):
            if (folder / name).is_file():
                pairs.setdefault(before.strip("-_. "), (path, folder / name))
                break
    return pairs


def read_idx_folder(folder: Path) -> PictureTable:
    """The training pair of a folder, or its only one.

    Raises:
        DataError: there is no pair, several are for training, or the pair cannot be read.
    """
    pairs = pairs_in(folder)
    training = [name for name in pairs if "train" in name.lower()] if len(pairs) > 1 else list(pairs)
    if len(training) != 1:
        seen = listed([path.name for path, _ in pairs.values()]) or "none"
        raise DataError(
            f"{folder} holds {len(pairs)} files of pictures with labels ({seen}), of which {len(training)} are for training; "
            f"expected one. Give the file of pictures itself."
        )
    table = read_idx_pair(*pairs[training[0]])
    others = [path.name for name, (path, _) in pairs.items() if name != training[0]]
    left_out = _left_out(folder, pairs[training[0]][0].name, others)
    return replace(table, folder=folder, findings=(*table.findings, *left_out))


def _left_out(folder: Path, read: str, others: list[str]) -> list[Finding]:
    if not others:
        return []
    return [
        Finding(
            code="named-splits",
            severity=Severity.NOTE,
            where=str(folder),
            what=f"The folder is divided by name: {listed([read, *others])}.",
            action=f"Only {read!r} is read; scores come from within it. The others can be predicted afterwards.",
        )
    ]
