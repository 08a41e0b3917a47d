"""Constants that half precision holds take half the bytes of a graph, and are the same numbers once it is opened."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cupel.core import graph_sessions
from cupel.core.foreign_graphs import fault_of
from cupel.core.graph import Graph
from cupel.core.graph_sessions import open_graph
from cupel.core.half_precision import rounded
from cupel.core.widening import widened

SIDE = 64


def matrix(seed=0, *, side=SIDE):
    return rounded(np.random.default_rng(seed).normal(size=(side, side)).astype(np.float32))


def product(*matrices):
    graph = Graph()
    x = graph.input("x", np.float32, width=SIDE)
    for each in matrices:
        x = graph.op("MatMul", x, graph.constant(each))
    graph.output("y", x, np.float32, width=SIDE)
    return graph.model()


def kinds(model):
    return Counter(node.op_type for node in model.graph.node)


def stored(model):
    return Counter(tensor.data_type for tensor in model.graph.initializer)


def given(session, x):
    return session.run(["y"], {"x": x})[0]


def test_a_constant_that_half_precision_holds_takes_half_the_bytes_and_is_cast_once():
    model = product(matrix(), matrix(1), matrix())
    assert stored(model) == {TensorProto.FLOAT16: 2}
    assert kinds(model)["Cast"] == 2
    assert model.ByteSize() < 2 * 2 * SIDE * SIDE + 1000
    assert fault_of(model.SerializeToString()) is None


def test_other_constants_are_stored_as_they_are():
    odd, few = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32), matrix()[:, :SIDE]
    graph = Graph()
    x = graph.op("MatMul", graph.input("x", np.float32, width=SIDE), graph.constant(odd))
    x = graph.op(
        "Add", graph.op("Add", x, graph.constant(few[:1])), graph.cast(graph.constant(few.astype(np.float64)), np.float32)
    )
    graph.output("y", x, np.float32, width=SIDE)
    assert stored(graph.model()) == {TensorProto.FLOAT: 2, TensorProto.DOUBLE: 1}


def test_they_are_the_same_numbers_bit_for_bit_once_a_graph_is_opened(monkeypatch):
    monkeypatch.setattr(graph_sessions, "FOLDED_BYTES", 0)
    monkeypatch.setattr(graph_sessions, "TIMES_FOLDED", 0)  # nothing is left to be folded
    single = matrix()
    single[0, :3] = 0.0, -0.0, 65504.0
    content = product(single).SerializeToString()
    (wide,) = onnx.load_from_string(widened(content)).graph.initializer
    assert numpy_helper.to_array(wide).tobytes() == single.tobytes()
    assert kinds(onnx.load_from_string(widened(content))) == {"MatMul": 1, "Identity": 1}
    onnx.checker.check_model(widened(content))
    x = np.eye(SIDE, dtype=np.float32)
    assert np.array_equal(given(open_graph(content), x), single)
    plain = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert np.array_equal(given(plain, x), single)


def test_graphs_that_are_put_into_another_share_their_constants():
    inner, both = product(matrix(), matrix(1)), Graph()
    x = both.input("x", np.float32, width=SIDE)
    (first,), (second,) = both.inline(inner, {"x": x}), both.inline(inner, {"x": x})
    both.output("y", both.op("Sub", first, second), np.float32, width=SIDE)
    model = both.model()
    assert stored(model) == {TensorProto.FLOAT16: 2}
    assert kinds(model) == {"Cast": 2, "MatMul": 4, "Sub": 1, "Identity": 3}
    assert not given(open_graph(model.SerializeToString()), np.ones((2, SIDE), np.float32)).any()


def test_a_stranger_s_constants_of_half_precision_may_do_more_than_be_cast():
    half, inner = numpy_helper.from_array(matrix().astype(np.float16), "w"), Graph()
    nodes = [
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["w"], ["less"]),
        helper.make_node("Cast", ["less"], ["wide_less"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["wide", "wide_less"], ["none"]),
        helper.make_node("MatMul", ["x", "none"], ["y"]),
    ]
    content = model_of(nodes, [half])
    (y,) = inner.inline(onnx.load_from_string(content), {"x": inner.input("x", np.float32, width=SIDE)})
    inner.output("y", y, np.float32, width=SIDE)
    for each in (content, inner.model().SerializeToString()):
        assert not given(open_graph(each), np.ones((2, SIDE), np.float32)).any()


def model_of(nodes, constants, *, inputs=("x",), outputs=("y",)):
    declared = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names] for names in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *declared, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def cast(source, target, to=TensorProto.FLOAT):
    return helper.make_node("Cast", [source], [target], to=to)


HALF = numpy_helper.from_array(np.ones((4, 8), np.float16), "w")
MANY_AXES = numpy_helper.from_array(np.ones((1,) * 9, np.float16), "w")
WRITTEN_OUT = helper.make_tensor("w", TensorProto.FLOAT16, [2], [1.0, 2.0])
ALIKE = helper.make_node("Identity", ["w"], ["more"])
BRANCH = helper.make_graph([helper.make_node("Identity", ["w"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 10, None)])
LEFT_ALONE = {
    "read twice": ([cast("w", "y"), ALIKE], [HALF], {}),
    "cast twice": ([cast("w", "y"), cast("w", "z")], [HALF], {}),
    "cast to another type": ([cast("w", "y", to=TensorProto.DOUBLE)], [HALF], {}),
    "may be given from outside": ([cast("w", "y")], [HALF], {"inputs": ("x", "w"), "outputs": ("x",)}),
    "is an answer": ([cast("w", "y")], [HALF], {}),
    "written in another way": ([cast("w", "v")], [WRITTEN_OUT], {}),
    "of many axes": ([cast("w", "v")], [MANY_AXES], {}),
    "two of one name": ([cast("w", "v")], [HALF, HALF], {}),
    "read by a graph within": (
        [cast("w", "v"), helper.make_node("If", ["x"], ["y"], then_branch=BRANCH, else_branch=BRANCH)],
        [HALF],
        {},
    ),
    "single precision": ([cast("w", "v")], [numpy_helper.from_array(np.ones(3, np.float32), "w")], {}),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_a_constant_to_which_more_happens_is_left_alone(case):
    nodes, constants, declared = LEFT_ALONE[case]
    content = model_of(nodes, constants, **declared)
    assert widened(content) == content


@pytest.mark.parametrize(
    "content", [b"", b"\x3a", b"\x3a\x05\xff\xff\xff\xff\xff", b"nothing", product(matrix()).SerializeToString()[:-9]]
)
def test_bytes_that_cannot_be_followed_are_left_as_they_are(content):
    assert widened(content) == content


def test_a_graph_grows_by_no_more_than_its_constants_however_often_they_are_cast():
    constants = [numpy_helper.from_array(np.ones((256, 256), np.float16), f"w{n}") for n in range(4)]
    nodes = [cast(f"w{n}", f"once{n}") for n in range(2)]
    nodes += [cast(f"w{n}", f"often{n}-{k}") for n in range(2, 4) for k in range(500)]
    content = model_of(nodes, constants)
    assert len(widened(content)) <= len(content) + 2 * 2 * 256 * 256 + 100
