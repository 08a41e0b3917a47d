"""Ways in which a score can be too good that no single column shows: pairs, encodings, order, identifiers, copies, groups, time.

`find_hidden_leaks` looks for all of them; `near_copies` are also what keeps rows together when they are divided."""

from cupel.data.sentinel.copies import copies_finding, near_copies
from cupel.data.sentinel.sentinel import find_hidden_leaks

__all__ = ["copies_finding", "find_hidden_leaks", "near_copies"]
