"""An append-only record of a run: every unit started, finished or failed, each line with its checksum."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

from cupel.core.errors import DataError
from cupel.core.storage import finite, storage_error
from cupel.core.untrusted import parsed_json, read_bytes

MOST_BYTES = 1 << 30
MOST_SECONDS = 1e10
"""Three centuries: what says more is no record of ours."""


def is_time(value: Any) -> TypeGuard[float]:
    """Whether a value of a record that a stranger may have written can be a time in seconds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_SECONDS


class Journal:
    """Lines of JSON, each synced before the work that follows it; a torn last line is tolerated and dropped.

    `demand_own` is asked before each whether the folder is still that of this run, and raises where it is not.
    """

    def __init__(self, path: Path, *, demand_own: Callable[[], None] = lambda: None) -> None:
        self._path, self._demand_own = path, demand_own
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_begun = path.exists()
        self._is_whole = False
        self._lock = threading.Lock()

    def append(self, event: str, **facts: Any) -> None:
        """Record an event; on disk when this returns.

        Raises:
            StorageError: it cannot be written; what was begun of the line is taken back.
        """
        self._demand_own()
        body = json.dumps(finite({"time": round(time.time(), 3), "event": event, **facts}), sort_keys=True)
        line = f"{zlib.crc32(body.encode()):08x} {body}\n".encode()
        try:
            with self._lock:
                self._write(line)
        except OSError as error:
            raise storage_error(error, self._path.parent.parent) from error

    def read(self) -> Iterator[dict[str, Any]]:
        """Every intact record, oldest first; damaged lines are passed over.

        Raises:
            DataError: it is a link or no plain file, or may not be read.
        """
        if not self._path.exists():
            return
        try:
            content = read_bytes(self._path, most_bytes=MOST_BYTES)
        except (OSError, ValueError) as error:
            raise DataError(
                f"the journal {self._path} cannot be read ({error}); name the folder that `cupel fit --out` wrote."
            ) from error
        for line in io.BytesIO(content):  # one at a time: a list of a gigabyte of empty lines would take eight
            record = _parse(line.rstrip(b"\r\n"))
            if record is not None:
                yield record

    def _write(self, line: bytes) -> None:
        if not self._is_whole:  # not before something is written: who only reads must not write beside a run at work
            self._mend()
            self._is_whole = True
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | (0 if self._is_begun else os.O_CREAT), 0o644)
        self._is_begun = True  # from now on a missing file is not made again: somebody has removed the folder
        before = os.fstat(descriptor).st_size
        try:
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
        finally:
            os.close(descriptor)

    def _mend(self) -> None:
        """End a torn last line, so that the next record starts on its own."""
        if self._path.exists() and self._path.stat().st_size:
            with self._path.open("rb+") as stream:
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")


def _parse(line: bytes) -> dict[str, Any] | None:
    checksum, _, body = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        record = parsed_json(body)
    except ValueError:
        return None
    is_record = isinstance(record, dict) and isinstance(record.get("event"), str) and isinstance(record.get("candidate", ""), str)
    return record if is_record else None
