"""An append-only record of a run: every unit started, finished or failed, each line with its checksum."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cupel.core.storage import finite
from cupel.core.untrusted import parsed_json, read_bytes

MOST_BYTES = 1 << 30


class Journal:
    """Lines of JSON, each synced before the work that follows it; a torn last line is tolerated and dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._mend()

    def append(self, event: str, **facts: Any) -> None:
        """Record an event; on disk when this returns."""
        body = json.dumps(finite({"time": round(time.time(), 3), "event": event, **facts}), sort_keys=True)
        line = f"{zlib.crc32(body.encode()):08x} {body}\n".encode()
        with self._path.open("ab") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> Iterator[dict[str, Any]]:
        """Every intact record, oldest first; damaged lines are passed over."""
        if not self._path.exists():
            return
        for line in read_bytes(self._path, most_bytes=MOST_BYTES).splitlines():
            record = _parse(line)
            if record is not None:
                yield record

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
