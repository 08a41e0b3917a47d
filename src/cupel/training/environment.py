"""PyTorch set up for training here: device, threads, denormals, matrix units, memory."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from cupel.core import machine
from cupel.core.errors import UsageError

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # the names M_… of malloc.h
LARGEST_MMAP_THRESHOLD = 1 << 25


def choose_device(wanted: str) -> str:
    """ "cuda" or "cpu" for auto, cpu or cuda.

    Raises:
        UsageError: a GPU was asked for and there is none that PyTorch can use.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise UsageError(f"device {wanted!r} is unknown; choose auto, cpu or cuda.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' was asked for, but PyTorch finds no GPU here; use --device cpu, or install a CUDA build.")
    return wanted


@cache
def get_ready() -> None:
    """Import what PyTorch imports at the first optimiser, its compiler among it: two seconds, which no fold should pay alone."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


@contextmanager
def settled(threads: int) -> Iterator[None]:
    """PyTorch with this many threads within an operation, and fast matrix units in use; afterwards as it was."""
    threads_before, precision_before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    convolutions: Any = torch.backends.mkldnn.conv  # type: ignore[attr-defined]  # a property of what stands for the module
    convolutions_before = convolutions.fp32_precision
    keep_freed_memory()
    torch.set_num_threads(threads)
    if _has_matrix_unit():
        torch.set_float32_matmul_precision("medium")
        convolutions.fp32_precision = "bf16"
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_float32_matmul_precision(precision_before)
        convolutions.fp32_precision = convolutions_before


@contextmanager
def without_denormals() -> Iterator[None]:
    """Numbers too small to matter count as zero in this thread: reckoning with them is a hundred times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@cache
def keep_freed_memory() -> None:
    """Let the allocator keep what is freed: large activations were mapped and unmapped at every step, page fault by page fault.

    Without it page faults take up to a third of a step's time. Does nothing where the C library is not glibc.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for option, value in ((MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD), (TRIM_THRESHOLD, 1 << 30), (ARENA_MAX, 1)):
        library.mallopt(option, value)


@cache
def _has_matrix_unit() -> bool:
    """Whether float32 products, those of convolutions too, may go through bfloat16 at several times the speed (AMX).

    Without one bfloat16 is far slower than float32: 1 against 70 GFLOP/s on an AVX2 processor.
    """
    return platform.machine() == "x86_64" and machine.has_flag("amx_bf16")
