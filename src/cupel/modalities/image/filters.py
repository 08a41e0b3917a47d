"""What surrounds each pixel, near and far, as numbers that need no training."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph

SIDES = (3, 5, 9, 15)
"""Of the squares around a pixel. Squares of 15 x 15 bytes sum to less than 2^24: whole numbers that float32 adds exactly."""
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
INPUT, OUTPUT = "pixels", "filters"


@dataclass(frozen=True)
class Filters:
    """Of every pixel: its channels and grey level, how steep grey levels are, and of squares around it mean, deviation and ends.

    All is made, number by number, of sums of whole numbers, so that it is the same to the last bit however many pictures go
    through at once: trees divide numbers that differ there. Beyond the edge a picture goes on as it ends.

    Source: after Arganda-Carreras et al. 2017, doi:10.1093/bioinformatics/btx180 (Trainable Weka Segmentation); squares
    instead of Gaussians, for the reason above.
    """

    n_channels: int

    @property
    def n_features(self) -> int:
        """Numbers for each pixel."""
        return (self.n_channels if self.n_channels > 1 else 0) + 2 + 4 * len(SIDES)

    def emit(self, graph: Graph, pixels: str) -> str:
        """From whole numbers 0 to 255 (rows, channels, height, width) as float32 to float32 (rows, features, height, width)."""
        axis = graph.constant(np.array([1], np.int64))
        grey = graph.op("Round", graph.op("ReduceMean", pixels, axis, keepdims=1)) if self.n_channels > 1 else pixels
        slopes = graph.op(
            "Conv", _widened(graph, grey, 1), graph.constant(np.stack([SOBEL, SOBEL.T])[:, None].astype(np.float32))
        )
        steepness = graph.op("Sqrt", graph.op("ReduceSum", graph.op("Mul", slopes, slopes), axis, keepdims=1))
        maps = [grey, steepness] if self.n_channels == 1 else [pixels, grey, steepness]
        squares = graph.op("Mul", grey, grey)
        for side in SIDES:
            near, near_squares = (_widened(graph, each, side // 2) for each in (grey, squares))
            mean, mean_square = (_averaged(graph, each, side) for each in (near, near_squares))
            variance = graph.op("Sub", mean_square, graph.op("Mul", mean, mean))
            largest = graph.op("MaxPool", near, kernel_shape=[side, side])
            least = graph.op("Neg", graph.op("MaxPool", graph.op("Neg", near), kernel_shape=[side, side]))
            maps += [mean, graph.op("Sqrt", graph.op("Relu", variance)), largest, least]
        return graph.concat(maps)

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of bytes (rows, channels, height, width), by the same graph, shape (rows, features, height, width)."""
        found: NDArray[np.float32] = _session(self).run([OUTPUT], {INPUT: pixels.astype(np.float32)})[0]
        return found


def _widened(graph: Graph, maps: str, margin: int) -> str:
    pads = graph.constant(np.array([0, 0, margin, margin] * 2, np.int64))
    return graph.op("Pad", maps, pads, mode="edge")


def _averaged(graph: Graph, maps: str, side: int) -> str:
    """Means of squares: sums down, sums across, and one division."""
    down, across = (graph.constant(np.ones((1, 1, *shape), np.float32)) for shape in ((side, 1), (1, side)))
    sums = graph.op("Conv", graph.op("Conv", maps, down), across)
    return graph.op("Div", sums, graph.constant(float(side * side), np.float32))


@functools.lru_cache(maxsize=4)
def _session(filters: Filters) -> Any:
    import onnxruntime

    graph = Graph()
    found = filters.emit(graph, graph.input_of_shape(INPUT, np.float32, axes=(filters.n_channels, "height", "width")))
    graph.output_of_shape(OUTPUT, found, np.float32, axes=(filters.n_features, "height", "width"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
