"""Constants of a graph that half precision holds exactly: stored in it, and cast to single precision by a node of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.half_precision import in_half

if TYPE_CHECKING:
    import onnx


def halved(constants: Iterable[onnx.TensorProto]) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """The constants as they are stored, and the nodes that give those of half precision under their own names."""
    from onnx import TensorProto, helper, numpy_helper

    stored, casts = [], []
    for constant in constants:
        half = in_half(numpy_helper.to_array(constant)) if constant.data_type == TensorProto.FLOAT else None
        if half is None:
            stored.append(constant)
            continue
        name = f"{constant.name}_half"
        stored.append(numpy_helper.from_array(half, name))
        casts.append(helper.make_node("Cast", [name], [constant.name], to=TensorProto.FLOAT))
    return stored, casts


def constants_of(model: onnx.ModelProto) -> tuple[dict[str, NDArray[Any]], list[onnx.NodeProto]]:
    """A model's constants by name, those of half precision in single precision under the names that casts give them.

    Beside them all nodes but these casts.
    """
    from onnx import TensorProto, numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        source = constants.get(node.input[0]) if node.op_type == "Cast" else None
        to = [attribute.i for attribute in node.attribute if attribute.name == "to"]
        if source is not None and source.dtype == np.float16 and to == [TensorProto.FLOAT]:
            constants[node.output[0]] = source.astype(np.float32)
        else:
            nodes.append(node)
    read = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    return {name: array for name, array in constants.items() if name in read}, nodes
