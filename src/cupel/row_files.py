"""All rows of a table that is larger than memory, prepared, each in a file of what it is for."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import execution
from cupel.core.checkpoints import Checkpoints
from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.inputs import Inputs
from cupel.core.preparation import FittedPreparation
from cupel.core.storage import npy, write_bytes
from cupel.core.stored import StoredRows, StoredUnit
from cupel.core.untrusted import parsed_json, read_bytes
from cupel.data.streamed import Piece, Whole

Array = NDArray[Any]
MOST_JUDGED, SHARE_JUDGED = 200_000, 0.1
MOST_TO_STOP, SHARE_TO_STOP = 100_000, 0.05
LEAST_FREE_BYTES = 200_000_000
MUCH_MORE = 2.0
MOST_BYTES = 8 << 30
ROWS, STATE = "rows", "written"
STORES = ("train", "train_target", "stop", "stop_target")
PARTS = ("numbers", "codes", "answers", "marks")
"""Of the rows that judge, a file each for every piece: what a graph reads, the truth, and the mark that a row or group has."""
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)


class RowFiles:
    """Rows that train, rows that stop training, and rows that judge.

    No row that stops training trains, and none that judges does either, nor was it searched on; all of a group's rows have one
    use. All rows that were searched on train, which are those with the least marks but for rare classes, and those with the next,
    up to the `share` of all that there is time for in so many `seconds`. `left` says how many bytes the run may still write.
    """

    def __init__(
        self,
        dataset: Dataset,
        preparation: FittedPreparation,
        *,
        folder: Path,
        whole: Whole,
        checkpoints: Checkpoints,
        left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._dataset, self._preparation, self._whole, self._checkpoints = dataset, preparation, whole, checkpoints
        self._left = left
        self.folder = folder
        self._forget()
        n_rows = whole.n_rows
        self._judged_from = 1 - min(SHARE_JUDGED, MOST_JUDGED / n_rows)
        self._stop_from = self._judged_from - min(SHARE_TO_STOP, MOST_TO_STOP / n_rows)
        self._drawn = np.zeros(n_rows, np.bool_)
        self._drawn[dataset.row_numbers] = True

    def _forget(self) -> None:
        self.share, self.seconds, self.n_pieces, self.n_rows, self.n_judged = 1.0, math.inf, 0, 0, 0
        self._digest = ""
        self._stores = {name: StoredRows(self.folder / ROWS / name) for name in STORES}

    @property
    def n_train(self) -> int:
        """Rows that train."""
        return self._stores["train"].n_samples

    @property
    def n_stop(self) -> int:
        """Rows that stop training."""
        return self._stores["stop"].n_samples

    def begin(self, share: float, *, seconds: float) -> None:
        """An empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        (self.folder / ROWS).mkdir()
        self._forget()
        self.share, self.seconds = share, seconds

    def resumes(self, *, seconds: float) -> bool:
        """Whether an earlier process left sound rows here; they are taken up, up to the last piece that it wrote down.

        Not where they are some of all rows, and there is much more time now.
        """
        content = self._checkpoints.load(STATE)
        if content is None:
            return False
        try:
            self._restore(parsed_json(content))
        except _DAMAGED:
            return False
        return not is_renewed(self.share, self.seconds, now=seconds)

    def add(self, piece: Piece) -> None:
        """The next rows.

        Raises:
            TrainingError: the disk is too small for all, or what the run may take of it.
        """
        is_new = ~self._drawn[piece.rows]
        is_judged = is_new & (piece.marks >= self._judged_from)
        is_stop = is_new & (piece.marks >= self._stop_from) & ~is_judged
        is_train = ~is_new | (piece.marks < self.share * self._stop_from)
        for name, chosen in (("train", is_train), ("stop", is_stop)):
            rows = np.flatnonzero(chosen)
            self._stores[name].append(self._preparation.transform(piece.dataset, rows))
            self._stores[f"{name}_target"].append(_as_inputs(_target(piece)[rows]))
        self._keep(piece, np.flatnonzero(is_judged))
        self.n_rows = int(piece.rows[-1]) + 1 if len(piece.rows) else self.n_rows
        self.n_pieces += 1
        if self.n_pieces == 1:
            self._demand_disk()
        self._checkpoints.save(STATE, json.dumps(self._state()).encode())

    def unit(self, *, seed: int) -> StoredUnit:
        """What there is to learn from.

        Raises:
            TrainingError: no rows are left to train on, to stop training by, or to judge it.
        """
        if not self.n_train:
            raise TrainingError("no rows are left to train on; give the run more time with --time.")
        if not self.n_stop:
            raise TrainingError("no rows beside those that were searched on are left to stop training by; give more rows.")
        if not self.n_judged:
            raise TrainingError(
                "no rows beside those that were searched on are left to judge by (are there few groups?); give more rows."
            )
        whole = {name: self._stores[name].between(0, self._stores[name].n_samples) for name in STORES if name != "train"}
        return StoredUnit(
            seed=seed,
            train=self._stores["train"],
            train_target=whole["train_target"].blocks["target"],
            stop=whole["stop"],
            stop_target=whole["stop_target"].blocks["target"],
            checkpoints=self._checkpoints,
        )

    def _keep(self, piece: Piece, rows: Array) -> None:
        """Rows that will judge, as files."""
        parts: tuple[Array, ...] = (
            piece.dataset.numeric(rows),
            piece.dataset.codes(rows),
            _target(piece)[rows].astype(np.float64),
            piece.marks[rows],
        )
        for part, array in zip(PARTS, parts, strict=True):
            content = npy(array)
            write_bytes(self.folder / f"judged-{self.n_pieces}-{part}.npy", content)
            self._digest = _chained(self._digest, content)
        self.n_judged += len(rows)

    def _state(self) -> dict[str, Any]:
        counts = {"n_pieces": self.n_pieces, "n_rows": self.n_rows, "n_judged": self.n_judged}
        stores = {name: store.state() for name, store in self._stores.items()}
        seconds = None if math.isinf(self.seconds) else self.seconds
        return {**counts, "share": self.share, "seconds": seconds, "judged": self._digest, "stores": stores}

    def _restore(self, state: Mapping[str, Any]) -> None:
        counts = [state[name] for name in ("n_pieces", "n_rows", "n_judged")]
        if any(type(count) is not int or count < 0 for count in counts):
            raise ValueError("the state is none")
        if any(map(_is_elsewhere, [self.folder / ROWS, *(self.folder / ROWS).rglob("*")])):
            raise ValueError("something that is written to is elsewhere")
        if _digest_of_judged(self.folder, n_pieces=counts[0]) != state["judged"]:
            raise ValueError("rows that judge are not what they were")
        few = np.arange(1)
        assert self._dataset.target is not None, "a run's dataset has its answers"
        inputs, target = self._preparation.transform(self._dataset, few), _as_inputs(self._dataset.target[few])
        for name, store in self._stores.items():
            store.restore(state["stores"][name], like=target if name.endswith("target") else inputs)
        self.share, self.seconds = float(state["share"]), math.inf if state["seconds"] is None else float(state["seconds"])
        self._digest = state["judged"]
        self.n_pieces, self.n_rows, self.n_judged = counts

    def _demand_disk(self) -> None:
        written = execution.size_of(self.folder)
        needed = written * (self._whole.n_rows / max(self.n_rows, 1) - 1)
        free, may = shutil.disk_usage(self.folder).free - LEAST_FREE_BYTES, self._left()
        if needed > may:
            raise TrainingError(
                f"all rows, prepared, take {(written + needed) / 1e9:.2f} GB more of the run folder than the search, and "
                f"{(written + max(may, 0.0)) / 1e9:.2f} GB are left of what it may hold; give more with --disk."
            )
        if needed > free:
            raise TrainingError(
                f"all rows, prepared, take {(written + needed) / 1e9:.1f} GB on the disk of the run folder, where "
                f"{free / 1e9:.1f} GB are free; free some, or choose another with --out."
            )


