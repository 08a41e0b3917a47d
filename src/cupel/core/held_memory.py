"""How much memory a run and its workers hold, and of how much, in few words."""

from __future__ import annotations

import math
import os
import time

from cupel.core import machine, processes

SECONDS_BETWEEN_LOOKS = 1.0


class HeldMemory:
    """As text `memory 0.8 of 15.6 GB`, looked at anew once a second at most: of this process and all that it began.

    The whole is the cap of `most_bytes`, and no more than what is held and what the machine still has.
    """

    def __init__(self, *, most_bytes: int | None = None) -> None:
        self._most_bytes = math.inf if most_bytes is None else most_bytes
        self._looked, self._words = -math.inf, ""

    def __str__(self) -> str:
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            held = processes.memory_bytes(os.getpid())
            whole = min(self._most_bytes, held + machine.usable_memory_bytes())
            self._words, self._looked = f"memory {held / 1e9:.1f} of {whole / 1e9:.1f} GB", time.monotonic()
        return self._words
