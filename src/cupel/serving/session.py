"""Opens the graph of an artifact with ONNX Runtime, and holds it to what the artifact declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from cupel.core.errors import ArtifactError, is_for_memory
from cupel.core.feeds import run_in_calls
from cupel.core.foreign_graphs import fault_of
from cupel.core.graph_sessions import bytes_for_a_graph, open_graph
from cupel.core.held_process import held_to
from cupel.core.masks import MAPS
from cupel.core.modality import GraphInput

Array = NDArray[Any]
OUTPUT = "prediction"
_TYPES = {"numbers": "tensor(double)", "strings": "tensor(string)", "pixels": "tensor(uint8)"}
_AXES = {"pixels": ["height", "width", "channels"]}
# All of them derive from Exception directly, so that each must be named.
_FAILURES = (
    states.EPFail,
    states.EngineError,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.ModelLoaded,
    states.NoModel,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
    MemoryError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a graph may take: processors of one run, and memory, None for half of what is available when it is opened.

    Where it `is_alone` in its process, the system holds the whole process to that while the graph is opened and runs.
    """

    threads: int = 1
    memory_bytes: int | None = None
    is_alone: bool = False


ONE_THREAD = Allowance()


class Session:
    """A loaded graph, which any number of threads may run at once, unless it is alone.

    `path` is where it came from, for messages. One that `has_maps` gives probabilities at every pixel beside its prediction.
    """

    def __init__(
        self,
        model: bytes,
        inputs: Sequence[GraphInput],
        *,
        n_outputs: int,
        path: Path,
        has_maps: bool = False,
        allowance: Allowance = ONE_THREAD,
    ) -> None:
        fault = fault_of(model)
        if fault:
            raise ArtifactError(f"{path}: model.onnx is refused: {fault}.")
        self._path = path
        self._memory_bytes = allowance.memory_bytes or bytes_for_a_graph()
        self._held_bytes = self._memory_bytes if allowance.is_alone else None
        try:
            with held_to(self._held_bytes):
                self._session = open_graph(model, threads=allowance.threads, memory_bytes=self._memory_bytes)
        except _FAILURES as error:
            self._refuse_want_of_memory(error)
            raise ArtifactError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load the model ({_short(error)}). "
                f"Pack it anew, or use the version of ONNX Runtime that it was made with."
            ) from error
        self._n_outputs = n_outputs
        self._check(inputs, [OUTPUT, MAPS] if has_maps else [OUTPUT])

    def run(self, feeds: Mapping[str, Array]) -> NDArray[np.float64]:
        """Predictions, shape (rows, outputs).

        Raises:
            ArtifactError: the graph fails, or gives another shape.
        """
        n_rows = len(next(iter(feeds.values())))
        if n_rows == 0:
            return np.empty((0, self._n_outputs))
        try:
            predictions = run_in_calls(lambda call: self._given(OUTPUT, call, np.float64), feeds)
        except _FAILURES as error:
            self._refuse_want_of_memory(error)
            raise ArtifactError(f"{self._path}: the model fails on these rows ({_short(error)}).") from error
        if predictions.shape != (n_rows, self._n_outputs):
            raise ArtifactError(
                f"{self._path}: the model gives the shape {predictions.shape} where {(n_rows, self._n_outputs)} was declared."
            )
        return predictions

    def maps(self, feeds: Mapping[str, Array]) -> NDArray[np.float32]:
        """Probabilities at every pixel of one row's picture, shape (classes, height, width).

        Raises:
            ArtifactError: the graph fails, or gives another shape.
        """
        (name, cells), *_ = feeds.items()
        picture = cells[0, 0]
        try:
            maps = self._given(MAPS, {name: picture[None]}, np.float32)
        except _FAILURES as error:
            self._refuse_want_of_memory(error)
            raise ArtifactError(f"{self._path}: the model fails on this picture ({_short(error)}).") from error
        if maps.ndim != 4 or maps.shape[0] != 1 or maps.shape[2:] != picture.shape[:2]:
            raise ArtifactError(f"{self._path}: the model gives maps of shape {maps.shape} for a picture of {picture.shape}.")
        found: NDArray[np.float32] = maps[0]
        return found

    def _given(self, output: str, call: Mapping[str, Array], dtype: type) -> Array:
        with held_to(self._held_bytes):
            return np.asarray(self._session.run([output], call)[0], dtype)

    def _refuse_want_of_memory(self, error: BaseException) -> None:
        """Raises:
        ArtifactError: it is for want of memory that the graph failed.
        """  # fmt: skip
        if is_for_memory(error):
            raise ArtifactError(
                f"{self._path}: the model asks for more than the {self._memory_bytes / 1e9:.1f} GB of memory that it may take. "
                f"Where you trust it, allow more with --memory 16GB, or load(…, memory='16GB'); of large pictures, give smaller "
                f"ones."
            ) from error

    def _check(self, inputs: Sequence[GraphInput], wanted: Sequence[str]) -> None:
        given = {node.name: (node.type, node.shape[1:]) for node in self._session.get_inputs()}
        declared = {each.name: (_TYPES[each.kind], _AXES.get(each.kind, [len(each.columns)])) for each in inputs}
        outputs = [node.name for node in self._session.get_outputs()]
        if given != declared or outputs != wanted:
            raise ArtifactError(
                f"{self._path}: the graph reads {given} and gives {outputs}, where the manifest declares {declared} and "
                f"{wanted}; the file is damaged or not Cupel's."
            )


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
