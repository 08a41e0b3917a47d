"""The idx format, in which MNIST and its successors come: one array to a file."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core import machine
from cupel.core.errors import DataError
from cupel.core.npz_files import Header, check_fits

Array = NDArray[Any]

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_READ_BYTES = 1 << 24


def is_idx_name(name: str) -> bool:
    """Whether a file name is one that idx files bear."""
    return "-idx" in name or ".idx" in name or name.removesuffix(".gz").endswith("-ubyte")


def read_idx(path: Path) -> Array:
    """The array of an idx file, gzipped or not.

    Source of the format: LeCun, Cortes and Burges, The MNIST database, http://yann.lecun.com/exdb/mnist.

    Raises:
        DataError: it cannot be opened, is of another format, takes more memory than is left, or its length is not what it says.
    """
    try:
        with path.open("rb") as raw:
            is_gzipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if is_gzipped else path.open("rb") as stream:
            start = stream.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not start[3]:
                raise DataError(
                    f"{path} is no idx file: it begins with {start.hex(' ')}; expected 00 00, a type and a number of axes."
                )
            sizes = stream.read(4 * start[3])
            if len(sizes) < 4 * start[3]:
                raise DataError(f"{path} ends within its header; get it anew.")
            shape = struct.unpack(f">{start[3]}I", sizes)
            dtype = np.dtype(_TYPES[start[2]])
            header = Header(shape, dtype)
            if is_gzipped or path.stat().st_size > machine.usable_memory_bytes():
                check_fits({str(path): header})
            expected = header.n_bytes
            content = bytearray()
            while len(content) <= expected and (part := stream.read(min(_READ_BYTES, expected + 1 - len(content)))):
                content += part
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); check the path, or get it anew.") from error
    if len(content) != expected:
        how = "more" if len(content) > expected else f"{len(content):,}"
        raise DataError(f"{path} says that {expected:,} bytes follow its header, and holds {how}; get it anew.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
