"""NumPy's archives (.npz): what an array is, its header tells before anything is unpacked."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cupel.core import machine
from cupel.core.errors import DataError

Array = NDArray[Any]
_SUFFIX = ".npy"
_DAMAGE = (
    *(OSError, EOFError, ValueError, KeyError, MemoryError, NotImplementedError, RuntimeError, zipfile.BadZipFile),
    *(zlib.error, struct.error),
)


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """What it takes in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def is_npz_name(name: str) -> bool:
    """Whether a file name is that of an archive."""
    return name.lower().endswith(".npz")


def headers_of(path: Path) -> dict[str, Header]:
    """All arrays of an archive, by name, in its order; none is unpacked.

    Raises:
        DataError: it cannot be read, or holds no arrays by name.
    """
    with _opened(path) as archive:
        return {name.removesuffix(_SUFFIX): _header(archive, name) for name in archive.namelist() if name.endswith(_SUFFIX)}


def read_arrays(path: Path, names: Sequence[str]) -> list[Array]:
    """Some arrays of an archive, never unpickled.

    Raises:
        DataError: it cannot be read, or they take more memory than is left, which their headers tell.
    """
    with _opened(path) as archive:
        check_fits({f"{name!r} in {path}": _header(archive, name + _SUFFIX) for name in names})
        found = []
        for name in names:
            with archive.open(name + _SUFFIX) as stream:
                found.append(npy.read_array(stream, allow_pickle=False))
        return found


def check_fits(headers: Mapping[str, Header]) -> None:
    """Demand that memory has room for all these arrays.

    Raises:
        DataError: it has not; names the largest.
    """
    usable, total = machine.usable_memory_bytes(), sum(header.n_bytes for header in headers.values())
    if total > usable:
        name, header = max(headers.items(), key=lambda item: item[1].n_bytes)
        raise DataError(
            f"{name} says that it has shape {header.shape} of {header.dtype}, {header.n_bytes / 1e9:,.1f} GB, and "
            f"{usable / 1e9:,.1f} GB of memory are left. Divide it, or give the pictures as files."
        )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with path.open("rb") as stream:
            if stream.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise DataError(f"{path} holds one array alone; expected an .npz with pictures and labels.")
            with zipfile.ZipFile(stream) as archive:
                yield archive
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"{path} cannot be read as an .npz archive ({error}). Write it anew, without objects in it.") from error


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as stream:
        shape, _, dtype = _read_header(stream)
    return Header(shape, dtype)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(stream)
