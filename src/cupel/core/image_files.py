"""Columns of decoded pictures in files: written one picture at a time, whole or absent, mapped into memory when read."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, UsageError
from cupel.core.images import Images, Pixels, laid_out, stored_shape
from cupel.core.storage import move

# The file: MAGIC, the pixels end to end, the shapes (n_pictures, 3) as little-endian int64, the footer.
MAGIC = b"cupel-images-1\r\n"
_FOOTER = struct.Struct("<32sQQIIII")  # key, n_pictures, bytes of pixels, n_channels, checksums: pixels, shapes, this footer
_CHUNK_BYTES = 1 << 22
KEY_BYTES = 32


class ImagesWriter:
    """Writes pictures into a file as they come, so that memory holds one at a time; a context manager.

    The file has its name once all is on the disk; if anything is raised within, it is never there. Only its owner may read it,
    whoever may read the pictures themselves. `key`, 32 bytes, may say
    what the pictures were made of, so that `open_images` can tell whether they are still the right ones. Without `n_channels`
    it is 3 if any picture has 3.

    Raises:
        DataError: a picture is of the wrong type or shape, or the disk does not take it.
        UsageError: `key` is not of 32 bytes.
    """

    def __init__(self, path: Path, *, key: bytes = bytes(KEY_BYTES), n_channels: int | None = None) -> None:
        if len(key) != KEY_BYTES:
            raise UsageError(f"a key of {len(key)} bytes was given; expected {KEY_BYTES}, such as a sha256.")
        self.path = path
        self._key = key
        self._n_channels = n_channels
        self._shapes: list[tuple[int, int, int]] = []
        self._checksum = 0
        self._n_bytes = 0
        self._stream: IO[bytes]
        self._temporary: Path

    def __enter__(self) -> ImagesWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        except OSError as error:
            raise self._unwritten(error) from error
        self._stream, self._temporary = os.fdopen(handle, "wb", buffering=_CHUNK_BYTES), Path(temporary)
        self._stream.write(MAGIC)
        return self

    def append(self, picture: Pixels | None) -> None:
        """One more picture, uint8 (height, width, 1 or 3); None for a missing one."""
        shape = stored_shape(picture, f"picture {len(self._shapes)}")
        if picture is not None:
            content = np.ascontiguousarray(picture).data
            try:
                self._stream.write(content)
            except OSError as error:
                raise self._unwritten(error) from error
            self._checksum = zlib.crc32(content, self._checksum)
            self._n_bytes += content.nbytes
        self._shapes.append(shape)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            with self._stream:
                if kind is None:
                    self._finish()
            if kind is None:
                move(self._temporary, self.path)
        except OSError as failure:
            if kind is None:
                raise self._unwritten(failure) from failure
        finally:
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        shapes = np.array(self._shapes, "<i8").reshape(-1, 3)
        n_channels = laid_out(np.empty(0, np.uint8), shapes, n_channels=self._n_channels).n_channels
        index = shapes.tobytes()
        checksums = (self._checksum, zlib.crc32(index))
        fields = (self._key, len(shapes), self._n_bytes, n_channels, *checksums)
        self._stream.write(index)
        self._stream.write(_FOOTER.pack(*fields, zlib.crc32(_FOOTER.pack(*fields, 0))))
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _unwritten(self, error: OSError) -> DataError:
        return DataError(
            f"{self.path} cannot be written ({error.strerror or error}); free some space, or name another place for the pictures."
        )


def open_images(path: Path, *, key: bytes | None = None, verify: bool = True) -> Images:
    """The pictures that an `ImagesWriter` wrote, mapped into memory.

    `key`, where given, must be the writer's. Lengths and the index are always checked; `verify` also reads all pixels once,
    at about a gigabyte a second, and compares their checksum.

    Raises:
        DataError: the file is absent, damaged, no such file, or made with another key.
    """
    try:
        with path.open("rb") as stream:
            n_bytes = os.fstat(stream.fileno()).st_size
            if n_bytes < len(MAGIC) + _FOOTER.size or stream.read(len(MAGIC)) != MAGIC:
                raise DataError(f"{path} is no file of decoded pictures; delete it, and they are decoded anew.")
            mapped = np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror or error}); decode the pictures anew.") from error
    found, n_pictures, n_pixel_bytes, n_channels, checksums = _footer(mapped, path)
    if key is not None and found != key:
        raise DataError(f"{path} holds pictures that were decoded from something else; delete it, and they are decoded anew.")
    index = mapped[len(MAGIC) + n_pixel_bytes : -_FOOTER.size]
    if index.nbytes != n_pictures * 24 or zlib.crc32(index.data) != checksums[1]:
        raise _damaged(path, "its index does not agree with its checksum")
    shapes: NDArray[np.int64] = np.frombuffer(index.tobytes(), "<i8").reshape(-1, 3).astype(np.int64)
    if int(shapes.prod(axis=1).sum()) != n_pixel_bytes:
        raise _damaged(path, "its index does not agree with the pixels")
    pixels = mapped[len(MAGIC) : len(MAGIC) + n_pixel_bytes]
    if verify and _checksum(pixels) != checksums[0]:
        raise _damaged(path, "its pixels do not agree with their checksum")
    return laid_out(pixels, shapes, n_channels=n_channels)


def _footer(mapped: Pixels, path: Path) -> tuple[bytes, int, int, int, tuple[int, int]]:
    key, n_pictures, n_bytes, n_channels, of_pixels, of_index, of_footer = _FOOTER.unpack(mapped[-_FOOTER.size :].tobytes())
    if zlib.crc32(_FOOTER.pack(key, n_pictures, n_bytes, n_channels, of_pixels, of_index, 0)) != of_footer:
        raise _damaged(path, "its end is missing or altered")
    if len(MAGIC) + n_bytes + n_pictures * 24 + _FOOTER.size != len(mapped):
        raise _damaged(path, "its length is not what it says")
    return key, n_pictures, n_bytes, n_channels, (of_pixels, of_index)


def _checksum(pixels: Pixels) -> int:
    value = 0
    for start in range(0, len(pixels), _CHUNK_BYTES):
        value = zlib.crc32(pixels[start : start + _CHUNK_BYTES].data, value)
    return value


def _damaged(path: Path, how: str) -> DataError:
    return DataError(f"{path} is damaged: {how}. Delete it, and the pictures are decoded anew.")
