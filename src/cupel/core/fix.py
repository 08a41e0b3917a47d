"""One change to the data that mends a finding, as it stands in a fix plan."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from cupel.core.mending import NO_MENDING, Mending


class FixKind(StrEnum):
    """What a fix does."""

    DROP_COLUMN = "drop-column"
    GROUP = "group"
    ORDER = "order"
    KEEP_TOGETHER = "keep-together"
    MEND_CELLS = "mend-cells"
    LEAVE_OUT_ROWS = "leave-out-rows"
    RELABEL_ROWS = "relabel-rows"


@dataclass(frozen=True, kw_only=True)
class Fix:
    """A change that mends a finding.

    `columns` are those to drop, to group by, to order by, or to mend (one); an order without a column is that of the rows.
    `rows` are positions in the source, counted from 1: what is left out of training, or relabelled; `labels` has the new label
    of each of the latter. `is_safe` fixes are applied by a plan that nobody has edited.
    """

    kind: FixKind
    columns: tuple[str, ...] = ()
    mending: Mending = NO_MENDING
    rows: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    is_safe: bool = False

    @property
    def command(self) -> str:
        """The options of `cupel fit` that apply it; "" where it takes a plan."""
        option = {FixKind.DROP_COLUMN: "--drop", FixKind.GROUP: "--group", FixKind.ORDER: "--order"}.get(self.kind)
        return "" if option is None else " ".join(f"{option} {shlex.quote(name)}" for name in self.columns)
