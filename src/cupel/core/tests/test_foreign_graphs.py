import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import packed_examples as examples
from cupel.core import foreign_graphs
from cupel.core.foreign_graphs import fault_of

OUTSIDE = "it takes weights from outside of itself"
HUGE = 1 << 33


def graph_of(nodes, constants=(), *, domains=("", "ai.onnx.ml"), functions=()):
    x = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["rows", 1])
    y = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(constants))
    opsets = [helper.make_opsetid(domain, 1 if domain else 18) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions)).SerializeToString()


def integers(name, *values, as_list=False):
    if as_list:
        return helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))
    return numpy_helper.from_array(np.array(values, np.int64), name)


def sized(kind, *inputs, **attributes):
    return helper.make_node(kind, list(inputs), ["y"], **attributes)


def sparse(*, as_node):
    """A few bytes that stand for 2 GB."""
    weights = helper.make_sparse_tensor(
        helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0]), helper.make_tensor("i", TensorProto.INT64, [1], [5]), [1 << 29]
    )
    if as_node:
        return graph_of([helper.make_node("Constant", [], ["y"], sparse_value=weights)])
    model = onnx.load_from_string(graph_of([sized("Add", "x", "s")]))
    model.graph.sparse_initializer.append(weights)
    return model.SerializeToString()


def with_bytes(model, more):
    """The model with more bytes in its graph."""
    parsed = onnx.load_from_string(model)
    graph = parsed.graph.SerializeToString() + more
    parsed.ClearField("graph")
    length, size = b"", len(graph)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return parsed.SerializeToString() + b"\x3a" + length + bytes([size]) + graph


