"""One run on a disk that is too small, or with too little memory, and again with enough: what becomes of it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.survival.chaos import MOST_SECONDS, Question, differences, finished_units, n_lost_of

KEPT_FREE = 50_000_000
"""Cupel ends its search with less on the disk of its run folder; a smaller disk than that is refused at once."""
SPARE = 400_000_000
GROUPS = Path("/sys/fs/cgroup/memory")


def on_a_small_disk(question: Question, reference: Path, work: Path, *, seed: int) -> dict[str, Any]:
    """A run on a file system (tmpfs) that is too small, or is filled up by others, gone on with when there is room again.

    Of even seeds the room is small from the beginning: what Cupel keeps free, and a part of what the undisturbed run took. Of odd
    ones all of it but a few kilobytes is taken at a random moment.
    """
    chance, whole = random.Random(seed), _size_of(reference)
    place, is_sudden = work / f"disk-{seed}", seed % 2 == 1
    with _small_disk(place, whole + KEPT_FREE + SPARE):
        out, filler = place / "run", place / "filler"
        room = int(chance.uniform(0, 3e5) if is_sudden else KEPT_FREE + chance.uniform(0, 1) * whole)
        moment = chance.uniform(0.2, 1.0) * float((reference / "seconds").read_text()) if is_sudden else 0.0
        taking = threading.Timer(moment, lambda: _fill(filler, _free(place) - room))
        taking.start()
        if not is_sudden:
            taking.join()
        code, said = _run(question.command(out))
        taking.cancel()
        taking.join()
        finished = finished_units(out)
        filler.unlink(missing_ok=True)
        found = _gone_on(question, reference, out, finished, chance)
    return {"seed": seed, "is_sudden": is_sudden, "room": room, "first": code, "said": said, **found}


def with_little_memory(question: Question, reference: Path, work: Path, *, seed: int, peak: int) -> dict[str, Any]:
    """A run in a control group that has less memory than the undisturbed run took, gone on with when there is enough."""
    chance, out = random.Random(seed), work / f"memory-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    most = int(chance.uniform(0.5, 0.95) * peak)
    with memory_group(f"cupel-survival-{os.getpid()}", most) as (enter, usage):
        code, said = _run(question.command(out), enter)
        n_ended, held = usage("n_ended"), usage("peak")
    finished = finished_units(out)
    found = _gone_on(question, reference, out, finished, chance)
    if not found["faults"]:
        shutil.rmtree(out)
    return {"seed": seed, "most": most, "peak": held, "n_ended": n_ended, "first": code, "said": said, **found}


def peak_memory(question: Question, work: Path) -> int:
    """Bytes that an undisturbed run takes at most, with all its processes."""
    known = work / "peak"
    if not known.exists():
        out = work / "peak-run"
        shutil.rmtree(out, ignore_errors=True)
        with memory_group(f"cupel-survival-{os.getpid()}", 1 << 40) as (enter, usage):
            code, said = _run(question.command(out), enter)
            assert code == 0, said
            known.write_text(str(usage("peak")))
        shutil.rmtree(out)
    return int(known.read_text())


def _gone_on(question: Question, reference: Path, out: Path, finished: dict[str, int], chance: random.Random) -> dict[str, Any]:
    had_model = (out / "model.cupel").exists()
    code, said = _run(question.again(out, chance))
    faults = [f"ended with {code}: {said}"] if code != 0 else differences(question, reference, out)
    alone, journal = float((reference / "seconds").read_text()), out / "journal" / "journal.jsonl"
    is_smaller = journal.exists() and '"too_large": true' in journal.read_text()
    if is_smaller and code == 0:  # a candidate went on with smaller batches, as it should: it is another than the reference's
        faults = [fault for fault in faults if "differ" not in fault]
    return {
        "alone": alone,
        "is_smaller": is_smaller,
        "had_model": had_model,
        "n_finished": len(finished),
        "n_lost": n_lost_of(finished, out),
        "faults": faults,
    }


def _run(command: list[str], enter: Callable[[], None] | None = None) -> tuple[int, str]:
    """The exit code, and the end of what it said."""
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=MOST_SECONDS, preexec_fn=enter, errors="replace"
    )
    return ended.returncode, ended.stderr.strip()[-400:]


@contextmanager
def _small_disk(place: Path, n_bytes: int) -> Iterator[None]:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


@contextmanager
def memory_group(name: str, most: int) -> Iterator[tuple[Callable[[], None], Callable[[str], int]]]:
    """A control group (version 1): how a process enters it, and what was used of it."""
    group = GROUPS / name
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(most))

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        def usage(what: str) -> int:
            if what == "peak":
                return int((group / "memory.max_usage_in_bytes").read_text())
            told = dict(line.split() for line in (group / "memory.oom_control").read_text().splitlines())
            return int(told.get("oom_kill", 0))

        yield enter, usage
    finally:
        for _ in range(100):
            if not (group / "cgroup.procs").read_text().strip():
                break
            time.sleep(0.1)
        group.rmdir()


def _fill(path: Path, n_bytes: int) -> None:
    with path.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(n_bytes, 1))


def _free(place: Path) -> int:
    return shutil.disk_usage(place).free


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
