"""A folder of pictures beside a folder of masks: pairs of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.picture_folders import Found, find_pictures, subfolders
from cupel.modalities.image.reading.skipped import skipped_files
from cupel.modalities.image.reading.splits import training_part
from cupel.modalities.image.reading.table import MASK, PICTURE, PictureTable, counted, listed, object_array

PICTURE_FOLDERS = ("image", "images", "img", "imgs", "picture", "pictures", "photos", "jpegimages")
MASK_FOLDERS = (
    *("mask", "masks", "label", "labels", "gt", "ground_truth", "groundtruth", "annotation", "annotations"),
    *("segmentation", "segmentations", "segmentationclass", "target", "targets"),
)
NEARLY_ALL = 0.8
_ENDINGS = ("_mask", "-mask", "_label", "-label", "_gt", "-gt", "_seg", "-seg", "_segmentation")


def holds_masks(folder: Path) -> bool:
    """Whether a folder, or its part for training, has folders of pictures and of masks that share a name, or both in one.

    Raises:
        DataError: it cannot be listed.
    """
    root = training_part(folder)[0]
    pair = _pair(root)
    if pair is None:
        return _are_beside_one_another(find_pictures(root).pictures)
    pictures, masks = (_by_stem(find_pictures(training_part(path)[0]).pictures) for path in pair)
    return any(_mask_for(stem, masks) for stem in pictures)


def read_mask_folders(folder: Path) -> PictureTable:
    """Pairs of paths, in the order of the pictures' names. `a.jpg` and `a.png` are a pair, `a.jpg` and `a_mask.gif` too.

    Where there are no two such folders, `a.jpg` and `a_mask.gif` stand in one, at any depth. Of a division by name, above the
    two folders or within both, the part for training is read.

    Raises:
        DataError: there are no two such folders, or no pair in them.
    """
    root, findings = training_part(folder)
    pair = _pair(root)
    beside = find_pictures(root) if pair is None else None
    if beside is not None and _are_beside_one_another(beside.pictures):
        return _read_beside(root, beside, findings)
    if pair is None:
        raise DataError(f"{root} has no folder 'images' beside a folder 'masks' (or 'image' and 'label'); rename them so.")
    (pictures_folder, divisions), (masks_folder, _) = (training_part(path) for path in pair)
    found = [find_pictures(path) for path in (pictures_folder, masks_folder)]
    pictures, masks = (_by_stem(each.pictures) for each in found)
    pairs = [(path[0], mask) for stem, path in pictures.items() if (mask := _mask_for(stem, masks)) is not None]
    if not pairs:
        raise DataError(
            f"no picture in {pictures_folder} has a mask of the same name in {masks_folder}; expected a.png beside a.png."
        )
    columns = {
        PICTURE: object_array([(pictures_folder / picture).relative_to(root).as_posix() for picture, _ in pairs]),
        MASK: object_array([(masks_folder / mask).relative_to(root).as_posix() for _, mask in pairs]),
    }
    paired = [{picture for picture, _ in pairs}, {mask for _, mask in pairs}]
    findings += divisions
    for path, each, taken in zip((pictures_folder, masks_folder), found, paired, strict=True):
        findings += _unpaired(path, [name for name in each.pictures if name not in taken])
        findings += skipped_files(each.skipped, where=path)
    return PictureTable(columns, root, pictures=(PICTURE, MASK), target=MASK, findings=tuple(findings))


def _are_beside_one_another(paths: Sequence[str]) -> bool:
    """Whether nearly all pictures are half of a pair such as `a.jpg` and `a_mask.gif`."""
    pairs = _pairs_of(_by_stem(paths))
    return bool(pairs) and 2 * len(pairs) >= NEARLY_ALL * len(paths)


def _pairs_of(stems: dict[str, list[str]]) -> list[tuple[str, str]]:
    found = []
    for stem, paths in stems.items():
        mask = next((stems[stem + ending][0] for ending in _ENDINGS if stem + ending in stems), None)
        if mask is not None:
            found.append((paths[0], mask))
    return found


def _read_beside(root: Path, found: Found, findings: list[Finding]) -> PictureTable:
    pairs = _pairs_of(_by_stem(found.pictures))
    taken = {path for pair in pairs for path in pair}
    columns = {PICTURE: object_array([picture for picture, _ in pairs]), MASK: object_array([mask for _, mask in pairs])}
    findings += _unpaired(root, [path for path in found.pictures if path not in taken])
    findings += skipped_files(found.skipped, where=root)
    return PictureTable(columns, root, pictures=(PICTURE, MASK), target=MASK, findings=tuple(findings))


def _pair(root: Path) -> tuple[Path, Path] | None:
    inner = {path.name.lower(): path for path in subfolders(root)}
    pictures = [inner[name] for name in PICTURE_FOLDERS if name in inner]
    masks = [inner[name] for name in MASK_FOLDERS if name in inner]
    return (pictures[0], masks[0]) if pictures and masks else None


def _by_stem(paths: Sequence[str]) -> dict[str, list[str]]:
    """Paths by their name without suffix, folders included."""
    stems: dict[str, list[str]] = {}
    for path in paths:
        stems.setdefault(str(PurePosixPath(path).with_suffix("")), []).append(path)
    return stems


def _mask_for(stem: str, masks: dict[str, list[str]]) -> str | None:
    """Of several masks with one name, the first in the order of suffixes."""
    for candidate in (stem, *(stem + ending for ending in _ENDINGS)):
        if candidate in masks:
            return masks[candidate][0]
    return None


def _unpaired(folder: Path, names: list[str]) -> list[Finding]:
    if not names:
        return []
    return [
        Finding(
            code="unpaired-files",
            severity=Severity.WARNING,
            where=str(folder),
            what=f"In {folder.name!r} without a partner of the same name: {counted(len(names), 'file')}, {listed(names)}.",
            action="They are left out.",
        )
    ]
