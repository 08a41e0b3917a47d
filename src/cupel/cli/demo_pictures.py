"""`cupel demo --pictures`: the same on a folder of real pictures, handwritten digits as PNG files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from cupel.core.errors import CupelError, MissingDependencyError

EVERY = 12
"""One picture in so many is held back."""
N_SHOWN = 6


def make_pictures(folder: Path) -> tuple[Path, Path, dict[str, str]]:
    """Write the pictures to learn from, a folder per class, and those held back; returns both folders and the answers by path.

    They are the test part of the UCI handwritten digits that comes with scikit-learn: 1,797 pictures of 8 × 8 pixels, 17 levels
    of grey (Alpaydin and Kaynak 1998), written four times as large a side.
    """
    try:
        import numpy as np
        from PIL import Image
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError(
            'the demonstration fits models, and what that needs is not installed. Run: pip install "cupel[fit]"'
        ) from error
    known, new = folder / "digits", folder / "new_digits"
    for old in (known, new):
        shutil.rmtree(old, ignore_errors=True)
    new.mkdir(parents=True)
    answers: dict[str, str] = {}
    bunch = load_digits()
    for number, (picture, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        is_new = number % EVERY == 0
        place = new if is_new else known / str(label)
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{number:04d}.png"
        grey = Image.fromarray((picture * 255 / 16).astype(np.uint8))
        grey.resize((32, 32), Image.Resampling.BICUBIC).save(path)
        if is_new:
            answers[path.name] = str(label)
    return known, new, answers


def compare(path: Path, answers: dict[str, str]) -> None:
    """Print some predictions beside the truth, and how many are right.

    Raises:
        CupelError: there is not one prediction for each held-back picture.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        said = {Path(row["picture"]).name: row for row in csv.DictReader(stream)}
    if said.keys() != answers.keys():
        raise CupelError(f"{path} has {len(said)} predictions for {len(answers)} pictures; please report this as a fault.")
    right = sum(said[name]["prediction"] == answer for name, answer in answers.items())
    print(f"\n        {'picture':<26}{'prediction':<14}truth")
    for name, answer in list(answers.items())[:N_SHOWN]:
        print(f"        {name:<26}{said[name]['prediction']:<14}{answer}")
    print(f"        … {right} of {len(answers)} held-back pictures are right; all are in {path}")
