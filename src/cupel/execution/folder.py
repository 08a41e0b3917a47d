"""A run's folder: who holds it, what question it answers, and where its files are."""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from cupel.core.errors import CupelError, DataError, RunConflictError, StorageError
from cupel.core.plain_yaml import parsed_yaml, yaml_of
from cupel.core.settings import Settings
from cupel.core.storage import is_about, is_temporary, storage_error, write_text
from cupel.core.untrusted import read_bytes
from cupel.execution.chronicle import notes, spent_before
from cupel.execution.guard import size_of
from cupel.execution.journal import Journal, is_time
from cupel.execution.units import UnitStore

SECONDS_OF_A_LOOK = 0.05
MOST_QUESTION_BYTES = 4 << 20
N_NAMED = 8
SECONDS_TO_CONCLUDE = 30.0
"""However little was left of a run's time: with less there is no model."""
QUESTION_FIELDS = ("target", "settings", "fingerprint", "splits", "version", "refit")
FREE = {"settings": ("nested", "allow_network"), "refit": ("run",)}
"""They prove more, or say where the same weights are, and change no model: a run may be asked for them afterwards."""
WRITTEN = (
    ".lock",
    ".handover",
    "journal",
    "journal/journal.jsonl",
    "units",
    "checkpoints",
    "cache",
    "nested",
    "whole",
    "whole-next",
)
PARTS = ("journal", "checkpoints", "cache", "whole", "whole-next")
FILES = frozenset(
    (
        "run.yaml",
        "verdict.json",
        "leaderboard.csv",
        "report.html",
        "study.log",
        "pick.json",
        "refit.json",
        "model.cupel",
        "rule.onnx",
        "rows.npy",
        "out_of_fold.npy",
        "run.json",
        "predictions.npy",
    )
)
"""Those beside these parts, of a run or of an outer fold in it."""
REQUIRED = {"target": str, "settings": dict, "fingerprint": str, "version": str}