REFUSED = {
    "an operator of another domain": lambda: graph_of([sized("Add", "x", "x", domain="evil")], domains=("", "evil")),
    "an operator whose domain was not declared": lambda: graph_of([sized("Add", "x", "x", domain="evil")]),
    "a domain that nothing uses": lambda: graph_of([sized("Add", "x", "x")], domains=("", "com.microsoft")),
    "a loop": lambda: graph_of([sized("Loop", "m", "c", body=helper.make_graph([], "b", [], []))]),
    "a function": lambda: graph_of(
        [sized("F", "x")], functions=[helper.make_function("", "F", ["x"], ["y"], [sized("Add", "x", "x")], [])]
    ),
    "numbers drawn at random": lambda: graph_of([sized("RandomNormalLike", "x")]),
    "a vast constant": lambda: graph_of([sized("ConstantOfShape", "s")], [integers("s", HUGE)]),
    "a vast constant of several axes": lambda: graph_of([sized("ConstantOfShape", "s")], [integers("s", *[1 << 10] * 4)]),
    "a vast constant, sizes as a list": lambda: graph_of([sized("Expand", "x", "s")], [integers("s", 1, HUGE, as_list=True)]),
    "a vast tile": lambda: graph_of([sized("Tile", "x", "s")], [integers("s", 1, HUGE)]),
    "a vast margin": lambda: graph_of([sized("Pad", "x", "s")], [integers("s", 0, 0, HUGE, 0)]),
    "a margin below nothing": lambda: graph_of([sized("Pad", "x", "s")], [integers("s", 0, 0, -HUGE, 0)]),
    "a vast picture": lambda: graph_of(
        [sized("Resize", "x", "", "s")], [numpy_helper.from_array(np.array([1, 1, 1e6, 1e6], np.float32), "s")]
    ),
    "a picture of no size": lambda: graph_of(
        [sized("Resize", "x", "", "s")], [numpy_helper.from_array(np.array([np.nan], np.float32), "s")]
    ),
    "a size in a node": lambda: graph_of(
        [helper.make_node("Constant", [], ["s"], value=integers("", HUGE)), sized("ConstantOfShape", "s")]
    ),
    "a vast stride": lambda: graph_of([sized("ConvTranspose", "x", "w", strides=[1 << 20, 1 << 20])]),
    "sparse weights": lambda: sparse(as_node=False),
    "sparse weights in a node": lambda: sparse(as_node=True),
    "texts that double": lambda: graph_of([sized("StringConcat", "x", "x")]),
    "texts for numbers": lambda: graph_of([sized("Cast", "x", to=TensorProto.STRING)]),
    "a table of texts": lambda: graph_of(
        [sized("LabelEncoder", "x", domain="ai.onnx.ml", keys_int64s=[1], values_strings=["x" * 1000])]
    ),
    "classes as texts": lambda: graph_of(
        [sized("LinearClassifier", "x", domain="ai.onnx.ml", coefficients=[1.0], classlabels_strings=["x"])]
    ),
    "texts as weights": lambda: graph_of([sized("Add", "x", "x")], [helper.make_tensor("s", TensorProto.STRING, [1], [b"x"])]),
    "a text in a node": lambda: graph_of([helper.make_node("Constant", [], ["y"], value_string="x")]),
    "places of what is not zero": lambda: graph_of([sized("NonZero", "x")]),
    "very long remarks": lambda: with_bytes(
        graph_of([sized("Add", "x", "x")]), b"\x6a\x80\x80\x80\x02" + b"\x0a\x00" * (1 << 21)
    ),
    "a model of very many remarks": lambda: graph_of([sized("Add", "x", "x")]) + b"\x72\x00" * 2000,
    "a weight of very many remarks": lambda: with_bytes(
        graph_of([sized("Add", "x", "x")]), b"\x2a\xa0\x1f" + b"\x82\x01\x00\x82\x01\x00\x10\x01" * 500
    ),
    "the runtime's own format": lambda: b"\x18\0\0\0ORTM" + b"\0" * 100,
    "no graph": lambda: b"onnx",
}
ALLOWED = {
    "a small constant": lambda: graph_of([sized("ConstantOfShape", "s")], [integers("s", 10, 10)]),
    "a tile": lambda: graph_of([sized("Tile", "x", "s")], [integers("s", 1, 32)]),
    "a large number that is no size": lambda: graph_of([sized("Add", "x", "s")], [integers("s", HUGE, HUGE)]),
    "many weights": lambda: graph_of([sized("MatMul", "x", "w")], [numpy_helper.from_array(np.full((1, 9999), 1e30), "w")]),
    "a long table of numbers": lambda: graph_of(
        [sized("LabelEncoder", "x", domain="ai.onnx.ml", keys_int64s=[HUGE, 7], values_int64s=[HUGE, 8])]
    ),
    "a table of texts to numbers": lambda: graph_of(
        [sized("LabelEncoder", "x", domain="ai.onnx.ml", keys_strings=["values_strings", "b"], values_int64s=[1, 2])]
    ),
    "another type": lambda: graph_of([sized("Cast", "x", to=TensorProto.FLOAT)]),
    "a weight of numbers one by one": lambda: with_bytes(
        graph_of([sized("Add", "x", "x")]), b"\x2a\xb7\x1f\x10\x07" + b"\x38\x01" * 2009 + b"\x42\x01w"
    ),
    "a whole model": lambda: examples.unit(3)[0],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_graph_is_refused_for(kind):
    assert fault_of(REFUSED[kind]())


@pytest.mark.parametrize(
    "graph",
    [
        lambda: with_bytes(graph_of([sized("Add", "x", "x")]), b"\x0a\x00" * 99),
        lambda: with_bytes(graph_of([sized("Add", "x", "x")]), b"\x6a\x00" * 99),
        lambda: graph_of([helper.make_node("Sum", ["x"] * 99, ["y"])]),
    ],
)
def test_parts_of_a_graph_are_counted_whatever_they_are(monkeypatch, graph):
    assert fault_of(graph()) is None
    monkeypatch.setattr(foreign_graphs, "MOST_PARTS", 99)
    assert "more than 99 parts" in fault_of(graph())


@pytest.mark.parametrize("kind", ALLOWED)
def test_a_graph_may_have(kind):
    assert fault_of(ALLOWED[kind]()) is None


def graph_with(tensor, *, key="location"):
    entry = tensor.external_data.add()
    entry.key, entry.value = key, "x"
    return tensor


def test_weights_outside_are_found_wherever_a_tensor_can_stand():
    inside = numpy_helper.from_array(np.zeros(2, np.float32), "location")
    outside = graph_with(numpy_helper.from_array(np.zeros(2, np.float32), "w"))

    def models(tensor):
        constant = helper.make_node("Constant", [], ["c"], value=tensor)
        empty = helper.make_graph([], "g", [], [])
        yield helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
        yield helper.make_model(helper.make_graph([constant], "g", [], []))
        inner = helper.make_graph([constant], "inner", [], [])
        yield helper.make_model(helper.make_graph([helper.make_node("If", ["b"], [], then_branch=inner)], "g", [], []))
        several = helper.make_node("X", [], [])
        attribute = several.attribute.add()
        attribute.name, attribute.type = "t", onnx.AttributeProto.TENSORS
        attribute.tensors.append(tensor)
        yield helper.make_model(helper.make_graph([several], "g", [], []))
        model = helper.make_model(empty)
        sparse = model.graph.sparse_initializer.add()
        sparse.values.CopyFrom(tensor)
        yield model
        model = helper.make_model(empty)
        model.functions.append(helper.make_function("d", "f", [], ["c"], [constant], []))
        yield model
        model = helper.make_model(empty)
        model.training_info.add().algorithm.initializer.append(tensor)
        yield model

    for number, model in enumerate(models(outside)):
        assert fault_of(model.SerializeToString()) == OUTSIDE, number
    for number, model in enumerate(models(inside)):
        assert fault_of(model.SerializeToString()) != OUTSIDE, number


def test_bytes_that_cannot_be_followed_are_a_fault():
    for content in (b"location", b"\x3a\xff\xff\x03location", b"\x3b location", b"\xff" * 12 + b"location"):
        assert fault_of(content)


def test_a_category_called_location_is_no_weight():
    renamed_level = onnx.load_from_string(examples.unit(2)[0])
    for node in renamed_level.graph.node:
        for attribute in node.attribute:
            if attribute.name == "keys_strings":
                attribute.strings[0] = b"location"
    content = renamed_level.SerializeToString()
    assert b"location" in content
    assert fault_of(content) is None
