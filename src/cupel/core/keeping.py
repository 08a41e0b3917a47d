"""When work in progress is written down, and arrays and plain values in the form of a checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.checkpoints import Checkpoints

Array = NDArray[Any]
SHORTEST_SECONDS, LONGEST_SECONDS = 15.0, 30.0
"""Between two checkpoints: more where writing one takes long, but never so much that a crash costs more."""
SHARE_FOR_WRITING = 0.02
SECONDS_WORTH_KEEPING = 3.0
"""What was done in less is not written down at its end: it is done again as fast."""


@dataclass(eq=False)
class Rhythm:
    """Says when a checkpoint is due, from how long the last one took to write."""

    _begun: float = field(default_factory=lambda: time.monotonic())
    _last: float = field(default_factory=lambda: time.monotonic())
    _seconds: float = field(default_factory=lambda: SHORTEST_SECONDS)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._last >= self._seconds

    @property
    def is_worth_its_end(self) -> bool:
        """Whether what is finished should be kept until what is done beside or after it is finished too."""
        return time.monotonic() - self._begun >= SECONDS_WORTH_KEEPING

    def written(self, *, since: float) -> None:
        """Note a checkpoint that was begun at that moment, of the monotonic clock, and is written now."""
        self._last = time.monotonic()
        self._seconds = min(max((self._last - since) / SHARE_FOR_WRITING, SHORTEST_SECONDS), LONGEST_SECONDS)


@dataclass(frozen=True)
class Part:
    """Checkpoints of a part of the work: names of its own within those of the whole."""

    checkpoints: Checkpoints
    part: str

    def save(self, name: str, content: bytes) -> None:
        """Keep it under this name, in the place of what was there."""
        self.checkpoints.save(f"{self.part}-{name}", content)

    def load(self, name: str) -> bytes | None:
        """What was kept, None where there is nothing, or it is damaged."""
        return self.checkpoints.load(f"{self.part}-{name}")


@dataclass(eq=False)
class Keeping:
    """Keeps what a family that trains itself has come to; without checkpoints it keeps nothing."""

    checkpoints: Checkpoints | None
    name: str = "state"
    rhythm: Rhythm = field(default_factory=Rhythm)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self.checkpoints is not None and self.rhythm.is_due

    @property
    def is_worth_its_end(self) -> bool:
        """Whether what is finished should be kept until what is trained beside it is finished too."""
        return self.checkpoints is not None and self.rhythm.is_worth_its_end

    def save(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Write down named arrays and plain values."""
        from safetensors.numpy import save

        if self.checkpoints is None:
            return
        started = time.monotonic()
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self.checkpoints.save(self.name, save(whole, metadata={"facts": json.dumps(dict(facts))}))
        self.rhythm.written(since=started)

    def load(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """What was written down last; None where nothing was, or it is not what is written here."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        content = None if self.checkpoints is None else self.checkpoints.load(self.name)
        if content is None:
            return None
        try:
            arrays = load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            facts = json.loads(header["__metadata__"]["facts"])
        except (SafetensorError, ValueError, KeyError, TypeError):
            return None
        return (arrays, facts) if isinstance(facts, dict) else None
