"""What is read of a run folder when it is fuzzed: good content, and what is done with what became of it."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.numpy import save

import packed_examples as examples
from cupel import all_rows, pipeline
from cupel.core.budget import Deadline
from cupel.core.errors import CupelError
from cupel.core.inputs import Inputs
from cupel.core.plain_yaml import yaml_of
from cupel.core.settings import Settings
from cupel.core.storage import npy
from cupel.execution import CheckpointFolder, Journal, RunFolder, Runner, UnitStore, read_pick, read_run
from cupel.execution.units import UnitFiles
from cupel.row_files import PARTS, RowFiles, digests_of
from cupel.run import Run
from cupel.training.keeper import Keeper

RUN = {"target": "y", "settings": {"seed": 0, "drop": ["a"]}, "fingerprint": "abc", "version": "1", "source": "a.csv"}
RESUMED = {
    **RUN,
    "effort": "quick",
    "seconds": 60.0,
    "began": 1.7e9,
    "limits": {"memory_bytes": 1 << 30, "cores": None},
    "splits": {"key": "k"},
    "data": {"rows": 9, "columns": {"a": "1", "y": "2"}},
    "refit": None,
}
STARTED = {"event": "started", "candidate": "MLP-1", "key": "k", "share": 0.5, "folds": [0, 1]}
FOLDS = (0, 1, 2)
VERDICT = {
    "words": "MLP-1 won.",
    "metric": "auc",
    "higher_is_better": True,
    "fingerprint": "abc",
    "pick": {"name": "MLP-1", "score": {"estimate": 0.875}},
}
BOARD = b'name,family,score,reason\nMLP-1,Airbench,0.875,\nMLP-2,Airbench,,"no, never"\n'
DESCRIBED = {"modality": "image", "family": "Airbench", "config": {}, "preparation": {}}
UNIT = {"candidate": "MLP-1", "fold": 0, "share": 1, "inputs": {}, "described": DESCRIBED}


def a_unit() -> UnitFiles:
    return UnitFiles(
        rows=np.array([1, 3]),
        predictions=np.array([[0.25], [0.75]]),
        golden=np.array([[0.5]]),
        model=examples.unit(2)[0],
        facts={"fold": 2, "seconds": 1.5, "curve": {"train_loss": [1.0, 0.5]}},
        weights={"layer": np.ones((2, 2), np.float32)},
    )


def refused_at_most(act: Callable[[], Any], *also: type[Exception]) -> Any:
    """What an act gives, or None where it raises an error of Cupel's, or one of those named."""
    try:
        return act()
    except (CupelError, *also):
        return None


def read_a_run(content: bytes, folder: Path) -> None:
    """Any `run.yaml`, and what it holds of settings."""
    (folder / "run.yaml").write_bytes(content)
    asked = refused_at_most(lambda: read_run(folder))
    if asked is not None:
        refused_at_most(lambda: Settings.from_plain(asked["settings"]))


def resume_a_run(given: tuple[str, bytes, bool], folder: Path) -> None:
    """Any `run.yaml`, or any journal of bytes or of another kind, as `resume` reads them before it works."""
    name, content, retry_failed = given
    run, journal = folder / "run", folder / "run" / "journal" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    (run / "run.yaml").write_bytes(content if name == "run.yaml" else yaml_of(RESUMED).encode())
    match name:
        case "link":
            (folder / "other").write_bytes(content)
            journal.symlink_to(folder / "other")
        case "pipe":
            os.mkfifo(journal)
        case "folder":
            journal.mkdir()
        case _:
            journal.write_bytes(content if name == "journal" else a_journal())
    with mock.patch.object(pipeline, "fit", _settle):
        refused_at_most(lambda: pipeline.resume(run, retry_failed=retry_failed, progress="none"))
    assert name != "link" or (folder / "other").read_bytes() == content


