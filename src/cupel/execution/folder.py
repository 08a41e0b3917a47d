"""A run's folder: who holds it, what question it answers, and where its files are."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from cupel.core.errors import DataError, RunConflictError
from cupel.core.plain_yaml import parsed_yaml, yaml_of
from cupel.core.settings import Settings
from cupel.core.storage import write_text
from cupel.core.untrusted import read_bytes
from cupel.execution.journal import Journal
from cupel.execution.units import UnitStore

SECONDS_OF_A_LOOK = 0.05
MOST_QUESTION_BYTES = 4 << 20
QUESTION_FIELDS = ("target", "settings", "fingerprint", "splits", "version", "refit")
FREE_SETTINGS = ("nested",)
"""They prove more, and change no model: a run may be asked for them afterwards."""
WRITTEN = (".lock", "journal", "journal/journal.jsonl", "units", "nested", "whole")
REQUIRED = {"target": str, "settings": dict, "fingerprint": str, "version": str}


class RunFolder:
    """An open run folder. Use as a context: one process at a time may hold it.

    Raises:
        RunConflictError: another process holds it.
        DataError: it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_links(path)
            descriptor = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            self._lock = os.fdopen(descriptor, "r+")
        except OSError as error:
            raise DataError(f"the run folder {path} cannot be written ({error.strerror}); choose another with --out.") from error
        self._hold()
        self.journal = Journal(path / "journal" / "journal.jsonl")
        self.units = UnitStore(path / "units")

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def settle_question(self, asked: Mapping[str, Any]) -> bool:
        """Write `run.yaml`, or compare with the one that is there; returns whether this goes on with an earlier run.

        Raises:
            RunConflictError: the folder answers another question; the fields that differ are named.
        """
        path = self.path / "run.yaml"
        if path.exists():
            known = read_run(self.path)
            differing = [name for name in QUESTION_FIELDS if _binding(known, name) != _binding(asked, name)]
            if differing:
                raise RunConflictError(_conflict(self.path, known, asked, differing))
        resumed = path.exists()
        write_text(path, yaml_of(dict(asked)))
        return resumed

    def _hold(self) -> None:
        try:
            self._lock_at_once_or_soon()
        except OSError as error:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise RunConflictError(
                f"the run folder {self.path} is in use by process {holder}; wait for it, or choose another with --out."
            ) from error
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def _lock_at_once_or_soon(self) -> None:
        """Whoever asks who holds the folder holds it for a moment."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(SECONDS_OF_A_LOOK)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder_of(folder: Path) -> int | None:
    """The process that has the run in a folder open; None where there is none, or it cannot be told."""
    try:
        with os.fdopen(os.open(folder / ".lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read(20))
    except (OSError, ValueError):
        return None
    return None


def read_run(folder: Path) -> dict[str, Any]:
    """What was asked of the run in a folder.

    Raises:
        DataError: there is no run, or its `run.yaml` cannot be read.
    """
    path = folder / "run.yaml"
    try:
        content = parsed_yaml(read_bytes(path, most_bytes=MOST_QUESTION_BYTES).decode())
    except FileNotFoundError as error:
        raise DataError(f"there is no run in {folder} (no run.yaml); name the folder that `cupel fit --out` wrote.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); start anew in another folder with --out.") from error
    if not isinstance(content, dict) or any(not isinstance(content.get(name), kind) for name, kind in REQUIRED.items()):
        raise DataError(f"{path} is not a run description; start anew in another folder with --out.")
    return content


def _binding(asked: Mapping[str, Any], name: str) -> Any:
    """A field of a question, of settings those that change what is found."""
    value = asked.get(name)
    if name == "settings" and isinstance(value, Mapping):
        known = {**Settings().to_plain(), **value}  # one that an earlier version did not know has its default
        return {key: setting for key, setting in known.items() if key not in FREE_SETTINGS}
    return value


def _refuse_links(folder: Path) -> None:
    """What is written here must stay here, also where a stranger made the folder.

    Raises:
        DataError: a place that is written to is a link, or another name of a file that may be elsewhere.
    """
    for name in WRITTEN:
        path = folder / name
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue
        if not (stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)):
            raise DataError(
                f"{path} is a link or no plain file, so that writing to it could change something elsewhere; remove it."
            )


def _conflict(folder: Path, known: Mapping[str, Any], asked: Mapping[str, Any], differing: list[str]) -> str:
    details = []
    for name in differing:
        before, now = known.get(name), asked.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            keys = [key for key in {**before, **now} if before.get(key) != now.get(key) and key not in FREE_SETTINGS]
            details += [f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in keys]
        else:
            label = "data" if name == "fingerprint" else name
            details.append(f"{label} was {str(before)[:40]}, is {str(now)[:40]}")
    return (
        f"the run folder {folder} answers another question ({'; '.join(details)}). "
        f"Ask the same to go on with it, or choose another folder with --out."
    )
