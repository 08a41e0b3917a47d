"""Opens graphs with ONNX Runtime, each with memory of its own to which it is held."""

from __future__ import annotations

import threading
from typing import Any

from cupel.core import machine
from cupel.core.foreign_graphs import n_nodes
from cupel.core.widening import widened

SHARE_OF_MEMORY = 0.5
"""Of what is available when a graph is opened: what its tensors may take, unless it is said."""
LEAST_BYTES = 256 << 20
"""Also where less is available."""
FOLDED_BYTES, TIMES_FOLDED = 256 << 20, 4
"""So much, and so many times its own bytes, may a graph take for what can be computed as it is opened."""
_registering = threading.Lock()


def bytes_for_a_graph() -> int:
    """What a graph may take here and now, unless it is said."""
    return max(LEAST_BYTES, int(SHARE_OF_MEMORY * machine.usable_memory_bytes()))


def open_graph(model: bytes, *, threads: int = 1, memory_bytes: int | None = None) -> Any:
    """An ONNX Runtime session of a serialised model on the CPU, whose tensors never take more than `memory_bytes` together.

    A graph of a hundred bytes may ask for any number of them; then the session fails instead. Texts and what else lies beside
    tensors are not bounded here: what makes them, `foreign_graphs` refuses. Versions of ONNX Runtime before 1.23 share among
    all sessions of a process the bound of the first. Constants in half precision become single precision once, here.

    Raises: whatever ONNX Runtime raises.
    """
    import onnxruntime

    model = widened(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    folded = (FOLDED_BYTES + TIMES_FOLDED * len(model)) // max(n_nodes(model), 1)
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(folded))
    options.add_session_config_entry("session.use_env_allocators", "1")
    with _registering:
        _register(bytes_for_a_graph() if memory_bytes is None else memory_bytes)
        try:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        finally:
            _register(LEAST_BYTES)  # else what the session takes would outlive it


def _register(memory_bytes: int) -> None:
    """From now on sessions that are opened share an allocator of so many bytes, until the next is registered."""
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT)
    bounds = {
        "max_mem": memory_bytes,
        "arena_extend_strategy": -1,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    try:
        onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(bounds))
    except RuntimeError:  # before 1.23 the first one stays
        return
