"""Cells in few small files, so that a comparison can be gone on with where its folder is gone: predictions and facts, no data.

One file for each system and budget, `NAME-SECONDS.npz`: of each table the columns predicted, the numbers, and the facts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

Array = NDArray[Any]
SIGNIFICANT_BITS = 14
"""Of each prediction: what is left out moves no score by a ten thousandth of itself."""


def keep(work: Path, kept: Path) -> None:
    """Write the cells of a comparison into `kept`; those that it holds of other tables stay."""
    kept.mkdir(parents=True, exist_ok=True)
    for system in sorted({path.parts[-2] for path in (work / "cells").glob("*/*/*")}):
        for budget in sorted({path.name for path in (work / "cells").glob(f"*/{system}/*")}):
            found = _archive(kept, system, budget)
            arrays = dict(np.load(found)) if found.exists() else {}
            for folder in sorted((work / "cells").glob(f"*/{system}/{budget}")):
                if (folder / "facts.json").exists():
                    arrays |= _arrays(folder, table=folder.parts[-3])
            np.savez_compressed(found, **arrays)
            print(f"{found}: {sum(name.endswith('/facts') for name in arrays)} tables, {found.stat().st_size / 1e3:.0f} kB")


def restore(work: Path, kept: Path, *, systems: str = "") -> None:
    """Put kept cells into a folder where it has none: those of the named systems (separated by semicolons), or all."""
    wanted = {name.strip() for name in systems.split(";") if name.strip()}
    for path in sorted(kept.glob("*.npz")):
        arrays = np.load(path)
        for name in [name for name in arrays.files if name.endswith("/facts")]:
            facts, table = json.loads(str(arrays[name])), name.removesuffix("/facts")
            folder = work / "cells" / table / path.stem.rpartition("-")[0] / path.stem.rpartition("-")[2]
            if (wanted and facts["system"] not in wanted) or (folder / "facts.json").exists():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            if f"{table}/columns" in arrays.files:
                columns, numbers = arrays[f"{table}/columns"].tolist(), arrays[f"{table}/numbers"]
                polars.DataFrame(numbers.astype(np.float64), schema=columns).write_csv(folder / "predictions.csv")
            (folder / "facts.json").write_text(json.dumps(facts))
            print(f"{table}, {facts['system']}, {folder.name}: restored")


def _archive(kept: Path, system: str, budget: str) -> Path:
    return kept / f"{re.sub(r'[^A-Za-z0-9_+.]', '_', system)}-{budget}.npz"


def _arrays(folder: Path, *, table: str) -> dict[str, Array]:
    arrays: dict[str, Array] = {f"{table}/facts": np.array((folder / "facts.json").read_text())}
    if (folder / "predictions.csv").exists():
        frame = polars.read_csv(folder / "predictions.csv", infer_schema_length=None)
        columns = [name for name in frame.columns if name.startswith("probability_")] or ["prediction"]
        arrays[f"{table}/columns"] = np.array(columns)
        arrays[f"{table}/numbers"] = rounded(frame.select(columns).to_numpy())
    return arrays


def rounded(numbers: Array) -> NDArray[np.float32]:
    """To `SIGNIFICANT_BITS` bits of the mantissa, which compress to a half."""
    mantissa, exponent = np.frexp(np.asarray(numbers, np.float64))
    return np.ldexp(np.round(mantissa * 2**SIGNIFICANT_BITS) / 2**SIGNIFICANT_BITS, exponent).astype(np.float32)
