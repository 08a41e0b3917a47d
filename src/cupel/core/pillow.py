"""Pillow made silent and strict: for as long as any thread reads a picture, and not a moment longer."""

from __future__ import annotations

import ctypes
import functools
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cupel.core.errors import MissingDependencyError

_IGNORED = ("ignore", None, Warning, re.compile(r"PIL\..*"), 0)  # an entry of warnings.filters
_lock = threading.Lock()
_found: list[Any] = []  # what `_begin` found, while threads are reading
_n_reading = 0


@contextmanager
def silent_and_strict() -> Iterator[None]:
    """Within it Pillow warns of nothing and logs nothing, libtiff prints nothing, and half a picture is an error.

    Much published code sets `ImageFile.LOAD_TRUNCATED_IMAGES`, with which the missing part of a picture is grey. The first thread
    that enters turns it off, the last that leaves puts back what was found; warnings of other libraries are untouched throughout.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    global _n_reading
    with _lock:
        if _n_reading == 0:
            _found[:] = _begin()
        _n_reading += 1
    try:
        yield
    finally:
        with _lock:
            _n_reading -= 1
            if _n_reading == 0:
                _end(*_found)


def _begin() -> tuple[bool, int, Any]:
    """A user's own settings: LOAD_TRUNCATED_IMAGES, the level of Pillow's logger, libtiff's handler."""
    try:
        from PIL import ImageFile
    except ImportError as error:
        raise MissingDependencyError('pictures need Pillow, which is not installed; pip install "cupel[images]".') from error
    found = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.filters.insert(0, _IGNORED)  # type: ignore[attr-defined]  # catch_warnings would undo what other threads set meanwhile
    level = logging.getLogger("PIL").level
    logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)  # what it would log as an error, it raises too
    return found, level, _set_tiff_handler(None)


def _end(load_truncated: bool, level: int, tiff_handler: Any) -> None:
    from PIL import ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = load_truncated
    if _IGNORED in warnings.filters:
        warnings.filters.remove(_IGNORED)  # type: ignore[attr-defined]
    logging.getLogger("PIL").setLevel(level)
    _set_tiff_handler(tiff_handler)


def _set_tiff_handler(handler: Any) -> Any:
    """Who prints libtiff's errors, which Pillow raises besides; the one before. None prints nothing."""
    set_handler = _tiff_handler_setter()
    return None if set_handler is None else set_handler(handler)


@functools.cache
def _tiff_handler_setter() -> Any:
    """None for a Pillow without libtiff, or one that hides its symbols."""
    from PIL import _imaging

    try:
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):
        return None
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    return set_handler
