"""Writes `model.cupel`, and refuses to where a clean process does not predict what was trained."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import ParityError
from cupel.core.modality import GraphInput
from cupel.core.schema import Schema
from cupel.core.storage import finite
from cupel.core.task import Task
from cupel.packing.export import TOLERANCE
from cupel.version import __version__

Array = NDArray[Any]
FORMAT = 1
DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Package:
    """What goes into an artifact.

    `golden` are raw rows by column as a user would send them, `expected` what the trained model predicts
    for them, shape (rows, outputs). `spread` is the size of a difference that matters: 1 for probabilities, the target's deviation for regression.
    """

    model: bytes
    schema: Schema
    task: Task
    inputs: Sequence[GraphInput]
    golden: Mapping[str, Sequence[Any]]
    expected: Array
    spread: float = 1.0
    card: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def pack(path: Path, package: Package) -> int:
    """Write the artifact and return its size in bytes; the file has its name only once a clean process has proved it.

    Raises:
        ParityError: reloaded in a clean process it predicts something else than the trained model, or rows influence one
            another; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_zipped(package))
            stream.flush()
            os.fsync(stream.fileno())
        prove(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path.stat().st_size


def prove(path: Path) -> dict[str, float]:
    """Check an artifact in a process that knows nothing of how it was made; returns the differences found.

    Raises:
        ParityError: a check fails; its message says which.
    """
    code = "import sys, json; from cupel.serving import load; print(json.dumps(load(sys.argv[1]).check()))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    answer = subprocess.run(
        [sys.executable, "-I", "-c", code, str(path)], capture_output=True, text=True, env=environment, check=False, timeout=600
    )
    if answer.returncode != 0:
        reason = answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else f"exit code {answer.returncode}"
        raise ParityError(f"the packed model failed its check in a clean process ({reason}); it was not saved.")
    differences: dict[str, float] = json.loads(answer.stdout.strip().splitlines()[-1])
    return differences


def _zipped(package: Package) -> bytes:
    golden = {
        "rows": {name: list(cells) for name, cells in package.golden.items()},
        "expected": np.asarray(package.expected, np.float64).tolist(),
        "tolerance": TOLERANCE,
        "spread": package.spread,
    }
    contents = {
        "model.onnx": package.model,
        "schema.json": _json(package.schema.to_json()),
        "golden.json": _json(golden),
        "facts.json": _json(dict(package.facts)),
        "card.md": package.card.encode(),
    }
    manifest = {
        "format": FORMAT,
        "cupel": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": package.task.to_json(),
        "inputs": [asdict(graph_input) for graph_input in package.inputs],
        "files": {name: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for name, c in contents.items()},
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in {"manifest.json": _json(manifest), **contents}.items():
            member = zipfile.ZipInfo(name, DATE)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return stream.getvalue()


def _json(content: Any) -> bytes:
    return json.dumps(finite(content), ensure_ascii=False, indent=1, allow_nan=False).encode()
