"""Environments of their own for peers, made on first use, and calls that end in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TORCH = next(line.strip() for line in Path("constraints.txt").read_text().splitlines() if line.startswith("torch=="))


def interpreter(folder: Path, packages: Sequence[str]) -> Path:
    """That of an environment that holds these packages; made where it is not there."""
    python = folder / "bin" / "python"
    done = folder / "packages.txt"
    if done.exists() and done.read_text().split("\n") == list(packages):
        return python
    print(f"   making {folder} with {', '.join(packages)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    for package in packages:  # torch alone and first: resolved with others it would be a build for GPUs
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-input", package], check=True)
    done.write_text("\n".join(packages))
    return python


def ended(command: Sequence[str], log: Path, *, seconds: float) -> str:
    """Run a command to its end or for so long; "" where it went well, else what went wrong."""
    environment = {**os.environ, "PYTHONPATH": ""} if "cupel.cli.main" not in command else None
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"ended after {seconds:.0f} s"
    return "" if code == 0 else f"exit code {code}: {_last_line(log)}"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing was printed"
