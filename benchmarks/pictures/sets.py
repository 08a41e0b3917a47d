"""The sets of pictures that are measured on, and draws of a few of them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

Pictures = tuple[list[np.ndarray], np.ndarray]
SIDE_OF_PHOTOS = 64


def digits(_: Path) -> Pictures:
    """Handwritten digits of 8 × 8 pixels, bundled with scikit-learn, each pixel three times as large."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    enlarged = np.kron(np.rint(images.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8), np.ones((1, 3, 3), np.uint8))
    return list(enlarged[..., None]), labels.astype(str)


def flowers(data: Path) -> Pictures:
    """Photos of five flowers, 128 × 128, in grey and a quarter of the size: what clothes of 28 × 28 can be compared with."""
    return _photos(data, mode="L", side=32)


def photos(data: Path) -> Pictures:
    """The same in colour, half of the size."""
    return _photos(data, mode="RGB", side=SIDE_OF_PHOTOS)


def _photos(data: Path, *, mode: str, side: int) -> Pictures:
    from PIL import Image

    files = sorted((data / "flowers5").glob("*/*.jpg"))
    small = [np.asarray(Image.open(file).convert(mode).resize((side, side), Image.Resampling.BOX)) for file in files]
    return [picture.reshape(side, side, -1) for picture in small], np.array([file.parent.name for file in files])


def seen(data: Path, *, n: int | None = None) -> Pictures:
    """Five kinds of clothes of Fashion-MNIST: T-shirts, trousers, pullovers, dresses, coats."""
    images, labels = fashion(data)
    rows = np.flatnonzero(labels < "5")[:n]
    return [images[row] for row in rows], labels[rows]


def novel(data: Path) -> Pictures:
    """The other five: sandals, shirts, sneakers, bags, boots."""
    images, labels = fashion(data)
    rows = np.flatnonzero(labels >= "5")
    return [images[row] for row in rows], labels[rows]


def fashion(data: Path, *, part: str = "train", n: int | None = None) -> Pictures:
    """The first `n` pictures of Fashion-MNIST, or all; `part` is "train" or "t10k"."""
    folder = data / "fashion_mnist"
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read(), np.uint8)[16:].reshape(-1, 28, 28, 1)[:n]
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8)[8:][:n]
    return list(images), labels.astype(str)


SETS: dict[str, Callable[[Path], Pictures]] = {
    "digits": digits,
    "flowers": flowers,
    "photos": photos,
    "fashion": fashion,
    "novel": novel,
}


def drawn(labels: np.ndarray, n: int, *, seed: int, most_to_judge: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, classes in turn so that each has its share, and rows that judge."""
    generator = np.random.default_rng(seed)
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == label))
        turns[own] = np.arange(len(own))
    order = np.lexsort((generator.random(len(labels)), turns))
    return np.sort(order[:n]), generator.permutation(order[n:])[:most_to_judge]


def archived(path: Path, pictures: list[np.ndarray], labels: np.ndarray) -> Path:
    """An archive that `cupel fit` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=np.stack(pictures), labels=labels)
    return path
