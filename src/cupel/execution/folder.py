"""A run's folder: who holds it, what question it answers, and where its files are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from cupel.core.errors import DataError, RunConflictError
from cupel.core.storage import write_text
from cupel.execution.journal import Journal
from cupel.execution.units import UnitStore

QUESTION_FIELDS = ("target", "settings", "fingerprint", "splits", "version")


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
            self._lock = (path / ".lock").open("a+")
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
            differing = [name for name in QUESTION_FIELDS if known.get(name) != asked.get(name)]
            if differing:
                raise RunConflictError(_conflict(self.path, known, asked, differing))
        resumed = path.exists()
        write_text(path, yaml.safe_dump(dict(asked), sort_keys=False, allow_unicode=True))
        return resumed

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def read_run(folder: Path) -> dict[str, Any]:
    """What was asked of the run in a folder.

    Raises:
        DataError: there is no run, or its `run.yaml` cannot be read.
    """
    path = folder / "run.yaml"
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"there is no run in {folder} (no run.yaml); name the folder that `cupel fit --out` wrote.") from error
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({error}); start anew in another folder with --out.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a run description; start anew in another folder with --out.")
    return content


def _conflict(folder: Path, known: Mapping[str, Any], asked: Mapping[str, Any], differing: list[str]) -> str:
    details = []
    for name in differing:
        before, now = known.get(name), asked.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
            details += [f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in keys]
        else:
            label = "data" if name == "fingerprint" else name
            details.append(f"{label} was {str(before)[:40]}, is {str(now)[:40]}")
    return (
        f"the run folder {folder} answers another question ({'; '.join(details)}). "
        f"Ask the same to go on with it, or choose another folder with --out."
    )