def _settle(source: Any, target: Any, *, settings: Settings, out: Path, time: float | None, **asked: Any) -> None:
    """What `fit` does with all that is said, up to where it reads the source."""
    assert isinstance(source, str)
    assert not settings.allow_network
    pipeline.effort_named(asked["effort"], time)
    with RunFolder(out) as opened:
        opened.settle_question({**RESUMED, "target": target, "settings": settings.to_plain()})


def read_a_pick(content: bytes, folder: Path) -> None:
    """Any `pick.json` beside arrays that fit."""
    (folder / "pick.json").write_bytes(content)
    (folder / "rows.npy").write_bytes(npy(np.zeros((3, 2), np.uint64)))
    (folder / "out_of_fold.npy").write_bytes(npy(np.zeros((3, 1))))
    refused_at_most(lambda: read_pick(folder))


def read_a_journal(content: bytes, folder: Path) -> None:
    """Any journal: what is appended to it is read again."""
    path = folder / "journal.jsonl"
    path.write_bytes(content)
    journal = Journal(path)
    n_before = len(list(journal.read()))
    journal.append("checked", number=7)
    records = list(journal.read())
    assert len(records) == n_before + 1
    assert records[-1]["number"] == 7


def read_a_unit(given_: tuple[str, bytes], folder: Path) -> None:
    """A unit in which one file is something else, and `unit.json` agrees."""
    name, content = given_
    store = UnitStore(folder)
    store.save("k", a_unit())
    facts = json.loads((folder / "k" / "unit.json").read_text())
    (folder / "k" / name).write_bytes(content)
    if name != "unit.json":
        facts["files"][name] = hashlib.sha256(content).hexdigest()
        (folder / "k" / "unit.json").write_text(json.dumps(facts))
    store.load("k")
    store.weights("k")


def read_the_records(records: Any, folder: Path) -> None:
    """Any records of a journal, as who runs candidates reads them."""
    lines = [json.dumps(record).encode() for record in records]
    (folder / "journal").mkdir()
    (folder / "journal" / "journal.jsonl").write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines))
    splits: Any = SimpleNamespace(folds=[SimpleNamespace(index=index) for index in FOLDS])
    nothing: Any = None
    with RunFolder(folder) as opened:
        runner = Runner(dataset=nothing, splits=splits, folder=opened, executor=nothing)
    for folds in runner._begun.values():
        assert set(folds) <= set(FOLDS)


def read_a_final_fit(given: tuple[str, bytes], folder: Path) -> None:
    """Any `facts.json` and `refused.json` beside the files of a fit on all rows."""
    for name, content in final_fit_contents().items():
        (folder / name).write_bytes(content)
    name, content = given
    (folder / name).write_bytes(content)
    facts = all_rows._facts(folder)
    assert isinstance(all_rows._reason(folder), str)
    if facts:
        all_rows._is_renewed(facts, Deadline(5.0))


def open_a_run(given: tuple[str, bytes], folder: Path) -> None:
    """A finished run in which one file is something else."""
    _open({**run_contents(), given[0]: given[1]}, folder)


def _open(contents: Mapping[str, bytes], folder: Path) -> None:
    (folder / "units" / "k").mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    run = Run.open(folder)
    for act in (lambda: repr(run), lambda: run.verdict, run._repr_html_, lambda: run.backbone):
        refused_at_most(act)


def read_a_checkpoint(given: tuple[bytes, bytes], folder: Path) -> None:
    """Any file in the place of a checkpoint, and any content behind its checksum."""
    kept = CheckpointFolder(folder / "checkpoints", "k")
    kept.save("network", given[0])
    (folder / "checkpoints" / "k-other").write_bytes(given[1])
    Keeper(kept, "network").load()
    assert kept.load("network") == given[0]
    kept.load("other")


def go_on(content: bytes, folder: Path) -> None:
    """Any state of what was prepared of all rows."""
    _, kept = _row_files(folder)
    kept.save("written", content)
    again, _ = _row_files(folder, is_begun=True)
    if again.resumes(seconds=5.0):
        refused_at_most(lambda: again.unit(seed=0))