class RunFolder:
    """An open run folder. Use as a context: one process at a time may hold it, and what cannot be written in it is told alike.

    It may hold `most_bytes`, where that is given.

    Raises:
        RunConflictError: another process holds it.
        StorageError: it cannot be made, written, or kept from others.
        DataError: a place that is written to is a link.
    """

    def __init__(self, path: Path, *, most_bytes: int | None = None) -> None:
        self.path, self.most_bytes = path, most_bytes
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_links(path)
            descriptor = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            self._lock = os.fdopen(descriptor, "r+")
            self._hold()
            _sweep(path)
            self.journal = Journal(path / "journal" / "journal.jsonl", demand_own=self.demand_own)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(
                f"the run folder {path} cannot be written ({error.strerror}); mend its permissions or its disk, or choose "
                f"another with --out."
            ) from error
        self.units = UnitStore(path / "units")

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if isinstance(error, OSError) and not isinstance(error, CupelError) and is_about(error, self.path):
            raise storage_error(error, self.path) from error

    def demand_own(self) -> None:
        """Whoever removes a folder removes its lock, and the next run makes another: two could hold what has one name.

        Raises:
            StorageError: the folder is not there any more, or is another than this process opened.
        """
        try:
            there = os.lstat(self.path / ".lock")
        except OSError as error:
            if not self.path.exists():
                raise storage_error(error, self.path) from error
            there = None
        if there is None or not os.path.samestat(there, os.fstat(self._lock.fileno())):
            raise StorageError(
                f"the run folder {self.path} was removed or replaced while this run was at work in it; nothing more is written "
                f"there. Ask again once no other run is at work, or choose another folder with --out."
            )

    def place(self, name: str) -> Path:
        """Where a file of this run goes.

        Raises:
            StorageError: as `demand_own` says.
        """
        self.demand_own()
        return self.path / name

    @property
    def left(self) -> float:
        """Bytes that may still be written, those kept for the model and its report among them; infinite without a limit."""
        return math.inf if self.most_bytes is None else self.most_bytes - size_of(self.path)

    def has_room(self, n_bytes: int, *, instead_of: Sequence[str]) -> bool:
        """Whether so much may be written; where it may not, the files that it would have replaced make room: they are old."""
        if n_bytes > self.left:
            for name in instead_of:
                (self.path / name).unlink(missing_ok=True)
        return n_bytes <= self.left

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def settle_question(self, asked: Mapping[str, Any]) -> bool:
        """Write `run.yaml`, or compare with the one that is there; returns whether this goes on with an earlier run.

        Of how many processes this one is the last is said there too: notes in the journal tell how long it has worked.

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
        write_text(path, yaml_of({**asked, "part": spent_before(self.journal).n_parts + 1}))
        return resumed

    def _hold(self) -> None:
        try:
            self._lock_at_once_or_soon()
        except BlockingIOError as error:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise RunConflictError(
                f"the run folder {self.path} is in use by process {holder}; wait for it, or choose another with --out."
            ) from error
        except OSError as error:
            self._lock.close()
            raise StorageError(
                f"the run folder {self.path} is on a file system that keeps no locks ({error.strerror}), so that a second "
                f"process could not be kept out of it; choose a folder on a local disk with --out."
            ) from error
        try:
            os.ftruncate(self._lock.fileno(), 0)
            os.pwrite(self._lock.fileno(), str(os.getpid()).encode(), 0)
        except OSError:
            self._lock.close()
            raise

    def _lock_at_once_or_soon(self) -> None:
        """Whoever asks who holds the folder holds it for a moment."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(SECONDS_OF_A_LOOK)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder_of(folder: Path) -> int | None:
    """The process that has the run in a folder open; None where there is none, or it cannot be told."""
    try:
        with os.fdopen(os.open(folder / ".lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
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


def said_in(folder: Path, asked: Mapping[str, Any], *, name: str) -> str | None:
    """A text of a `run.yaml`.

    Raises:
        DataError: it is something else.
    """
    said = asked.get(name)
    if not isinstance(said, str | None):
        raise DataError(f"the run.yaml in {folder} gives {str(said)[:60]!r} as {name}, which is no text; say it with --{name}.")
    return said


def split_of(folder: Path) -> str | None:
    """How the rows of the run in a folder are divided, as its settings say; None where there is no run that can be read."""
    try:
        settings = read_run(folder).get("settings")
    except DataError:  # told when the folder is opened
        return None
    split = settings.get("split") if isinstance(settings, Mapping) else None
    return split if isinstance(split, str) else None


def source_of(folder: Path, asked: Mapping[str, Any]) -> str | None:
    """The file or address of a run's data, as it was given; None where they were in memory.

    No path is looked up elsewhere than it says: a stranger may have written it.

    Raises:
        DataError: it is no text, or there is no such file from here.
    """
    source = said_in(folder, asked, name="source")
    if source is not None and "://" not in source and not os.path.exists(source):
        relative = "" if os.path.isabs(source) else ", relative to the folder that it was begun in"
        raise DataError(
            f"the run in {folder} names its data {source!r}{relative}, and from here there is no such file; say where they are "
            f"with --source PATH."
        )
    return source


def seconds_left(folder: Path, asked: Mapping[str, Any]) -> float | None:
    """What the last process that was at a run left of its time, by the notes of it; None without a cap.

    All of it where that process concluded, or it is not known what it used; always enough to conclude.

    Raises:
        DataError: the journal cannot be read.
    """
    seconds, part = asked.get("seconds"), asked.get("part")
    if not is_time(seconds) or seconds == 0:
        return None
    path, before, used = folder / "journal" / "journal.jsonl", 0.0, 0.0
    for event, spent in notes(Journal(path).read() if path.exists() else ()):
        if spent.n_parts != part:
            before = spent.seconds
        elif event == "concluded":
            return float(seconds)
        else:
            used = max(spent.seconds - before, 0.0)
    return max(seconds - used, min(float(seconds), SECONDS_TO_CONCLUDE))


def _binding(asked: Mapping[str, Any], name: str) -> Any:
    """A field of a question, of settings and what a refit is of those that change what is found."""
    value = asked.get(name)
    if name not in FREE or not isinstance(value, Mapping):
        return value
    defaults = Settings().to_plain() if name == "settings" else {}  # of one that an earlier version did not know
    return {key: setting for key, setting in {**defaults, **value}.items() if key not in FREE[name]}


def _sweep(folder: Path) -> None:
    """Remove what processes of this run that were killed had begun to write, and nothing else. No link is followed."""
    if not (folder / "run.yaml").is_file():
        return
    for run in (folder, *_plain_folders(folder / "nested")):
        for path in _temporary(run):
            if path.name[1:-9] in FILES:
                _remove(path)
        for place in (*(run / part for part in PARTS), *_plain_folders(run / "units"), *_plain_folders(run / "whole-next")):
            for path in _temporary(place):
                _remove(path)


def _temporary(place: Path) -> list[Path]:
    """What was being written in a part of a run."""
    return [path for path in place.iterdir() if is_temporary(path.name)] if place.is_dir() and not place.is_symlink() else []


def _remove(path: Path) -> None:
    """A file or link itself, or a folder with all in it, as a model is packed in."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _plain_folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_symlink()] if folder.is_dir() and not folder.is_symlink() else []


def _refuse_links(folder: Path) -> None:
    """What is written here must stay here, also where a stranger made the folder.

    Raises:
        DataError: a place that is written to is a link, or another name of a file that may be elsewhere.
    """
    for path in (*(folder / name for name in WRITTEN), *(folder / "nested").glob("*")):
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue
        if not (stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)):
            raise DataError(
                f"{path} is a link or no plain file, so that writing to it could change something elsewhere; remove it."
            )


def _conflict(folder: Path, known: Mapping[str, Any], asked: Mapping[str, Any], differing: list[str]) -> str:
    details = _changes(known.get("data"), asked.get("data")) if "fingerprint" in differing else []
    told = ("fingerprint", "splits") if details else ()  # how rows are split follows from what they are
    for name in differing:
        if name in told:
            continue
        before, now = known.get(name), asked.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            keys = [key for key in {**before, **now} if before.get(key) != now.get(key) and key not in FREE.get(name, ())]
            details += [f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in keys]
        else:
            label = "data" if name == "fingerprint" else name
            details.append(f"{label} was {str(before)[:40]}, is {str(now)[:40]}")
    return (
        f"the run folder {folder} answers another question ({'; '.join(details)}). "
        f"Ask the same to go on with it, or choose another folder with --out."
    )


def _changes(known: Any, now: Any) -> list[str]:
    """What has changed in the data, by the facts that were kept of them; nothing where those say nothing."""
    if not all(isinstance(facts, Mapping) and isinstance(facts.get("columns"), Mapping) for facts in (known, now)):
        return []
    before, after = known["columns"], now["columns"]
    found = {
        "columns no longer": [name for name in before if name not in after],
        "new columns": [name for name in after if name not in before],
    }
    rows = []
    if known.get("rows") != now.get("rows"):
        rows = [f"rows were {known.get('rows')}, are {now.get('rows')}"]
    else:
        found["other cells in"] = [name for name in before if name in after and before[name] != after[name]]
    return [*(f"the data have {what}: {_listed(names)}" for what, names in found.items() if names), *rows]


def _listed(names: Sequence[Any]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(repr(str(name)[:40]) for name in names[:N_NAMED]) + more
