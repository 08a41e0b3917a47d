"""Files of one array of many pictures: NumPy archives and idx files, as models are trained on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.idx_files import is_idx_name, read_idx
from cupel.core.npz_files import headers_of, is_npz_name, read_arrays

Array = NDArray[Any]
_HELD_OUT = (frozenset(("test",)), frozenset(("val", "valid", "validation")))


def is_stack_source(source: Any) -> bool:
    """Whether a source of rows is an .npz archive or an idx file."""
    if not isinstance(source, str | Path) or (isinstance(source, str) and "://" in source):
        return False
    name = Path(source).name
    return (is_npz_name(name) or is_idx_name(name)) and Path(source).is_file()


def stack_in(path: Path) -> Array:
    """The array of pictures in a file: of an archive the only one that could be, or that named as being for testing, else
    for validation.

    Raises:
        DataError: the file cannot be read, or nothing tells which array is meant.
    """
    if not is_npz_name(path.name):
        array = read_idx(path)
        if array.ndim not in (3, 4):
            raise DataError(f"{path} has shape {array.shape}; expected pictures (rows, height, width). Is it the file of labels?")
        return array
    headers = headers_of(path)
    likely = [name for name, header in headers.items() if len(header.shape) in (3, 4)]
    for words in _HELD_OUT:
        named = [name for name in likely if words.intersection(re.findall("[a-z]+", name.lower()))]
        likely = named or likely
    if len(likely) != 1:
        raise DataError(
            f"{path} holds the arrays {', '.join(list(headers)[:12])}; expected one of pictures (rows, height, width[, channels])"
            f" or one named as being for testing, as x_test. Give the array itself."
        )
    return read_arrays(path, likely)[0]
