"""The second output of a packed model of masks: probabilities at every pixel of the picture, in the picture's own size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph
from cupel.core.masks import MAPS
from cupel.core.modality import GraphInput
from cupel.core.task import Task
from cupel.packing.export import OUTPUT, declare

Array = NDArray[Any]


def with_maps(model: bytes, task: Task, *, inputs: Sequence[GraphInput]) -> bytes:
    """The model with the output "maps" beside "prediction": float (rows, classes, height, width) in the size of the pictures.

    What is predicted on the grid is brought there by linear interpolation, antialiased where pictures are smaller.
    """
    import onnx

    graph = Graph()
    bindings = {each.name: declare(graph, each) for each in inputs}
    (prediction,) = graph.inline(onnx.load_from_string(model), bindings)
    pictures = next(each.name for each in inputs if each.kind == "pixels")
    shape = graph.constant(np.array([-1, len(task.classes), *task.grid], np.int64))
    maps = graph.op("Reshape", graph.cast(prediction, np.float32), shape)
    sizes = graph.concat([graph.op("Shape", maps, start=0, end=2), graph.op("Shape", pictures, start=1, end=3)], axis=0)
    own = graph.op(
        "Resize",
        maps,
        "",
        "",
        sizes,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
        antialias=1,
        exclude_outside=1,
    )
    graph.output(OUTPUT, prediction, np.float64, width=task.n_outputs)
    graph.output_of_shape(MAPS, own, np.float32, axes=(len(task.classes), "height", "width"))
    content: bytes = graph.model().SerializeToString()
    return content


def maps(session: Any, feeds: Mapping[str, Array]) -> NDArray[np.float32]:
    """Probabilities at every pixel of the one picture among feeds, shape (classes, height, width)."""
    (name,) = (declared.name for declared in session.get_inputs())
    found: NDArray[np.float32] = session.run([MAPS], {name: feeds[name][0, 0][None]})[0][0]
    return found