def a_pick() -> bytes:
    member = {"candidate": {"name": "MLP-1"}, "weight": 1.0, "units": ["abc", "def"]}
    return json.dumps({"name": "MLP-1", "members": [member]}).encode()


@functools.cache
def a_journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        for number in range(3):
            journal.append("started", candidate=f"MLP-{number}", folds=[0, 1])
        return (Path(folder) / "journal.jsonl").read_bytes()


def unit_contents() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        UnitStore(Path(folder)).save("k", a_unit())
        return {path.name: path.read_bytes() for path in (Path(folder) / "k").iterdir()}


@functools.cache
def final_fit_contents() -> dict[str, bytes]:
    """Files of a fit on all rows."""
    arrays = (np.zeros((2, 1)), np.zeros((2, 1), np.int32), np.zeros(2), np.zeros(2))
    contents = {f"judged-0-{part}.npy": npy(array) for part, array in zip(PARTS, arrays, strict=True)}
    contents |= {
        "model.onnx": examples.unit(2)[0],
        "golden.npy": npy(np.zeros((1, 2))),
        "refused.json": b'{"reason": "no time."}',
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        digests = digests_of(Path(folder), n_pieces=1)
    facts = {
        "key": "k",
        "candidate": "MLP-1",
        "rows": {"trained": 9, "stopped": 2, "judged": 2},
        "n_pieces": 1,
        "share": 1.0,
        "given": None,
        "cut_short": False,
        "sha256": digests,
    }
    return {**contents, "facts.json": json.dumps(facts).encode()}


@functools.cache
def run_contents() -> dict[str, bytes]:
    """Files of a finished run; what is imported to read it is imported before anything is watched."""
    contents = {
        "verdict.json": json.dumps(VERDICT).encode(),
        "leaderboard.csv": BOARD,
        "units/k/unit.json": json.dumps(UNIT).encode(),
        "units/k/weights.safetensors": save({"bag_0.stem.weight": np.ones(2, np.float32)}),
    }
    with tempfile.TemporaryDirectory() as folder:
        _open(contents, Path(folder))
    return contents


def checkpoint() -> bytes:
    """What a training in progress writes down."""
    with tempfile.TemporaryDirectory() as folder:
        keeper = Keeper(CheckpointFolder(Path(folder) / "checkpoints", "k"), "network")
        keeper.save({"weight": torch.ones(2)}, {"epoch": 3})
        content = CheckpointFolder(Path(folder) / "checkpoints", "k").load("network")
    assert content is not None, "it was saved just now"
    return content


def rows_state() -> dict[str, Any]:
    """How far rows of a table larger than memory are prepared."""
    with tempfile.TemporaryDirectory() as folder:
        return _row_files(Path(folder))[0]._state()


def _row_files(folder: Path, *, is_begun: bool = False) -> tuple[RowFiles, CheckpointFolder]:
    """Three rows of each kind that are prepared, or what finds them."""

    def transform(dataset: Any, rows: Any) -> Inputs:
        del dataset
        return Inputs({"numeric": np.zeros((len(rows), 2), np.float32)}, {})

    kept = CheckpointFolder(folder / "whole" / "rows", "k")
    dataset: Any = SimpleNamespace(target=np.zeros(3), row_numbers=np.arange(3))
    preparation: Any = SimpleNamespace(transform=transform)
    whole: Any = SimpleNamespace(n_rows=100)
    files = RowFiles(dataset, preparation, folder=folder / "whole", whole=whole, checkpoints=kept)
    if not is_begun:
        files.begin(1.0, seconds=math.inf)
        for name, store in files._stores.items():
            store.append(Inputs({"target": np.zeros(3)}, {}) if name.endswith("target") else transform(None, range(3)))
    return files, kept
