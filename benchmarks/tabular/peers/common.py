"""What every peer's script has in common: its arguments, and what it leaves behind. Runs in the peer's own environment.

A script gets a training file and a test file without the target, fits within `--seconds`, and writes `predictions.csv`
(`prediction`, for classes `probability_<class>`) and `facts.json`. Reading the file counts, as it does for `cupel fit`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

STARTED = time.monotonic()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("train", "test", "target", "metric", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--option", default="")
    return parser.parse_args()


def read(given: argparse.Namespace):
    """Features, target and test features as pandas reads them; classes as text."""
    import pandas

    is_regression = given.metric == "rmse"
    train, test = pandas.read_csv(given.train), pandas.read_csv(given.test)
    target = train.pop(given.target)
    return train, target if is_regression else target.astype(str), test[train.columns]


def with_categories(train, test):
    """Text columns as pandas categories, the same in both; for libraries that take nothing else."""
    import pandas

    for name in train.columns:
        if not pandas.api.types.is_numeric_dtype(train[name]):
            known = sorted(train[name].dropna().astype(str).unique())
            train[name] = pandas.Categorical(train[name].astype(str).where(train[name].notna()), categories=known)
            test[name] = pandas.Categorical(test[name].astype(str).where(test[name].notna()), categories=known)
        elif not pandas.api.types.is_numeric_dtype(test[name]):
            test[name] = pandas.to_numeric(test[name], errors="coerce")
    return train, test


def finish(given: argparse.Namespace, test, *, predict: Callable, classes, fitted: float, folder: Path | None) -> None:
    """Predict, time one row and a thousand, and write it all down. `predict` gives values, or (rows, classes)."""
    import numpy as np
    import pandas

    out = Path(given.out)
    predicted = np.asarray(predict(test))
    if classes is None:
        frame = pandas.DataFrame({"prediction": predicted.reshape(len(test))})
    else:
        frame = pandas.DataFrame({f"probability_{label}": predicted[:, i] for i, label in enumerate(classes)})
        frame.insert(0, "prediction", np.asarray(classes)[predicted.argmax(axis=1)])
    frame.to_csv(out / "predictions.csv", index=False)
    one, many = test.iloc[[0]], test.iloc[np.arange(1000) % len(test)].reset_index(drop=True)
    facts = {
        "seconds": fitted - STARTED,
        "latency_ms": {"one": _milliseconds(predict, one), "thousand": _milliseconds(predict, many)},
        "bytes": _size(folder) if folder else None,
    }
    (out / "facts.json").write_text(json.dumps(facts))


def _milliseconds(predict: Callable, rows) -> float:
    """The median of up to twenty calls, or of as many as five seconds hold."""
    times: list[float] = []
    predict(rows)
    while len(times) < 20 and sum(times) < 5:
        started = time.perf_counter()
        predict(rows)
        times.append(time.perf_counter() - started)
    return 1000 * sorted(times)[len(times) // 2]


def _size(folder: Path) -> int:
    if folder.is_file():
        return folder.stat().st_size
    return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)
