"""Corrections of a column's cells: made wherever the column is read, in training and at prediction alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import UsageError

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Mending:
    """What is corrected in the cells of a column.

    `spellings` are pairs (as written, as read) of categories. `scales` are (low, high, factor): a number from low to high, both
    included, is multiplied by the factor. Numbers in `codes` are missing, and after scaling those below `low` or above `high`.
    Mending twice is the same as mending once, since sample rows of a packed model hold mended cells.

    Raises:
        UsageError: mending twice would not be the same as mending once.
    """

    spellings: tuple[tuple[str, str], ...] = ()
    scales: tuple[tuple[float, float, float], ...] = ()
    low: float | None = None
    high: float | None = None
    codes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        written = {before for before, _ in self.spellings}
        chained = sorted(written & {after for _, after in self.spellings})
        if chained:
            raise UsageError(
                f"{chained[0]!r} is both what is to be respelled and a new spelling; name one final spelling for all."
            )
        for low, high, factor in self.scales:
            if not low <= high or factor == 0 or not np.isfinite([low, high, factor]).all():
                raise UsageError(
                    f"numbers from {low:g} to {high:g} cannot be multiplied by {factor:g}; expected low, high, factor."
                )
            ends = sorted((low * factor, high * factor))
            if any(ends[0] <= other_high and ends[1] >= other_low for other_low, other_high, _ in self.scales):
                raise UsageError(
                    f"numbers from {low:g} to {high:g}, multiplied by {factor:g}, would again be among those that are "
                    "multiplied; "
                    "narrow the range."
                )

    def __bool__(self) -> bool:
        return self != NO_MENDING

    def numbers(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mended numbers, NaN is missing; what is given is not changed."""
        mended = values.copy()
        for low, high, factor in self.scales:
            inside = (values >= low) & (values <= high)
            mended[inside] = values[inside] * factor
        is_impossible = np.isin(values, self.codes) | np.isin(mended, self.codes)
        if self.low is not None:
            is_impossible |= mended < self.low
        if self.high is not None:
            is_impossible |= mended > self.high
        mended[is_impossible] = np.nan
        return mended

    def texts(self, values: Array) -> Array:
        """Mended spellings of an object array of texts."""
        if not self.spellings:
            return values
        after = dict(self.spellings)
        mended = np.empty(len(values), dtype=object)
        mended[:] = [after.get(text, text) for text in values.tolist()]
        return mended

    def joined(self, other: Mending) -> Mending:
        """Both as one; where both set a bound, the other's holds."""
        return Mending(
            spellings=(*self.spellings, *other.spellings),
            scales=(*self.scales, *other.scales),
            low=self.low if other.low is None else other.low,
            high=self.high if other.high is None else other.high,
            codes=(*self.codes, *other.codes),
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Mending:
        """Read what `dataclasses.asdict` made of one."""
        low, high = plain.get("low"), plain.get("high")
        return cls(
            spellings=tuple((str(before), str(after)) for before, after in plain.get("spellings", ())),
            scales=tuple((float(first), float(last), float(factor)) for first, last, factor in plain.get("scales", ())),
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            codes=tuple(float(code) for code in plain.get("codes", ())),
        )


NO_MENDING = Mending()
"""Cells are read as they stand."""
