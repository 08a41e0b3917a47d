"""Pictures of any size brought to one size, once: as an ONNX graph, which training runs too."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.feeds import pictures_as_cells
from cupel.core.graph import Graph

POLICIES = ("stretch", "fit", "crop")
LUMINANCE = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""
BRIGHTEST = 255.0
BYTES_AT_ONCE = 32 << 20
"""How much of equally large pictures goes through the graph in one run."""

INPUT, OUTPUT = "pictures", "resized"


@dataclass(frozen=True, kw_only=True)
class Resize:
    """Height, width and channels (1 or 3) that every picture is brought to.

    Where the shape differs, "stretch" distorts, "fit" keeps the whole picture and adds black bars, "crop" keeps what is in the
    middle. Sizes change by antialiased linear interpolation; one that is right already changes nothing. Grey becomes colour by
    repetition, colour becomes grey by luminance (ITU-R BT.601). Values are rounded to whole bytes, so that what was stored for
    training is what a packed graph computes.

    Raises:
        UsageError: a size is below 1, channels are not 1 or 3, or the policy is unknown.
    """

    height: int
    width: int
    n_channels: int
    policy: str = "stretch"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UsageError(f"pictures cannot be resized to {self.height} x {self.width}; give sizes of at least 1.")
        if self.n_channels not in (1, 3):
            raise UsageError(f"n_channels is {self.n_channels}; expected 1 (grey) or 3 (colour).")
        if self.policy not in POLICIES:
            raise UsageError(f"policy is {self.policy!r}; expected one of {', '.join(POLICIES)}.")

    def emit(self, graph: Graph, pictures: str) -> str:
        """From uint8 (rows, height, width, channels) of any size, 1 or 3 channels, float32 (rows, channels, H, W), 0 to 1."""
        return graph.op("Div", self.emit_bytes(graph, pictures), graph.constant(BRIGHTEST, np.float32))

    def emit_bytes(self, graph: Graph, pictures: str) -> str:
        """The same from 0 to 255, whole numbers as float32."""
        planes = graph.cast(graph.op("Transpose", pictures, perm=[0, 3, 1, 2]), np.float32)
        shape = graph.op("Shape", planes)
        height, width = (graph.op("Gather", shape, graph.constant(np.array([axis], np.int64))) for axis in (2, 3))
        if self.policy == "crop":
            sized = self._sized(graph, _cropped(graph, planes, *self._shape_inside(graph, height, width)))
        elif self.policy == "fit":
            sized = self._fitted(graph, planes, height, width)
        else:
            sized = self._sized(graph, planes)
        limits = graph.constant(0.0, np.float32), graph.constant(BRIGHTEST, np.float32)
        return graph.op("Round", graph.op("Clip", self._with_channels(graph, sized), *limits))

    def _with_channels(self, graph: Graph, planes: str) -> str:
        """Planes (rows, channels, height, width) with as many channels as are wanted, whatever came."""
        if self.n_channels == 3:
            return graph.op("Expand", planes, graph.constant(np.array([1, 3, 1, 1], np.int64)))
        n_channels = graph.op("Shape", planes, start=1, end=2)
        is_grey = graph.op("Equal", n_channels, graph.constant(np.array([1], np.int64)))
        kept, mixed = (np.array(weights, np.float32)[:, None, None] for weights in ((1, 0, 0), LUMINANCE))
        weights = graph.op("Where", is_grey, graph.constant(kept), graph.constant(mixed))
        first = graph.constant(np.array([0], np.int64))
        weighted = graph.op("Mul", planes, graph.op("Slice", weights, first, n_channels, first))
        return graph.op("ReduceSum", weighted, graph.constant(np.array([1], np.int64)), keepdims=1)

    def _sized(self, graph: Graph, planes: str, sizes: str | None = None) -> str:
        """Planes in these sizes (height, width), by default the wanted ones."""
        wanted = sizes or graph.constant(np.array([self.height, self.width], np.int64))
        outer = graph.op("Shape", planes, start=0, end=2)  # named in full: ONNX Runtime 1.31 refuses constant sizes beside `axes`
        settings: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", "antialias": 1}
        # Weights that would fall outside are left out, as Pillow does; by default they would go to the edge's pixels.
        settings |= {"exclude_outside": 1}
        return graph.op("Resize", planes, "", "", graph.concat([outer, wanted], axis=0), **settings)

    def _shape_inside(self, graph: Graph, height: str, width: str) -> tuple[str, str]:
        """The largest size of the wanted shape within a picture."""
        tall = _rounded_share(graph, width, self.height, self.width)
        wide = _rounded_share(graph, height, self.width, self.height)
        return graph.op("Min", height, tall), graph.op("Min", width, wide)

    def _fitted(self, graph: Graph, planes: str, height: str, width: str) -> str:
        """The largest size of the picture's shape within the wanted size, and bars around it."""
        wanted_height = graph.constant(np.array([self.height], np.int64))
        wanted_width = graph.constant(np.array([self.width], np.int64))
        tall = graph.op("Min", wanted_height, _rounded_ratio(graph, height, wanted_width, width))
        wide = graph.op("Min", wanted_width, _rounded_ratio(graph, width, wanted_height, height))
        sized = self._sized(graph, planes, graph.concat([tall, wide], axis=0))
        none, two = graph.constant(np.zeros(2, np.int64)), graph.constant(np.array([2], np.int64))
        missing = [graph.op("Sub", wanted, got) for wanted, got in ((wanted_height, tall), (wanted_width, wide))]
        before = [graph.op("Div", each, two) for each in missing]
        after = [graph.op("Sub", each, half) for each, half in zip(missing, before, strict=True)]
        pads = graph.concat([none, *before, none, *after], axis=0)
        return graph.op("Pad", sized, pads, graph.constant(0.0, np.float32))


