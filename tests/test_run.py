"""A run folder as it is read again: what a stranger may have made is refused, and nothing outside of it is read."""

import hashlib
import json
import os
from types import MappingProxyType

import numpy as np
import pytest
from safetensors.numpy import save

from cupel.core.errors import DataError, UsageError
from cupel.run import Run

FACTS = MappingProxyType(
    {
        "words": "MLP-1 won.",
        "metric": "auc",
        "higher_is_better": True,
        "fingerprint": "abc",
        "pick": {"name": "MLP-1", "score": {"estimate": 0.875}},
    }
)
BOARD = 'name,score,status,reason\nMLP-1,0.875,done,\nMLP-2,,failed,"no, never"\n'
READERS = MappingProxyType(
    {
        "verdict.json": lambda run: run.verdict,
        "leaderboard.csv": lambda run: run.leaderboard,
        "model.cupel": lambda run: run.save(run.folder / "copy.cupel"),
    }
)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "verdict.json").write_text(json.dumps(dict(FACTS)))
    (tmp_path / "leaderboard.csv").write_text(BOARD)
    (tmp_path / "model.cupel").write_bytes(b"PK")
    return Run.open(tmp_path)


def test_a_finished_run_is_read(run):
    assert run.verdict == "MLP-1 won."
    assert repr(run).endswith("pick='MLP-1', auc=0.875)")
    assert run.leaderboard["score"].to_list() == [0.875, None]
    assert run.save(run.folder / "new" / "copy.cupel").read_bytes() == b"PK"


def test_a_verdict_that_tells_of_another_model_than_the_one_beside_it_is_refused(run):
    told = {**FACTS, "model_sha256": hashlib.sha256(b"PK").hexdigest()}
    (run.folder / "verdict.json").write_text(json.dumps(told))
    assert Run.open(run.folder).verdict == "MLP-1 won."
    run.artifact.write_bytes(b"PK of later")
    with pytest.raises(DataError, match=r"tells of another model than model\.cupel.*cupel resume"):
        _ = Run.open(run.folder).verdict
    run.artifact.unlink()
    assert Run.open(run.folder).verdict == "MLP-1 won."


@pytest.mark.parametrize("kind", ["link", "pipe", "device", "huge", "folder", "nothing"])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_plain_file_of_fitting_size_is_refused(run, name, kind):
    path, victim = run.folder / name, run.folder / "victim"
    path.rename(victim)
    match kind:
        case "link":
            path.symlink_to(victim)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 9 << 30)
    with pytest.raises(DataError, match=r"cannot be read.*cupel resume"):
        READERS[name](run)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"[" * 10_000, b"{}", json.dumps({**FACTS, "pick": []}).encode(), b'{"words": NaN}', b"\xff"],
)
def test_a_verdict_that_is_none_is_refused(run, content):
    (run.folder / "verdict.json").write_bytes(content)
    with pytest.raises(DataError, match=r"verdict\.json cannot be read"):
        repr(run)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"a,b\n1,2\n", b"name,score\nMLP-1,high\n", b"," * 1_000_000, b'"\n"' + b"," * 1_000_000]
)
def test_a_leaderboard_that_is_none_is_refused(run, content):
    (run.folder / "leaderboard.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"leaderboard\.csv cannot be read"):
        run.leaderboard.head()


def test_a_unit_that_is_none_gives_no_backbone(run):
    whole = {"modality": "image", "family": "Airbench", "config": {}, "preparation": {}}
    told = {"candidate": "MLP-1", "fold": 0, "share": 1, "inputs": {}, "described": whole}
    units = [b"", b"[]", b"{}", json.dumps({**told, "described": {"modality": "image"}}).encode(), json.dumps(told).encode()]
    for number, content in enumerate(units):
        (run.folder / "units" / str(number)).mkdir(parents=True)
        (run.folder / "units" / str(number) / "unit.json").write_bytes(content)
    elsewhere = run.folder / "elsewhere"
    elsewhere.write_bytes(save({"body": np.ones(2, np.float32)}))
    (run.folder / "units" / "4" / "weights.safetensors").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="no network in"):
        _ = run.backbone
