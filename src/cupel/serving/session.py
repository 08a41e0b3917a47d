"""Opens the graph of an artifact with ONNX Runtime, and holds it to what the artifact declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from cupel.core.errors import ArtifactError
from cupel.core.feeds import run_in_calls
from cupel.core.foreign_graphs import fault_of
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
    RuntimeError,
    ValueError,
)


class Session:
    """A loaded graph, which any number of threads may run at once.

    `path` is where it came from, for messages; `threads` are the processors that one run may use. One that `has_maps` gives
    probabilities at every pixel beside its prediction.
    """

    def __init__(
        self,
        model: bytes,
        inputs: Sequence[GraphInput],
        *,
        n_outputs: int,
        path: Path,
        threads: int = 1,
        has_maps: bool = False,
    ) -> None:
        fault = fault_of(model)
        if fault:
            raise ArtifactError(f"{path}: model.onnx is refused: {fault}.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except _FAILURES as error:
            raise ArtifactError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load the model ({_short(error)}). "
                f"Pack it anew, or use the version of ONNX Runtime that it was made with."
            ) from error
        self._path = path
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
            predictions = run_in_calls(lambda call: np.asarray(self._session.run([OUTPUT], call)[0], np.float64), feeds)
        except _FAILURES as error:
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
            maps = np.asarray(self._session.run([MAPS], {name: picture[None]})[0], np.float32)
        except _FAILURES as error:
            raise ArtifactError(f"{self._path}: the model fails on this picture ({_short(error)}).") from error
        if maps.ndim != 4 or maps.shape[0] != 1 or maps.shape[2:] != picture.shape[:2]:
            raise ArtifactError(f"{self._path}: the model gives maps of shape {maps.shape} for a picture of {picture.shape}.")
        found: NDArray[np.float32] = maps[0]
        return found

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
