"""A small packed model of pictures made by hand: how bright they are, by a graph and in plain numpy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cupel import packing
from cupel.core.graph import Graph
from cupel.core.modality import GraphInput
from cupel.core.pixels import data_url
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind

CLASSES = ("bright", "dark")
SLOPE = np.array([[8.0, -8.0]])
INPUTS = (GraphInput(name="photo", kind="pixels", columns=("photo",)),)
SIZES = ((8, 8), (5, 9), (8, 8), (1, 1), (12, 3), (5, 9), (8, 8), (20, 20))


def schema(*, channels: int = 3, had_unreadable: bool = False) -> Schema:
    photo = Column(name="photo", kind=ColumnKind.IMAGE, channels=channels, had_unreadable=had_unreadable)
    return Schema((photo, Column(name="answer", kind=ColumnKind.CATEGORY, levels=CLASSES)), target="answer")


def picture(brightness: int, size: tuple[int, int] = (8, 8), *, channels: int = 3, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-20, 21, (*size, channels))
    return np.clip(brightness + noise, 0, 255).astype(np.uint8)


def pictures(*, channels: int = 3) -> list[np.ndarray | None]:
    found = [picture(30 * number, size, channels=channels, seed=number) for number, size in enumerate(SIZES)]
    return [*found, None]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


def written(folder: Path, cells: Sequence[np.ndarray | None]) -> list[str]:
    """PNG files of those that are there; names in order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, pixels in enumerate(cells):
        if pixels is not None:
            names.append(f"{number:02d}.png")
            (folder / names[-1]).write_bytes(png(pixels))
    return names


class Preparation:
    """Mean brightness, 0 to 1; whatever the size."""

    def transform(self, dataset: Any, rows: Any) -> Any:
        raise AssertionError("packing reads no data")

    def emit(self, graph: Graph) -> Mapping[str, str]:
        pixels = graph.input_of_shape("photo", np.uint8, axes=("height", "width", "channels"))
        axes = graph.constant(np.array([1, 2, 3], np.int64))
        mean = graph.op("ReduceMean", graph.cast(pixels, np.float32), axes, keepdims=0)
        column = graph.op("Unsqueeze", mean, graph.constant(np.array([1], np.int64)))
        return {"brightness": graph.op("Div", graph.cast(column, np.float64), graph.constant(255.0, np.float64))}


class Logistic:
    """Bright where the mean is above a half."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def predict(self, inputs: Any) -> Any:
        exponentials = np.exp((inputs - 0.5 + self.shift) * SLOPE)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        centred = graph.op("Sub", blocks["brightness"], graph.constant(0.5 - self.shift, np.float64))
        return graph.op("Softmax", graph.op("Mul", centred, graph.constant(SLOPE)), axis=1)


def predicted(cells: Sequence[np.ndarray | None], shift: float = 0.0) -> np.ndarray:
    """What the model gives for pictures, in numpy; what is missing is black."""
    means = [0.0 if pixels is None else float(pixels.mean()) / 255 for pixels in cells]
    return Logistic(shift).predict(np.array(means)[:, None])


def unit(shift: float = 0.0) -> bytes:
    return packing.export_unit(Preparation(), Logistic(shift), INPUTS, n_outputs=2).SerializeToString()


def package(*, channels: int = 3, had_unreadable: bool = False, **changes: Any) -> packing.Package:
    cells = pictures(channels=channels)
    whole = packing.Package(
        model=unit(),
        schema=schema(channels=channels, had_unreadable=had_unreadable),
        task=Task(kind=TaskKind.BINARY, target="answer", metric="accuracy", classes=CLASSES),
        inputs=INPUTS,
        golden={"photo": [None if pixels is None else data_url(pixels) for pixels in cells]},
        expected=predicted(cells),
    )
    return replace(whole, **changes)


def packed(folder: Path, name: str = "pictures", **options: Any) -> Path:
    path = folder / f"{name}.cupel"
    packing.pack(path, package(**options))
    return path
