"""Folders that somebody divided already: which part is for training."""

from __future__ import annotations

import re
from pathlib import Path

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.picture_folders import find_pictures, loose_pictures, subfolders
from cupel.modalities.image.reading.table import listed

_TRAINING = frozenset(("train", "training"))
_OTHERS = frozenset(
    ("test", "testing", "val", "valid", "validation", "dev", "eval", "holdout", "pred", "predict", "unlabeled", "unlabelled")
)
_DEEPEST = 8


def training_part(folder: Path) -> tuple[Path, list[Finding]]:
    """The folder that is to be learned from, at or below the given one, and a finding on each division passed on the way.

    A folder that holds nothing but one other, as archives leave, is stepped into; so is `train` beside `test`, `val` and
    their like. Where folders of other names stand beside them, as `bus` and `car` beside `train`, all are classes.

    Raises:
        DataError: it cannot be listed, or is divided into parts of which none is for training.
    """
    findings: list[Finding] = []
    for _ in range(_DEEPEST):
        inner = [path for path in subfolders(folder) if subfolders(path) or find_pictures(path).pictures]
        training = [path for path in inner if _is_named(path, _TRAINING)]
        others = [path for path in inner if _is_named(path, _OTHERS) and path not in training]
        is_divided = len(inner) > 1 and len(training) + len(others) == len(inner)
        if is_divided and len(training) != 1:
            raise _undecided(folder, inner, len(training))
        if is_divided:
            findings.append(_divided(folder, training[0], others))
            folder = training[0]
        elif len(inner) == 1 and subfolders(inner[0]) and not loose_pictures(folder):
            folder = inner[0]
        else:
            break
    return folder, findings


def _is_named(path: Path, names: frozenset[str]) -> bool:
    return bool(names.intersection(re.findall("[a-z]+", path.name.lower())))


def _undecided(folder: Path, parts: list[Path], n_training: int) -> DataError:
    names = listed([path.name for path in parts])
    which = "none is for training" if n_training == 0 else f"{n_training} are for training"
    return DataError(f"{folder} is divided into {names}, of which {which}; name the folder that is to be learned from.")


def _divided(folder: Path, training: Path, others: list[Path]) -> Finding:
    counted = [f"{path.name!r} ({len(find_pictures(path).pictures)} pictures)" for path in [training, *others]]
    return Finding(
        code="named-splits",
        severity=Severity.NOTE,
        where=str(folder),
        what=f"The folder is divided by name: {listed(counted)}.",
        action=f"Only {training.name!r} is read; scores come from within it. The others can be predicted afterwards.",
    )
