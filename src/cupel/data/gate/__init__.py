"""What is wrong with single cells: spellings, units, impossible values, telling absences, and rows unlike those trained on.

Each finding carries the fix that mends it; nothing is changed before somebody asks for it."""

from cupel.data.gate.cells import judge_cells
from cupel.data.gate.shift import Fact, find_shift

__all__ = ["Fact", "find_shift", "judge_cells"]
