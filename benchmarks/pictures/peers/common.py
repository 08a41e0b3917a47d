"""What every peer's script has in common: its arguments, and what it leaves behind. Runs in the peer's own environment.

A script gets an archive with `images` (rows, height, width, channels), bytes, and `labels`, and one with the `images` to be
judged on, fits within `--seconds`, and writes `predictions.npy` (texts) and `facts.json`. Reading the archive counts.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

STARTED = time.monotonic()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("train", "test", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--mirrored", action="store_true", help="mirrored pictures are of the same class")
    return parser.parse_args()


def read(given: argparse.Namespace):
    """Training pictures of three channels, their labels, and pictures to be judged on."""
    train, test = np.load(given.train), np.load(given.test)
    return coloured(train["images"]), train["labels"].astype(str), coloured(test["images"])


def coloured(images):
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def left(given: argparse.Namespace) -> float:
    """Seconds of the budget that are left."""
    return given.seconds - (time.monotonic() - STARTED)


def schemas_of_torchvision():
    """What torchvision built for GPUs asks for, and finds missing beside a PyTorch built for the CPU; keep what this gives."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def finish(given: argparse.Namespace, predicted, *, fitted: float, note: str) -> None:
    np.save(given.out / "predictions.npy", np.asarray(predicted, dtype=np.str_))
    (given.out / "facts.json").write_text(json.dumps({"seconds": fitted - STARTED, "note": note}))
