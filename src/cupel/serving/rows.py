"""Raw columns of rows in whatever form they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.serving.pictures import files_in, is_picture_source, stack_of
from cupel.serving.stacks import is_stack_source, stack_in

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Raw columns by name, all of `n_rows` cells; those that nobody asked for may be missing, and are named in `others`.

    `folder` is where relative paths in cells begin; without one paths are refused.
    """

    columns: Mapping[str, Array]
    n_rows: int
    others: tuple[str, ...] = ()
    folder: Path | None = Path()


def rows_of(source: Any, names: Sequence[str], *, pictures: str | None = None) -> Rows:
    """The columns of those names, as far as they are there.

    `source` is a path, a frame or Arrow table, a dict of columns, a list of dicts, one dict, or a NumPy matrix whose columns
    are `names` in this order. A key that only some of the dicts have is a missing cell in the others. Where all that is needed
    is the column `pictures`, it may also be a picture file, a folder of them, an .npz archive or idx file that holds an array, or
    such an array (rows, height, width[, channels]);
    and such an array may be a dict's column.

    Raises:
        DataError: it is none of these, or cannot be read.
    """
    if pictures is not None and is_picture_source(source):
        files = files_in(source)
        return Rows({pictures: _objects(list(map(str, files)))}, len(files))
    if pictures is not None and is_stack_source(source):
        source = stack_in(Path(source))
    if pictures is not None and isinstance(source, np.ndarray) and source.dtype != object:
        return Rows({pictures: stack_of(source)}, len(source))
    if isinstance(source, Mapping):
        return _of_mapping({name: _as_cells(cells) for name, cells in source.items()} if pictures else source, names)
    if isinstance(source, list | tuple):
        return _of_records(source, names)
    if isinstance(source, np.ndarray) and source.dtype.names is None:
        return _of_matrix(source, names)
    return _of_table(source, names)


def is_record(source: Any) -> bool:
    """Whether this is one row: a dict of single cells."""
    return isinstance(source, Mapping) and not any(_is_column(cell) for cell in source.values())


def _is_column(cells: Any) -> bool:
    if type(cells) in (str, int, float, bool, type(None)) or isinstance(cells, str | bytes | np.generic | Mapping):
        return False
    return np.ndim(cells) > 0 if isinstance(cells, np.ndarray) else hasattr(cells, "__len__")


def _of_mapping(source: Mapping[Any, Any], names: Sequence[str]) -> Rows:
    cells = {str(name).strip(): value for name, value in source.items()}
    wanted = {name: cells[name] for name in names if name in cells}
    several = [name for name, value in wanted.items() if _is_column(value)]
    others = tuple(name for name in cells if name not in wanted)
    if not several:
        return Rows({name: _objects([value]) for name, value in wanted.items()}, 1, others)
    single = [name for name in wanted if name not in several]
    if single:
        raise DataError(
            f"column {several[0]!r} holds several cells and {single[0]!r} one ({str(cells[single[0]])[:40]!r}); expected columns "
            f"of equal length, or one row of single cells. Write {{{single[0]!r}: [...]}}."
        )
    if not all(isinstance(value, list | tuple | np.ndarray) for value in wanted.values()):
        return _of_table(wanted, names, others)
    columns = {name: value if isinstance(value, np.ndarray) else _objects(value) for name, value in wanted.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} has {length}" for name, length in list(lengths.items())[:5])
        raise DataError(f"the columns differ in length ({shown}); give every column one cell per row.")
    return Rows(columns, next(iter(lengths.values())), others)


def _as_cells(cells: Any) -> Any:
    """An array of pictures as a column of them."""
    return stack_of(cells) if isinstance(cells, np.ndarray) and cells.ndim > 1 else cells


def _of_records(source: Sequence[Any], names: Sequence[str]) -> Rows:
    strange = next((position for position, row in enumerate(source) if not isinstance(row, Mapping)), None)
    if strange is not None:
        raise DataError(
            f"row {strange + 1} is a {type(source[strange]).__name__}; expected a list of dicts, one per row, as in "
            f"[{{{names[0]!r}: ...}}]. For plain numbers give a two-dimensional NumPy array."
        )
    if not source:
        return Rows({name: _objects([]) for name in names}, 0)
    given = dict.fromkeys(name for row in source for name in row)
    if any(type(name) is not str or name != name.strip() for name in given):
        source = [{str(name).strip(): cell for name, cell in row.items()} for row in source]
        given = dict.fromkeys(str(name).strip() for name in given)
    columns = {name: _objects([row.get(name) for row in source]) for name in names if name in given}
    return Rows(columns, len(source), tuple(name for name in given if name not in columns))


def _of_matrix(source: Array, names: Sequence[str]) -> Rows:
    if source.ndim != 2 or source.shape[1] != len(names):
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        raise DataError(
            f"the array has the shape {source.shape}; expected (rows, {len(names)}) with the columns "
            f"{', '.join(names[:20])}{more} in this order. For one row write array.reshape(1, -1)."
        )
    return Rows({name: source[:, position] for position, name in enumerate(names)}, len(source))


def _of_table(source: Any, names: Sequence[str], others: Sequence[str] = ()) -> Rows:
    from cupel.data.files import read_columns  # brings polars, which rows in memory do not need

    columns = read_columns(source)
    wanted = {name: columns[name] for name in names if name in columns}
    n_rows = len(next(iter(columns.values()))) if columns else 0
    folder = Path(source).parent if isinstance(source, str | Path) and "://" not in str(source) else Path()
    return Rows(wanted, n_rows, (*others, *(name for name in columns if name not in wanted)), folder)


def _objects(cells: Sequence[Any]) -> Array:
    array = np.empty(len(cells), dtype=object)
    for position, cell in enumerate(cells):  # at once, arrays of one shape would be taken for further axes
        array[position] = cell
    return array
