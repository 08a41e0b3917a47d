"""Messages between a run and its workers: one line of JSON each, over a pipe. No objects pass, and so no pickle."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Mapping
from typing import Any

CHUNK_BYTES = 1 << 16


class Channel:
    """Two ends of pipes: what is sent on one, and what is received on the other.

    Any thread may send; one at a time may receive.
    """

    def __init__(self, *, receiving: int, sending: int) -> None:
        self._receiving, self._sending = receiving, sending
        self._poll = select.poll()
        self._poll.register(receiving, select.POLLIN)
        self._waiting = b""
        self._lock = threading.Lock()
        self.is_closed = False

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            OSError: nobody listens any more.
        """
        line = json.dumps(dict(message)).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._sending, line) :]

    def receive(self, *, timeout_seconds: float | None = None) -> dict[str, Any] | None:
        """The next message, None where none came in time; without a time limit it waits.

        Raises:
            EOFError: the other side has ended.
        """
        end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while b"\n" not in self._waiting:
            left = None if end is None else 1000 * max(end - time.monotonic(), 0.0)
            if not self._poll.poll(left):
                return None
            content = os.read(self._receiving, CHUNK_BYTES)
            if not content:
                raise EOFError
            self._waiting += content
        line, _, self._waiting = self._waiting.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Close both ends."""
        if not self.is_closed:
            self.is_closed = True
            os.close(self._receiving)
            os.close(self._sending)
