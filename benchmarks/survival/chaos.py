"""One run that is killed at random moments, and what is left of the difference to one that was not."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars

MOST_SECONDS = 3600
CUPEL = (sys.executable, "-m", "cupel.cli.main")
TIMED = ("fit_seconds", "estimated_seconds", "latency_ms", "bytes")


@dataclass(frozen=True)
class Question:
    """What every run is asked."""

    table: Path
    families: str
    sample: int = 0
    effort: str = "quick"

    def command(self, out: Path) -> list[str]:
        """The command line."""
        asked = ["fit", str(self.table), "--target", "y", "--effort", self.effort, "--folds", "3", "--families", self.families]
        sampled = ["--sample", str(self.sample)] if self.sample else []
        return [*CUPEL, *asked, *sampled, "--out", str(out), "--progress", "none"]

    def again(self, out: Path, chance: random.Random) -> list[str]:
        """How it is gone on with: asked the same again, or `cupel resume` where there is something to resume."""
        resumes = (out / "run.yaml").exists() and chance.random() < 0.5
        return [*CUPEL, "resume", str(out), "--progress", "none"] if resumes else self.command(out)


def written_table(work: Path, *, n_rows: int) -> Path:
    """A table with numbers, categories, gaps, and a target that takes some learning."""
    path = work / f"table-{n_rows}.csv"
    generator = np.random.default_rng(0)
    a, b, c = generator.normal(size=(3, n_rows))
    kind = generator.choice(list("abcde"), n_rows)
    y = np.where(a + b * c + (kind == "a") + 0.5 * generator.normal(size=n_rows) > 0, "yes", "no")
    frame = polars.DataFrame({"a": a, "b": b, "c": c, "kind": kind, "y": y})
    every = polars.int_range(polars.len()) % 17 == 0
    frame.with_columns(polars.when(every).then(None).otherwise(polars.col("b")).alias("b")).write_csv(path)
    return path


def left_alone(question: Question, work: Path) -> Path:
    """The folder of the run that nobody disturbs; it also says how long a run takes."""
    out = work / ("reference-sampled" if question.sample else "reference")
    if not (out / "seconds").exists():
        shutil.rmtree(out, ignore_errors=True)
        started = time.monotonic()
        subprocess.run(question.command(out), check=True, capture_output=True, timeout=MOST_SECONDS)
        (out / "seconds").write_text(str(time.monotonic() - started))
    return out


def disturbed(
    question: Question, reference: Path, out: Path, *, seed: int, most_kills: int, keep: bool = False
) -> dict[str, Any]:
    """A run killed and gone on with until it ends; `faults` says how its result differs, and is empty where it does not."""
    shutil.rmtree(out, ignore_errors=True)
    chance, whole = random.Random(seed), float((reference / "seconds").read_text())
    moments = sorted(chance.uniform(0, 1.2 * whole) for _ in range(chance.randint(1, most_kills)))
    kills: list[dict[str, Any]] = []
    n_lost, worked, n_begun, code = 0, 0.0, 0, -1
    while n_begun <= most_kills + 1:
        n_begun += 1
        finished = finished_units(out)
        command = question.again(out, chance)
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            code = _until_its_end_or(moments, process, kills, worked=worked, chance=chance)
            errors = process.stderr.read().decode(errors="replace")[-500:] if process.stderr else ""
        worked += time.monotonic() - started
        n_lost += n_lost_of(finished, out)
        if code != -signal.SIGKILL:
            break
    faults = [f"ended with {code}: {errors}"] if code != 0 else differences(question, reference, out)
    if not faults and not keep:
        shutil.rmtree(out)
    return {"seed": seed, "kills": kills, "n_begun": n_begun, "n_lost": n_lost, "seconds": round(worked, 1), "faults": faults}


def _until_its_end_or(
    moments: list[float], process: subprocess.Popen[bytes], kills: list[dict[str, Any]], *, worked: float, chance: random.Random
) -> int:
    """Wait; at each moment (in seconds of work, over all beginnings) a process of the run is killed."""
    started = time.monotonic()
    while process.poll() is None:
        gone = worked + time.monotonic() - started
        if gone > MOST_SECONDS:
            process.kill()
            raise TimeoutError(f"a run went on for {gone:.0f} s")
        if moments and gone >= moments[0]:
            kills.append(_killed_one(process.pid, chance, at=moments.pop(0)))
        time.sleep(0.02)
    return process.returncode


def _killed_one(pid: int, chance: random.Random, *, at: float) -> dict[str, Any]:
    children = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    chosen = chance.choice([pid, *children])
    with contextlib.suppress(ProcessLookupError):
        os.kill(chosen, signal.SIGKILL)
    return {"at": round(at, 2), "of": "run" if chosen == pid else "worker"}


def finished_units(out: Path) -> dict[str, int]:
    """When each finished unit was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (out / "units").glob("*/unit.json")}


def n_lost_of(finished: Mapping[str, int], out: Path) -> int:
    """How many units that were finished are gone, or were made again."""
    now = finished_units(out)
    return sum(now.get(key) != moment for key, moment in finished.items())


def differences(question: Question, reference: Path, out: Path) -> list[str]:
    """What differs between two runs, but for what depends on the clock."""
    faults = []
    boards = [polars.read_csv(run / "leaderboard.csv").drop(TIMED, strict=False) for run in (reference, out)]
    if not boards[0].equals(boards[1]):
        faults.append("the leaderboards differ")
    units = [_full_units(run) for run in (reference, out)]
    if units[0] != units[1]:
        faults.append(f"units differ: {sorted(units[0] ^ units[1])[:5]}")
    for key in sorted(units[0] & units[1]):
        for name in ("predictions.npy", "golden.npy", "model.onnx", "weights.safetensors"):
            first, second = (run / "units" / key / name for run in (reference, out))
            if first.exists() and (not second.exists() or first.read_bytes() != second.read_bytes()):
                faults.append(f"{name} of unit {key} differs")
    faults += [f"{name} was left behind" for name in (".handover", "whole-next") if (out / name).exists()]
    if list((out / "checkpoints").glob("*")):
        faults.append("checkpoints were left behind")
    finals = [run / "whole" / "model.onnx" for run in (reference, out)]
    if question.sample and not (finals[0].exists() and finals[1].exists() and finals[0].read_bytes() == finals[1].read_bytes()):
        faults.append("the fits on all rows differ")
    if not faults and not np.array_equal(*(_packed_predictions(run, question.table) for run in (reference, out))):
        faults.append("the packed models predict differently")
    return faults


def _full_units(run: Path) -> set[str]:
    """Those trained on all rows of their fold: how many more are trained on fewer rows, the clock decides."""
    facts = {path.parent.name: json.loads(path.read_text()) for path in (run / "units").glob("*/unit.json")}
    return {key for key, own in facts.items() if own.get("share", 1.0) == 1.0}


def _packed_predictions(run: Path, table: Path) -> Any:
    import cupel

    rows = polars.read_csv(table, n_rows=500).drop("y")
    return cupel.load(run / "model.cupel").predict_proba(rows)
