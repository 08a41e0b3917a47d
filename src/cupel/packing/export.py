"""A trained unit as one ONNX graph, several of them as one, and the proof that they still predict the same."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.combination import Combination, WeightedMean
from cupel.core.errors import ArtifactError, OutOfMemoryError, ParityError, is_for_memory
from cupel.core.family import FittedModel
from cupel.core.feeds import run_in_calls
from cupel.core.graph import Graph
from cupel.core.graph_sessions import open_graph
from cupel.core.modality import GraphInput
from cupel.core.preparation import FittedPreparation

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]
OUTPUT = "prediction"
TOLERANCE = 1e-4
MAX_RUNS = 200
LONGEST_MS, MOST_NUMBERS = 500.0, 20_000_000
LEAST_SHARE_OF_ONE = 0.01
"""Of what one row takes, a further one takes at least so much, whatever the clock said of two."""


def export_unit(
    preparation: FittedPreparation, model: FittedModel, graph_inputs: Sequence[GraphInput], *, n_outputs: int
) -> onnx.ModelProto:
    """Preparation and model of one unit as one graph, with the output "prediction", double (rows, outputs)."""
    graph = Graph()
    for graph_input in graph_inputs:
        declare(graph, graph_input)
    prediction = model.emit(graph, preparation.emit(graph))
    graph.output(OUTPUT, graph.cast(prediction, np.float64), np.float64, width=n_outputs)
    return graph.model()


def declare(graph: Graph, graph_input: GraphInput) -> str:
    """The graph's input for what a modality reads."""
    match graph_input.kind:
        case "numbers":
            return graph.input(graph_input.name, np.float64, width=len(graph_input.columns))
        case "pixels":
            return graph.input_of_shape(graph_input.name, np.uint8, axes=("height", "width", "channels"))
        case _:
            return graph.input(graph_input.name, np.str_, width=len(graph_input.columns))


def combine(members: Sequence[Sequence[bytes]], rule: Combination) -> bytes:
    """Members combined by a rule as one model; a member is the mean of its serialised unit models.

    What they share is stored once. Inputs that none of them reads are left out: nobody should have to bring what changes nothing.
    """
    import onnx

    loaded = [[onnx.load_from_string(content) for content in units] for units in members]
    first = loaded[0][0].graph
    read = {name for units in loaded for unit in units for node in unit.graph.node for name in node.input}
    graph = Graph()
    bindings: dict[str, str] = {}
    for declared in [given for given in first.input if given.name in read] or first.input[:1]:
        tensor = declared.type.tensor_type
        dtype = np.str_ if tensor.elem_type == onnx.TensorProto.STRING else onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        axes = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim[1:]]
        bindings[declared.name] = graph.input_of_shape(declared.name, dtype, axes=axes)
    predictions = []
    for units in loaded:
        mean = WeightedMean((1 / len(units),) * len(units))
        predictions.append(mean.emit(graph, [graph.inline(unit, bindings)[0] for unit in units]))
    n_outputs = first.output[0].type.tensor_type.shape.dim[1].dim_value
    graph.output(OUTPUT, rule.emit(graph, predictions), np.float64, width=n_outputs)
    content: bytes = graph.model().SerializeToString()
    return content


def inputs_of(model: bytes, graph_inputs: Sequence[GraphInput]) -> tuple[GraphInput, ...]:
    """Those of the inputs that a serialised model reads."""
    import onnx

    names = {declared.name for declared in onnx.load_from_string(model).graph.input}
    return tuple(graph_input for graph_input in graph_inputs if graph_input.name in names)


def session(model: bytes, *, threads: int = 1) -> Any:
    """An ONNX Runtime session on the CPU with the given number of threads, opened as it is where the model is served."""
    return open_graph(model, threads=threads)


def parity(
    model: bytes, feeds: Mapping[str, Array], expected: Array, *, scale: float = 1.0, tolerance: float = TOLERANCE
) -> float:
    """The largest difference between a graph's predictions and the expected ones, in units of `scale`.

    Raises:
        ParityError: it is more than `tolerance`, or a prediction is not finite; names the row.
    """
    predicted = run(session(model), feeds)
    if predicted.shape != expected.shape:
        raise ParityError(f"the exported model gives shape {predicted.shape} where the trained one gives {expected.shape}.")
    differences = np.abs(predicted - expected) / scale
    worst = np.nan_to_num(differences, nan=np.inf).max(initial=0.0)
    if not worst <= tolerance:
        row = int(np.nan_to_num(differences, nan=np.inf).max(axis=1).argmax()) + 1
        raise ParityError(
            f"the exported model differs from the trained one by {worst:.2g} in golden row {row}, more than {tolerance:g}: "
            f"a step of it computes something else in ONNX. It was not packed."
        )
    return float(worst)


def run(session_: Any, feeds: Mapping[str, Array]) -> Array:
    """Predictions of a session for feeds, of which it takes those that it declares.

    Raises:
        OutOfMemoryError: the graph takes more memory than it may.
        ArtifactError: it fails otherwise; a unit may be a stranger's.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    wanted = {declared.name: feeds[declared.name] for declared in session_.get_inputs()}
    try:
        return run_in_calls(lambda call: np.asarray(session_.run([OUTPUT], call)[0]), wanted)
    except (faults.Fail, faults.RuntimeException) as error:
        kind = OutOfMemoryError if is_for_memory(error) else ArtifactError
        raise kind(f"a model's graph fails on these rows ({' '.join(str(error).split())[-200:]}).") from error


def measure_latency(model: bytes, feeds: Mapping[str, Array], *, seconds: float = 0.5) -> dict[str, float]:
    """Median milliseconds for "one" row and for a "thousand", single-threaded; spends about `seconds` on it.

    Where a thousand rows would take long or much memory, as masks do, fewer are run, and the time is scaled up.
    """
    opened = session(model)
    one = _median_ms(opened, {name: values[:1] for name, values in feeds.items()}, seconds / 2)
    (width,) = (node.shape[1] for node in opened.get_outputs() if node.name == OUTPUT)
    two = min(_median_ms(opened, _rows_of(feeds, 2), 0.0) for _ in range(2))
    another = max(two - one, LEAST_SHARE_OF_ONE * one, 1e-6)
    if two >= LONGEST_MS:
        return {"one": one, "thousand": one + 999 * another}
    n_rows = int(np.clip(min(LONGEST_MS / another, MOST_NUMBERS / width), 2, 1000))
    return {"one": one, "thousand": _median_ms(opened, _rows_of(feeds, n_rows), seconds / 2) * 1000 / n_rows}


def _rows_of(feeds: Mapping[str, Array], n_rows: int) -> dict[str, Array]:
    return {name: np.resize(values, (n_rows, values.shape[1])) for name, values in feeds.items()}


def _median_ms(opened: Any, feeds: Mapping[str, Array], seconds: float) -> float:
    """The first run is left out, unless it alone takes all the time."""
    times = [_seconds_of_a_run(opened, feeds)]
    if times[0] > seconds:
        return 1000 * times[0]
    times.clear()
    until = time.perf_counter() + seconds
    while not times or (time.perf_counter() < until and len(times) < MAX_RUNS):
        times.append(_seconds_of_a_run(opened, feeds))
    return float(np.median(times) * 1000)


def _seconds_of_a_run(opened: Any, feeds: Mapping[str, Array]) -> float:
    started = time.perf_counter()
    run(opened, feeds)
    return time.perf_counter() - started
