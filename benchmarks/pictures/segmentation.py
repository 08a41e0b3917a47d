"""Masks of the ISBI 2012 membrane set: what `cupel fit` finds in a given time, beside a threshold, on slices held back.

    python -m benchmarks.pictures.segmentation --data FOLDER --work FOLDER [--seconds 600] [--folds 3]

The last 6 of the 30 slices judge; the others, copied into the work folder, are learned from. Dice and IoU are of all pixels of
those slices together, in their own size, of each class: 255 is the inside of cells, 0 the membrane between them. Otsu's threshold
is asked on the same slices, lighter pixels being cell. Writes `segmentation.md` into the work folder.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

import cupel

N_JUDGING = 6
CLASSES = (0, 255)


def divided(data: Path, work: Path) -> tuple[Path, list[Path]]:
    """A folder to learn from, and the pictures that judge."""
    folder = data / "isbi_membrane"
    pictures = sorted((folder / "image").glob("*.png"), key=lambda path: int(path.stem))
    learned, judging = pictures[:-N_JUDGING], pictures[-N_JUDGING:]
    for name in ("image", "label"):
        (work / "learned" / name).mkdir(parents=True, exist_ok=True)
        for picture in learned:
            shutil.copyfile(folder / name / picture.name, work / "learned" / name / picture.name)
    return work / "learned", judging


def truth_of(picture: Path) -> np.ndarray:
    """Its mask."""
    return np.asarray(Image.open(picture.parents[1] / "label" / picture.name).convert("L"))


def otsu(grey: np.ndarray) -> np.ndarray:
    """255 where a pixel is lighter than the threshold that divides grey levels best. Source: Otsu 1979, eq. 18."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    below, levels = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    between = below * above * (levels / np.maximum(below, 1) - (levels[-1] - levels) / np.maximum(above, 1)) ** 2
    return np.where(grey > int(between.argmax()), 255, 0)


def scores(said: list[np.ndarray], truths: list[np.ndarray]) -> dict[str, float]:
    """Dice and IoU of each class, their means, and the share of pixels that are right, over all pictures together."""
    given, wanted = (np.concatenate([each.ravel() for each in masks]) for masks in (said, truths))
    found = {}
    for klass in CLASSES:
        both, either = ((given == klass) & (wanted == klass)).sum(), ((given == klass) | (wanted == klass)).sum()
        found[f"Dice of {klass}"], found[f"IoU of {klass}"] = 2 * both / (both + either), both / either
    found["Dice, mean"] = np.mean([found[f"Dice of {klass}"] for klass in CLASSES])
    found["pixels right"] = (given == wanted).mean()
    return {name: float(value) for name, value in found.items()}


def measured(data: Path, work: Path, *, seconds: float, n_folds: int) -> str:
    """The table, as markdown."""
    folder, judging = divided(data, work)
    truths = [truth_of(picture) for picture in judging]
    started = time.monotonic()
    settings = cupel.Settings(split="k-fold", n_folds=n_folds)
    run = cupel.fit(folder, time=seconds, out=work / "run", settings=settings)
    took = time.monotonic() - started
    said = {
        f"Cupel, {seconds:.0f} s ({run.facts['pick']['name']})": list(
            run.predictor.predict({"picture": list(map(str, judging))})
        ),
        "Otsu's threshold": [otsu(np.asarray(Image.open(picture).convert("L"))) for picture in judging],
        "all cell": [np.full_like(truth, 255) for truth in truths],
    }
    rows = {name: scores(masks, truths) for name, masks in said.items()}
    names = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(f'{row[each]:.3f}' for each in names)} |" for name, row in rows.items()]
    pick = run.facts["pick"]["score"]
    expected = f"{pick['estimate']:.3f} (95% interval {pick['low']:.3f} to {pick['high']:.3f})"
    board = run.leaderboard.select("name", "score", "fit_seconds", "status").to_dicts()
    tried = "; ".join(f"{row['name']} {row['score']:.3f}" for row in board if row["score"] is not None)
    return (
        f"# Membranes\n\n{len(judging)} slices judge, 24 were learned from; {took:.0f} s of wall time.\n\n"
        + "\n".join(lines)
        + f"\n\nThe verdict promised a mean Dice of {expected}. Tried, with their Dice out of fold: {tried}.\n"
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--folds", type=int, default=3)
    asked = parser.parse_args()
    table = measured(asked.data, asked.work, seconds=asked.seconds, n_folds=asked.folds)
    (asked.work / "segmentation.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
