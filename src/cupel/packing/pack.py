"""Writes `model.cupel`, and refuses to where a clean process does not predict what was trained."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import InterruptedRunError, ParityError, StorageError
from cupel.core.modality import GraphInput
from cupel.core.processes import STRANGERS
from cupel.core.schema import Schema
from cupel.core.storage import finite, move, write_bytes
from cupel.core.task import Task
from cupel.packing.export import TOLERANCE
from cupel.version import __version__

Array = NDArray[Any]
FORMAT = 1
DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes
MAX_SECONDS = 600
USUAL, FASTEST, MIN_FAST_BYTES = 6, 1, 16 << 20
"""Levels of compression: 6.1 MB of trees become 0.74 MB in 0.18 s at the usual one, 0.86 MB in 0.04 s at the fastest."""
MAX_RATIO = 100  # half of what loading takes for a bomb
MIN_STORED_BYTES = 8 << 20
MANY_NUMBERS, DIGITS = 50_000, 6
BYTES_OF_CERTIFICATE = 2_000
MOST_CHECKS = 5
"""So often in a row the check of a packed model may be ended by a stranger before the run is."""
_WITH_PARENT = """
import os, sys, threading
sys.path += [root for root in sys.argv[2:] if root not in sys.path]
def end_with_parent():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=end_with_parent, daemon=True).start()
"""
_NEEDED = ("cupel", "numpy", "onnxruntime")
_CHECK = """
import json, sys
from cupel.core.errors import CupelError
from cupel.serving import load
try:
    print(json.dumps(load(sys.argv[1]).check()))
except CupelError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Package:
    """What goes into an artifact.

    `golden` are raw rows by column as a user would send them, `expected` what the trained model predicts for them, shape
    (rows, outputs). `spread` is the size of a difference that matters: 1 for probabilities, else the target's deviation.
    `uncertainty` is what `Uncertainty.to_json` gives.
    """

    model: bytes
    schema: Schema
    task: Task
    inputs: Sequence[GraphInput]
    golden: Mapping[str, Sequence[Any]]
    expected: Array
    spread: float = 1.0
    uncertainty: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def pack(path: Path, package: Package, *, left: float = math.inf) -> int:
    """Write the artifact and return its size in bytes; the file has its name only once a clean process has proved it.

    Not more than `left` bytes are written at any time.

    Raises:
        StorageError: it is larger than that.
        ParityError: reloaded in a clean process it predicts something else than the trained model, or rows influence one
            another; nothing is left behind.
        InterruptedRunError: somebody ends that process again and again.
    """
    contents = _contents(package)
    content = _zipped(package, contents)
    if len(content) + BYTES_OF_CERTIFICATE > left:
        raise StorageError(
            f"the packed model takes {len(content) / 1e6:,.2f} MB, and {max(left, 0.0) / 1e6:,.2f} MB are left of what the run "
            f"folder may hold. What was trained is kept: the same command, or `cupel resume`, packs it with more --disk."
        )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        unproved = Path(scratch) / path.name
        write_bytes(unproved, content)
        proved = _zipped(package, contents, certificate=_certificate(prove(unproved)))
        unproved.unlink()
        write_bytes(unproved, proved)
        move(unproved, path)
    return len(proved)


def prove(path: Path) -> dict[str, float]:
    """Check an artifact in a process that knows nothing of how it was made; returns the differences found.

    Raises:
        ParityError: a check fails; its message says which.
        InterruptedRunError: that process is ended by others again and again.
    """
    ended = 0
    for _ in range(MOST_CHECKS):
        try:
            answer = _checked(path)
        except subprocess.TimeoutExpired as error:
            raise ParityError(
                f"the packed model took more than {MAX_SECONDS} s to check in a clean process; it was not saved. "
                f"Leave out the largest family, or pack a smaller ensemble."
            ) from error
        if answer.returncode == 0:
            differences: dict[str, float] = json.loads(answer.stdout.strip().splitlines()[-1])
            return differences
        ended = -answer.returncode
        if ended not in STRANGERS:
            reason = answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else f"exit code {answer.returncode}"
            raise ParityError(f"the packed model failed its check in a clean process ({reason}); it was not saved.")
    raise InterruptedRunError(
        f"the process that checks the packed model was ended from outside {MOST_CHECKS} times in a row "
        f"({signal.Signals(ended).name}); see who ends processes on this machine, or whether it has too little memory. What was "
        f"trained is kept: the same command, or `cupel resume`, packs it."
    )


def _checked(path: Path) -> subprocess.CompletedProcess[str]:
    """What a process of its own session said: a signal meant for the run does not reach it. It ends when this process does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-I", "-W", "ignore", "-c", f"{_WITH_PARENT}{_CHECK}", str(path), *_roots()]
    theirs, held_open = os.pipe()
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=MAX_SECONDS,
            stdin=theirs,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
        os.close(held_open)


def _roots() -> list[str]:
    """Where the packages that it needs are: of a user's own, or on PYTHONPATH, an isolated process knows nothing."""
    specs = [importlib.util.find_spec(name) for name in _NEEDED]
    return list(dict.fromkeys(str(Path(spec.origin).absolute().parents[1]) for spec in specs if spec and spec.origin))


def _certificate(measured: Mapping[str, float]) -> dict[str, Any]:
    """What the clean process measured on the very files that the manifest lists, and where."""
    versions = {name: importlib.metadata.version(name) for name in ("onnxruntime", "numpy")}
    return {"measured": dict(measured), "machine": platform.machine(), "python": platform.python_version(), **versions}


def _contents(package: Package) -> dict[str, bytes]:
    golden = {
        "rows": {name: list(cells) for name, cells in package.golden.items()},
        "expected": _short(np.asarray(package.expected, np.float64)).tolist(),
        "tolerance": TOLERANCE,
        "spread": package.spread,
    }
    return {
        "model.onnx": package.model,
        "schema.json": _json(package.schema.to_json()),
        "golden.json": _json(golden),
        "facts.json": _json(dict(package.facts)),
        "card.md": package.card.encode(),
    }


def _zipped(package: Package, contents: Mapping[str, bytes], *, certificate: Mapping[str, Any] | None = None) -> bytes:
    """The file's bytes: the contents, and a manifest that lists them."""
    manifest = {
        "format": FORMAT,
        "cupel": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": package.task.to_json(),
        "inputs": [asdict(graph_input) for graph_input in package.inputs],
        "uncertainty": dict(package.uncertainty),
        "files": {name: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for name, c in contents.items()},
        **({} if certificate is None else {"certificate": certificate}),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"manifest.json": _json(manifest), **contents}.items():
            member = zipfile.ZipInfo(name, DATE)
            member.external_attr = 0o644 << 16
            member.compress_type = _compression(content)
            archive.writestr(member, content, compresslevel=FASTEST if len(content) > MIN_FAST_BYTES else USUAL)
    return stream.getvalue()


def _short(numbers: Array) -> Array:
    """Of very many numbers, as of masks, so many digits as the comparison needs."""
    return numbers if numbers.size <= MANY_NUMBERS else np.round(numbers, DIGITS)


def _compression(content: bytes) -> int:
    """Deflate, but for what would shrink so much that it must look like a bomb to the reader: large tables of zeros."""
    if len(content) < MIN_STORED_BYTES or len(content) < MAX_RATIO * len(zlib.compress(content, 1)):
        return zipfile.ZIP_DEFLATED
    return zipfile.ZIP_STORED


def _json(content: Any) -> bytes:
    return json.dumps(finite(content), ensure_ascii=False, indent=1, allow_nan=False).encode()
