"""Writes ONNX: a thin builder that steps and models add their nodes to, so that all of a candidate becomes one graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.half_constants import constants_of, halved

if TYPE_CHECKING:
    import onnx

OPSET = 18
ML_OPSET = 3
IR_VERSION = 9


class Graph:
    """An ONNX graph under construction. Tensors are names.

    ```python
    graph = Graph()
    x = graph.input("number", np.float64, width=3)
    graph.output("prediction", graph.op("Relu", graph.cast(x, np.float32)), np.float32, width=3)
    model = graph.model()
    ```
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inputs: dict[str, Any] = {}
        self._outputs: list[Any] = []
        self._count = 0

    def name(self, hint: str) -> str:
        """A tensor name not used before."""
        self._count += 1
        return f"{hint}_{self._count}"

    def input(self, name: str, dtype: type | np.dtype[Any], *, width: int) -> str:
        """Declare an input of shape (rows, width), once; asking again gives the same tensor. `np.str_` is text."""
        return self.input_of_shape(name, dtype, axes=(width,))

    def input_of_shape(self, name: str, dtype: type | np.dtype[Any], *, axes: Sequence[int | str]) -> str:
        """Declare an input with these axes behind its rows, once; an axis that has a name instead of a size is free."""
        if name not in self._inputs:
            from onnx import helper

            self._inputs[name] = helper.make_tensor_value_info(name, _element_type(dtype), ["rows", *axes])
        return name

    def output(self, name: str, tensor: str, dtype: type | np.dtype[Any], *, width: int) -> None:
        """Declare `tensor` as an output of shape (rows, width) under the given name."""
        self.output_of_shape(name, tensor, dtype, axes=(width,))

    def output_of_shape(self, name: str, tensor: str, dtype: type | np.dtype[Any], *, axes: Sequence[int | str]) -> None:
        """Declare `tensor` as an output with these axes behind its rows, as inputs are declared."""
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _element_type(dtype), ["rows", *axes]))

    def constant(self, value: NDArray[Any] | float | int, dtype: type | None = None) -> str:
        """A constant tensor; equal constants are stored once."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(np.asarray(value, dtype=dtype))
        array = array.reshape(np.shape(value))  # ascontiguousarray turns a scalar into a vector
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._shared:
            name = self.name("constant")
            self._constants.append(numpy_helper.from_array(array, name))
            self._shared[key] = name
        return self._shared[key]

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        return self.ops(kind, *inputs, n_outputs=1, domain=domain, **attributes)[0]

    def ops(self, kind: str, *inputs: str, n_outputs: int, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """Add a node with several outputs. Attributes may be arrays: of integers, floats, or bytes for texts."""
        from onnx import helper

        outputs = tuple(self.name(kind.lower()) for _ in range(n_outputs))
        plain = {name: value for name, value in attributes.items() if not isinstance(value, np.ndarray)}
        node = helper.make_node(kind, list(inputs), list(outputs), domain=domain, **plain)
        node.attribute.extend(_attribute(name, attributes[name]) for name in attributes if name not in plain)
        self._nodes.append(node)
        return outputs

    def cast(self, tensor: str, dtype: type | np.dtype[Any]) -> str:
        """The tensor in another element type."""
        return self.op("Cast", tensor, to=_element_type(dtype))

    def columns(self, tensor: str, positions: Sequence[int]) -> str:
        """Columns of a (rows, width) tensor, in the given order."""
        return self.op("Gather", tensor, self.constant(np.asarray(positions, np.int64)), axis=1)

    def concat(self, tensors: Sequence[str], *, axis: int = 1) -> str:
        """Tensors side by side."""
        return tensors[0] if len(tensors) == 1 else self.op("Concat", *tensors, axis=axis)

    def inline(self, model: onnx.ModelProto, bindings: Mapping[str, str]) -> tuple[str, ...]:
        """Copy another model's nodes into this graph, its inputs bound to tensors of this one; returns its outputs' names.

        This is how unit models become an ensemble, and how models that another library exported come in.
        """
        constants, nodes = constants_of(model)
        renamed = {**bindings, **{name: self.constant(array) for name, array in constants.items()}}
        for original in nodes:
            node = type(original)()
            node.CopyFrom(original)
            del node.input[:], node.output[:]
            node.input.extend(renamed[name] if name else "" for name in original.input)
            for name in original.output:
                renamed[name] = self.name("inlined") if name else ""
                node.output.append(renamed[name])
            node.name = ""
            self._nodes.append(node)
        return tuple(renamed[output.name] for output in model.graph.output)

    def model(self) -> onnx.ModelProto:
        """The finished, checked model; large constants that half precision holds exactly are stored in it, and cast."""
        import onnx

        model = self.unfinished()
        onnx.checker.check_model(model)
        return model

    def unfinished(self) -> onnx.ModelProto:
        """The model so far, unchecked: it may lack outputs."""
        from onnx import helper

        constants, casts = halved(self._constants)
        nodes = [*casts, *self._nodes]
        graph = helper.make_graph(nodes, "cupel", list(self._inputs.values()), self._outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, producer_name="cupel", ir_version=IR_VERSION)


def _attribute(name: str, values: NDArray[Any]) -> Any:
    """Many numbers at once; the library's own function looks at each of them."""
    from onnx import AttributeProto

    attribute = AttributeProto(name=name)
    match values.dtype.kind:
        case "i":
            attribute.type = AttributeProto.INTS
            attribute.ints.extend(values.tolist())
        case "f":
            attribute.type = AttributeProto.FLOATS
            attribute.floats.extend(values.tolist())
        case _:
            attribute.type = AttributeProto.STRINGS
            attribute.strings.extend(values.tolist())
    return attribute


def _element_type(dtype: type | np.dtype[Any]) -> int:
    from onnx import TensorProto, helper

    if np.dtype(dtype).kind in "UO":
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
