"""Files that a stranger may have written: read without following links, no more than is expected, and nothing in them is run."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cupel.core import machine
from cupel.core.errors import DataError

Array = NDArray[Any]
UNWEIGHED_BYTES = 1 << 26
SHARE_OF_MEMORY = 0.25
"""Of what is available: as much again is taken by what is made of a file, and a sparse one has few bytes on its disk."""
_PREFIX_BYTES = 10
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<descr>[<|][a-z][0-9]{1,2})', 'fortran_order': False, "
    rb"'shape': \((?P<shape>(?:[0-9]{1,15}(?:, |,)?){0,4})\), \} *\n",
    re.DOTALL,
)
"""Version 1.0 as NumPy writes it. NumPy's own reader takes the header for Python, which has more ways to fail."""


def read_bytes(path: Path, *, most_bytes: int) -> bytes:
    """The content of a regular file of at most so many bytes, and of a large one as much as memory has room for.

    Raises:
        OSError: it is not there, or may not be read.
        ValueError: it is a link, no regular file, or larger.
    """
    try:
        # Not blocking: to open a pipe in the place of a file would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path} is a link, which is not followed") from error
        raise
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError(f"{path} is no regular file")
        if facts.st_size > most_bytes:
            raise ValueError(f"{path} has {facts.st_size:,} bytes, more than the {most_bytes:,} that such a file may have")
        _demand_memory(path, facts.st_size)
        return stream.read(facts.st_size + 1)[:most_bytes]  # Python asks the system for all that it is told to read


def _demand_memory(path: Path, n_bytes: int) -> None:
    if n_bytes <= UNWEIGHED_BYTES:
        return
    available = machine.usable_memory_bytes()
    if n_bytes > SHARE_OF_MEMORY * available:
        raise DataError(
            f"{path} has {n_bytes:,} bytes, more than a quarter of the {available:,} of memory that are available; free some."
        )


def parsed_json(content: bytes) -> Any:
    """JSON in UTF-8 whose objects name nothing twice, since of two equal names each reader would believe another.

    Raises:
        ValueError: it is no such JSON, holds NaN or an infinity, or is nested too deeply.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parsed_array(content: bytes, *, dtype: DTypeLike, n_axes: int) -> Array:
    """The array of an .npy file of this element type and number of axes, in C order.

    The header must claim exactly the bytes that follow, so that a small file cannot ask for much memory; objects, which NumPy
    stores as pickle, are no element type that is asked for.

    Raises:
        ValueError: it is anything else.
    """
    wanted = np.dtype(dtype)
    header = _HEADER.match(content)
    if header is None:
        raise ValueError("it does not begin as an array that NumPy wrote in C order")
    found, shape = header["descr"].decode(), tuple(int(extent) for extent in header["shape"].replace(b",", b" ").split())
    if found != wanted.str or len(shape) != n_axes:
        raise ValueError(f"it holds {found} of shape {shape}, expected {wanted.str} with {n_axes} axes")
    if header.end() != _PREFIX_BYTES + int.from_bytes(content[_PREFIX_BYTES - 2 : _PREFIX_BYTES], "little"):
        raise ValueError("its header has another length than it claims")
    if math.prod(shape) * wanted.itemsize != len(content) - header.end():
        raise ValueError(f"its header claims the shape {shape}, which its {len(content):,} bytes do not hold")
    flat: Array = np.frombuffer(content, wanted, offset=header.end())
    return flat.reshape(shape).copy()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return plain


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