def is_renewed(share: float, seconds: float, *, now: float) -> bool:
    """Whether what was begun with so many seconds, for some of all rows, is to be begun anew with those that there are now."""
    return share < 1 and now >= MUCH_MORE * seconds


def digests_of(folder: Path, *, n_pieces: int) -> dict[str, str]:
    """What tells the files of a final fit from others: the model, what it says of the golden rows, and all rows that judge.

    Raises:
        OSError, ValueError: a file is not there, or is none.
    """
    own = {name: _chained("", read_bytes(folder / name, most_bytes=MOST_BYTES)) for name in ("model.onnx", "golden.npy")}
    return {**own, "judged": _digest_of_judged(folder, n_pieces=n_pieces)}


def _digest_of_judged(folder: Path, *, n_pieces: int) -> str:
    digest = ""
    for number in range(n_pieces):
        for part in PARTS:
            digest = _chained(digest, read_bytes(folder / f"judged-{number}-{part}.npy", most_bytes=MOST_BYTES))
    return digest


def _chained(before: str, content: bytes) -> str:
    return hashlib.sha256(before.encode() + content).hexdigest()


def _is_elsewhere(path: Path) -> bool:
    facts = path.lstat()
    return not (stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1))


def _target(piece: Piece) -> Array:
    assert piece.dataset.target is not None, "a piece has its answers"
    return piece.dataset.target


def _as_inputs(target: Array) -> Inputs:
    return Inputs({"target": target}, {})
