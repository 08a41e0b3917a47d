"""Ctrl-C, or the word of a scheduler: once ends a run with the best so far, twice ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
THEIR_OWN = (signal.default_int_handler, signal.SIG_DFL)
"""What is there where nobody has decided what these signals do; other handlers are left as they are."""


class Interruption:
    """Use as a context. Outside of the main thread, which alone gets signals, nothing is changed.

    `tell` is told, once, what will happen: `then`; not by the handler, which may have come amidst a line that is being written,
    but by the first look afterwards.
    """

    def __init__(self, tell: Callable[[str], None], *, then: str = "ending with the best so far") -> None:
        self._tell, self._then = tell, then
        self._before: dict[int, Any] = {}
        self._heard = self._untold = ""

    @property
    def is_asked(self) -> bool:
        """Whether somebody wants the run to end."""
        if self._untold:
            told, self._untold = self._untold, ""
            self._tell(f"{told}: {self._then}; once more stops at once")
        return bool(self._heard)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) in THEIR_OWN:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._heard:
            raise KeyboardInterrupt
        self._heard = self._untold = signal.Signals(number).name
