import gc
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cupel.core.errors import is_for_memory
from cupel.core.foreign_graphs import fault_of, n_nodes
from cupel.core.graph_sessions import open_graph
from cupel.core.held_process import held_to

MB = 1 << 20
ROW = np.ones((1, 1), np.float32)


def serialised(nodes, *, concatenated=(), **constants):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.array(values, np.int64), name) for name, values in constants.items()]
    made = [helper.make_node(kind, read, [name]) for kind, *read, name in nodes]
    made += [helper.make_node("Concat", list(concatenated), ["y"], axis=0)] if concatenated else []
    graph = helper.make_graph(made, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def square(side):
    """A few bytes that make a matrix of so many rows and columns of two vectors."""
    nodes = [("Expand", "x", "long", "rows"), ("Expand", "x", "wide", "columns"), ("Add", "rows", "columns", "all")]
    return serialised([*nodes, ("ReduceMax", "all", "y")], long=[side, 1], wide=[1, side])


def product(side):
    """The same, its size told by numbers that are multiplied."""
    nodes = [("Mul", "few", "few", "many"), ("ConstantOfShape", "many", "all"), ("ReduceMax", "all", "most")]
    return serialised([*nodes, ("Add", "x", "most", "y")], few=[side])


@pytest.mark.parametrize("graph", [square, product])
def test_a_few_bytes_cannot_take_all_memory(graph):
    content = graph(1 << 17)
    assert fault_of(content) is None, "nothing in the file says how much it would take"
    session = open_graph(content, memory_bytes=100 * MB)
    with pytest.raises(Exception, match="bfc_arena") as caught:
        session.run(["y"], {"x": ROW})
    assert is_for_memory(caught.value)


def test_many_tensors_that_each_have_room_do_not_have_it_together():
    sizes, parts = {f"size-{n}": [MB + n, 1] for n in range(8)}, [f"part-{n}" for n in range(8)]
    nodes = [("Expand", "x", size, part) for size, part in zip(sizes, parts, strict=True)]
    with pytest.raises(Exception, match="bfc_arena"):
        open_graph(serialised(nodes, concatenated=parts, **sizes), memory_bytes=20 * MB).run(["y"], {"x": ROW})


def test_each_session_keeps_the_bound_with_which_it_was_opened():
    small, large = open_graph(square(1 << 11), memory_bytes=4 * MB), open_graph(square(1 << 11), memory_bytes=256 * MB)
    assert large.run(["y"], {"x": ROW})[0].max() == 2
    with pytest.raises(Exception, match="bfc_arena"):
        small.run(["y"], {"x": ROW})


def test_what_a_session_took_does_not_outlive_it():
    session = open_graph(square(1 << 13), memory_bytes=1024 * MB)
    session.run(["y"], {"x": ROW})
    held = resident_bytes()
    del session
    gc.collect()
    assert resident_bytes() < held - 200 * MB


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def test_what_can_be_computed_at_opening_takes_little_however_many_there_are():
    sizes = {f"size-{n}": [4 * MB + n] for n in range(40)}
    nodes = [("ConstantOfShape", size, f"part-{size}") for size in sizes]
    nodes += [("Add", f"part-{size}", "x", f"sum-{size}") for size in sizes]
    nodes += [("ReduceMax", f"sum-{size}", f"most-{size}") for size in sizes]
    content, before = serialised([*nodes, ("Sum", *(f"most-{size}" for size in sizes), "y")], **sizes), resident_bytes()
    session = open_graph(content, memory_bytes=100 * MB)
    assert resident_bytes() - before < 100 * MB
    assert session.run(["y"], {"x": ROW})[0] == 40


def test_nodes_are_counted_without_more():
    assert n_nodes(square(4)) == 4
    assert n_nodes(b"\x3b location") == 0


def test_an_older_runtime_is_used_as_it_is(monkeypatch):
    def refuse(*_):
        raise RuntimeError("An allocator for this device has already been registered for sharing.")

    monkeypatch.setattr(onnxruntime, "create_and_register_allocator", refuse)
    assert open_graph(square(4)).run(["y"], {"x": ROW})[0].max() == 2


def test_a_process_is_held_and_let_go():
    script = """
from cupel.core.held_process import held_to
def asked():
    return len(bytearray(300 << 20)) >> 20
assert asked() == 300
with held_to(None):
    assert asked() == 300
try:
    with held_to(100 << 20):
        asked()
except MemoryError:
    print("held", asked())
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "held 300\n"


def test_nothing_is_held_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr("cupel.core.held_process.STATM", tmp_path / "none")
    with held_to(1):
        assert len(bytearray(MB)) == MB
