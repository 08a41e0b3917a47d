"""A pretrained network as everything here knows it, whatever file it came from."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel.core import machine
from cupel.core.errors import UsageError
from cupel.core.foreign_graphs import fault_of
from cupel.core.graph import Graph
from cupel.core.graph_sessions import open_graph

if TYPE_CHECKING:
    import onnx

    from cupel.core.family import Cost
    from cupel.core.layers import PixelScaling
    from cupel.core.recipe import Recipe
    from cupel.core.task import Task
    from cupel.modalities.image.network import Encoder

INPUT, OUTPUT = "pixels", "features"
SIDE_TO_TRY = 64
N_TRIED = 3
MOST_TIMED, SECONDS_OF_TIMING = 64, 0.3
LARGEST_DIFFERENCE = 1e-3
"""Between features of a picture alone and beside others, of the largest of them."""


class Trunk(Protocol):
    """Builds the network itself, one for each seed, stacked, to be trained on: its scaling of pixels and its encoder."""

    def __call__(self, seeds: Sequence[int], *, kept: str = "all") -> tuple[PixelScaling, Encoder]:
        """Both with the pretrained weights in them, "all" or those of the first "half"."""
        ...

    @property
    def head_factor(self) -> float:
        """What answers are multiplied by where such a network learns from nothing."""
        ...

    def usual_recipe(self, task: Task) -> Recipe | None:
        """By which such a network is trained from nothing; None where no half of it can begin anew."""
        ...

    def cost(self, n_train: int, *, recipe: Recipe, task: Task) -> Cost | None:
        """What training it on takes; None where its form says nothing of that."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Backbone:
    """A pretrained network that makes features of pictures.

    `model` takes "pixels", float32 (rows, channels, height, width) of whole numbers from 0 to 255, and gives "features", float32
    (rows, width). `size` is (height, width) of the pictures that it was made for, None where any will do. `seconds` is what a
    picture takes on one core. Without a `trunk` its weights cannot be trained on. `notes` say what had to be assumed.
    """

    reference: str
    name: str
    model: onnx.ModelProto
    width: int
    n_channels: int
    size: tuple[int, int] | None
    seconds: float
    n_bytes: int
    trunk: Trunk | None = None
    notes: tuple[str, ...] = ()

    def emit(self, graph: Graph, pixels: str) -> str:
        """Features of pixels (rows, channels, height, width) of 0 to 255, as part of another graph."""
        return graph.inline(self.model, {INPUT: pixels})[0]

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of bytes (rows, channels, height, width), by the graph that is packed."""
        features: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: pixels.astype(np.float32)})[0]
        return features

    @functools.cached_property
    def _session(self) -> Any:
        return session_of(self.model, threads=machine.usable_cores())


def session_of(model: onnx.ModelProto, *, threads: int = 1) -> Any:
    """An ONNX Runtime session of a model.

    Raises:
        UsageError: it cannot be run.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    try:
        return open_graph(model.SerializeToString(), threads=threads)
    except (faults.Fail, faults.InvalidGraph, faults.NotImplemented, faults.RuntimeException, faults.InvalidArgument) as error:
        raise UsageError(f"ONNX Runtime cannot run this model ({' '.join(str(error).split())[:300]}); export it anew.") from error


def tried(model: onnx.ModelProto, *, n_channels: int, size: tuple[int, int] | None, output: str = OUTPUT) -> tuple[Any, float]:
    """What a model gives for a few pictures, and the seconds that one takes; each must get what it gets alone.

    Raises:
        UsageError: it cannot be run on several pictures, mixes them, or gives what is not finite.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    height, width = size or (SIDE_TO_TRY, SIDE_TO_TRY)
    drawn = np.random.default_rng(0).integers(0, 256, (N_TRIED, n_channels, height, width))
    pixels, session = drawn.astype(np.float32), session_of(model)
    try:
        together = session.run([output], {INPUT: pixels})[0]
        alone, seconds = _timed(session, pixels[-1:], output=output)
        n_timed = int(min(MOST_TIMED, SECONDS_OF_TIMING / max(seconds, 1e-9)))
        if n_timed > 1:  # of small networks a call costs more than a picture
            _, whole = _timed(session, np.resize(pixels, (n_timed, *pixels.shape[1:])), output=output)
            seconds = whole / n_timed
    except (faults.Fail, faults.RuntimeException, faults.InvalidArgument) as error:
        said = " ".join(str(error).split())[:300]
        raise UsageError(
            f"it cannot take {N_TRIED} pictures of {n_channels} × {height} × {width} at once ({said}); expected a free batch "
            f"axis. Export it with one (dynamic axes), or with the size of its pictures."
        ) from error
    if len(together) != N_TRIED or not np.isfinite(together).all():
        raise UsageError(f"it gives {together.shape} for {N_TRIED} pictures, or what is not finite; expected numbers for each.")
    off = float(np.abs(together[-1:] - alone).max()) / max(float(np.abs(alone).max()), 1e-12)
    if off > LARGEST_DIFFERENCE:
        raise UsageError(
            f"it tells one picture otherwise beside others than alone (by {off:.2g} of the largest); expected a model for "
            f"prediction. Export it in evaluation mode."
        )
    return together, seconds


def _timed(session: Any, pixels: NDArray[np.float32], *, output: str) -> tuple[Any, float]:
    started = time.perf_counter()
    found = session.run([output], {INPUT: pixels})[0]
    return found, time.perf_counter() - started


def finished(graph: Graph, features: str, *, rank: int, channels_last: bool = False) -> onnx.ModelProto:
    """The graph as a backbone's model: maps and tokens are averaged to one row of features for each picture.

    Raises:
        UsageError: the features have no form that is known.
    """
    places = {2: None, 3: [1], 4: [1, 2] if channels_last else [2, 3]}
    if rank not in places:
        raise UsageError(f"its features have {rank} axes; expected (rows, width), tokens (rows, n, width) or maps. Name another.")
    axes = places[rank]
    numbers = graph.cast(features, np.float32)
    if axes:
        numbers = graph.op("ReduceMean", numbers, graph.constant(np.array(axes, np.int64)), keepdims=0)
    graph.output_of_shape(OUTPUT, numbers, np.float32, axes=("width",))
    model = graph.model()
    fault = fault_of(model.SerializeToString())
    if fault is not None:
        raise UsageError(f"it cannot be part of a packed model, since {fault}; export it without.")
    return model


def begun(n_channels: int, size: tuple[int, int] | None) -> tuple[Graph, str]:
    """A graph for a backbone's model, and its pixels."""
    graph = Graph()
    return graph, graph.input_of_shape(INPUT, np.float32, axes=(n_channels, *(size or ("height", "width"))))
