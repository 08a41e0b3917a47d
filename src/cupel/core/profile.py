"""What is known about a dataset before anything is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cupel.core.task import Task


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """One column in numbers.

    `histogram` holds counts: for numeric kinds over equal-width bins between `edges[0]` and `edges[-1]`; for
    categories over `labels` (most frequent first, the rest summed as "other"). `association` with the target is
    from 0 (none) to 1 (determines it); None where it was not computed. Numbers not defined for a kind are None.
    """

    name: str
    kind: str
    n_missing: int
    n_unique: int
    association: float | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    histogram: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A dataset in numbers: size, columns, target.

    `class_counts` is empty for regression, of several labels how often each holds. `memory_bytes` is the size of the decoded
    columns.
    """

    n_samples: int
    columns: tuple[ColumnProfile, ...]
    task: Task | None
    class_counts: tuple[int, ...] = ()
    n_duplicates: int = 0
    memory_bytes: int = 0

    @property
    def n_features(self) -> int:
        """Number of columns beside the target."""
        return len(self.columns) - (1 if self.task else 0)

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        return asdict(self)
