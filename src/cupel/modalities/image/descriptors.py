"""What a picture looks like, as a few hundred numbers that need no training: where edges run, and a small copy."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph

BYTES_AT_ONCE = 8 << 20
EPSILON = 1e-2
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
INPUT, OUTPUT = "pixels", "descriptors"


@dataclass(frozen=True)
class Descriptor:
    """Histograms of `n_orientations` directions of edges in `n_cells` × `n_cells` cells, and a copy of `thumbnail` pixels a side.

    An edge counts for each direction by the cosine of the angle between, where it is positive; cells are averaged and each
    cell's histogram is brought to length 1. Pictures are `height` × `width` with `n_channels`.

    Source: after Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177; smooth bins instead of votes, so that it is a convolution.
    """

    n_orientations: int
    n_cells: int
    thumbnail: int
    height: int
    width: int
    n_channels: int

    def emit(self, graph: Graph, pixels: str) -> str:
        """From float32 (rows, channels, height, width), 0 to 1, to float32 (rows, numbers)."""
        # Whole numbers below 2^24 are added exactly in any order: equal parts of pictures stay equal and flat ones have no edges,
        # however many go through at once. Trees divide numbers that differ in their last bit.
        numbers = graph.op("Round", graph.op("Mul", pixels, graph.constant(255.0, np.float32)))
        grey = graph.op("ReduceSum", numbers, graph.constant(np.array([1], np.int64)), keepdims=1)
        slopes = graph.op("Conv", grey, graph.constant(np.stack([SOBEL, SOBEL.T])[:, None].astype(np.float32)), pads=[1, 1, 1, 1])
        edges = graph.op("Conv", slopes, graph.constant(self._directions()))
        cells = self._averaged(graph, graph.op("Relu", edges), self.n_cells)
        lengths = graph.op("ReduceL2", cells, graph.constant(np.array([1], np.int64)), keepdims=1)
        normed = graph.op("Div", cells, graph.op("Add", lengths, graph.constant(EPSILON, np.float32)))
        parts = [graph.op("Flatten", normed, axis=1)]
        if self.thumbnail:
            parts.append(graph.op("Flatten", self._averaged(graph, numbers, self.thumbnail, brightest=255.0), axis=1))
        return graph.concat(parts)

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of bytes (rows, channels, height, width), by the same graph."""
        if not len(pixels):  # ONNX Runtime multiplies no empty stacks of matrices
            return self.of(np.zeros((1, self.n_channels, self.height, self.width), np.uint8))[:0]
        session = _session(self)
        at_once = max(1, BYTES_AT_ONCE // max(int(np.prod(pixels.shape[1:])), 1))
        starts = range(0, len(pixels), at_once)
        scaled = (pixels[start : start + at_once].astype(np.float32) / np.float32(255) for start in starts)
        return np.concatenate([session.run([OUTPUT], {INPUT: np.ascontiguousarray(part)})[0] for part in scaled])

    def _directions(self) -> NDArray[np.float32]:
        """Slopes across and down, of bytes added up over channels, to slopes along every direction of mean pixels from 0 to 1."""
        angles = 2 * math.pi * np.arange(self.n_orientations) / self.n_orientations
        weights = np.stack([np.cos(angles), np.sin(angles)], axis=1).round(12) / (4 * 255 * self.n_channels)
        return np.asarray(weights[:, :, None, None], np.float32)

    def _averaged(self, graph: Graph, maps: str, n_parts: int, *, brightest: float = 1.0) -> str:
        """Means over `n_parts` × `n_parts` parts that cover the picture, as two products with fixed matrices of whole numbers."""
        rows, columns = (_shares(size, min(n_parts, size)) for size in (self.height, self.width))
        sums = graph.op("MatMul", graph.op("MatMul", graph.constant(rows), maps), graph.constant(columns.T.copy()))
        return graph.op("Mul", sums, graph.constant(1 / (brightest * self.height * self.width), np.float32))


def _shares(size: int, n_parts: int) -> NDArray[np.float32]:
    """Shape (parts, size): how much of each pixel lies in a part, counted in so many parts of a pixel; rows sum to `size`."""
    limits = np.arange(n_parts + 1) * size
    places = np.arange(size) * n_parts
    covered = np.minimum(places[None] + n_parts, limits[1:, None]) - np.maximum(places[None], limits[:-1, None])
    return np.asarray(np.maximum(covered, 0), np.float32)


@functools.lru_cache(maxsize=8)
def _session(descriptor: Descriptor) -> Any:
    import onnxruntime

    graph = Graph()
    axes = (descriptor.n_channels, descriptor.height, descriptor.width)
    found = descriptor.emit(graph, graph.input_of_shape(INPUT, np.float32, axes=axes))
    graph.output_of_shape(OUTPUT, found, np.float32, axes=("numbers",))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
