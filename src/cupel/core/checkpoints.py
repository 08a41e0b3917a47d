"""The promise of whoever keeps long work safe in between: bytes by name, whole or not there."""

from __future__ import annotations

from typing import Protocol


class Checkpoints(Protocol):
    """Keeps what one piece of work has come to, until all of it is done."""

    def save(self, name: str, content: bytes) -> None:
        """Keep it under this name, in the place of what was there."""
        ...

    def load(self, name: str) -> bytes | None:
        """What was kept, None where there is nothing, or it is damaged."""
        ...
