"""Tables that are larger than memory: one pass over all rows says what they hold, and draws those that are searched on."""

from cupel.data.streamed.batches import Batches, batches_of
from cupel.data.streamed.drawn import drawn, refuse_what_needs_all_rows
from cupel.data.streamed.planning import fits, needed_bytes, rows_to_search
from cupel.data.streamed.whole import Piece, Whole

__all__ = [
    "Batches",
    "Piece",
    "Whole",
    "batches_of",
    "drawn",
    "fits",
    "needed_bytes",
    "refuse_what_needs_all_rows",
    "rows_to_search",
]