def _rounded_share(graph: Graph, size: str, multiplied: int, divided: int) -> str:
    both = (graph.constant(np.array([number], np.int64)) for number in (multiplied, divided))
    return _rounded_ratio(graph, size, *both)


def _rounded_ratio(graph: Graph, size: str, multiplied: str, divided: str) -> str:
    """size * multiplied / divided in whole numbers, halves up, at least 1."""
    two, one = graph.constant(np.array([2], np.int64)), graph.constant(np.array([1], np.int64))
    doubled = graph.op("Add", graph.op("Mul", graph.op("Mul", size, multiplied), two), divided)
    return graph.op("Max", graph.op("Div", doubled, graph.op("Mul", divided, two)), one)


def _cropped(graph: Graph, planes: str, tall: str, wide: str) -> str:
    """The middle of each plane, so tall and so wide."""
    shape = graph.op("Shape", planes, start=2, end=4)
    sizes = graph.concat([tall, wide], axis=0)
    starts = graph.op("Div", graph.op("Sub", shape, sizes), graph.constant(np.array([2], np.int64)))
    axes = graph.constant(np.array([2, 3], np.int64))
    return graph.op("Slice", planes, starts, graph.op("Add", starts, sizes), axes)


def declare_pictures(graph: Graph, name: str) -> str:
    """A graph's input for pictures: uint8 (rows, height, width, channels), all of them free."""
    return graph.input_of_shape(name, np.uint8, axes=("height", "width", "channels"))


def resized(images: Sequence[NDArray[np.uint8]], resize: Resize) -> NDArray[np.uint8]:
    """All pictures (height, width, channels) as one array (N, H, W, C), by the graph that is packed.

    Divided by 255 in float32 they are, bit for bit, what `Resize.emit` gives. Those of the same size go through together.

    Raises:
        DataError: a picture has no pixels, other than 1 or 3 channels, or is not uint8; names its place.
    """
    done = np.empty((len(images), resize.height, resize.width, resize.n_channels), np.uint8)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place in range(len(images)):
        shape = _checked(images[place], place)
        by_shape.setdefault(shape, []).append(place)
    session = _session(resize)
    for shape, places in by_shape.items():
        n_at_once = max(1, BYTES_AT_ONCE // int(np.prod(shape)))
        for start in range(0, len(places), n_at_once):
            together = places[start : start + n_at_once]
            batch = np.stack([np.asarray(images[place]) for place in together])
            done[together] = session.run([OUTPUT], {INPUT: batch})[0]
    return done


def pixels_of(dataset: Dataset, rows: NDArray[np.int64], *, name: str, resize: Resize) -> NDArray[np.uint8]:
    """Resized pictures, shape (rows, channels, height, width)."""
    cells = pictures_as_cells(dataset.columns[name][rows], channels=resize.n_channels)
    pictures: NDArray[Any] = resized(cells[:, 0].tolist(), resize).transpose(0, 3, 1, 2)
    return pictures


def _checked(image: NDArray[np.uint8], place: int) -> tuple[int, ...]:
    shape = tuple(image.shape)
    if image.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
        raise DataError(
            f"picture {place + 1} is {image.dtype} of shape {shape}; expected uint8 (height, width, 1 or 3), at least 1 x 1. "
            f"Decode it anew, or leave it out."
        )
    return shape


@functools.lru_cache(maxsize=8)
def _session(resize: Resize) -> Any:
    """The graph up to bytes, ready to run."""
    import onnxruntime

    graph = Graph()
    planes = resize.emit_bytes(graph, declare_pictures(graph, INPUT))
    pictures = graph.cast(graph.op("Transpose", planes, perm=[0, 2, 3, 1]), np.uint8)
    graph.output_of_shape(OUTPUT, pictures, np.uint8, axes=(resize.height, resize.width, resize.n_channels))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
