"""A process that is killed, as far as a test can have that."""

from __future__ import annotations


class Ending:
    """Checkpoints in memory, of which the one after so many ends the process."""

    def __init__(self, kept: dict[str, bytes] | None = None, *, after: int = 10**9) -> None:
        self.kept, self._n_left = dict(kept or {}), after

    def save(self, name: str, content: bytes) -> None:
        self.kept[name] = content
        self._n_left -= 1
        if not self._n_left:
            raise KeyboardInterrupt

    def load(self, name: str) -> bytes | None:
        return self.kept.get(name)
