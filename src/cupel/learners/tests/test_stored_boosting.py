"""Boosting on rows that are read in pieces learns what boosting on rows in memory learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lightgbm as library
import numpy as np
import pytest

from cupel.core import keeping
from cupel.core.budget import Deadline
from cupel.core.inputs import Inputs
from cupel.core.stored import StoredRows, StoredUnit
from cupel.core.task import Task, TaskKind
from cupel.core.tests.ending import Ending
from cupel.learners import lightgbm, segments

TASKS = {
    "binary": Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("n", "y")),
    "multiclass": Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=("a", "b", "c")),
    "regression": Task(kind=TaskKind.REGRESSION, target="y", metric="rmse"),
}
CONFIG = lightgbm.Config(max_rounds=20)


def unit_of(kind: str, folder: Path) -> StoredUnit:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(1500, 4)).astype(np.float32)
    value = x[:, 0] + x[:, 1] * x[:, 2]
    n_classes = 2 if kind == "binary" else 3
    target = 50 + 9 * value if kind == "regression" else np.searchsorted([-0.4, 0.4][: n_classes - 1], value).astype(np.int64)
    x[::7, 3] = np.nan
    stored = StoredRows(folder / "rows")
    for start in range(0, 1200, 500):
        stored.append(Inputs({"numeric": x[start : min(start + 500, 1200)]}, {}))
    return StoredUnit(
        seed=3, train=stored, train_target=target[:1200], stop=Inputs({"numeric": x[1200:]}, {}), stop_target=target[1200:]
    )


@pytest.mark.parametrize("kind", TASKS)
def test_pieces_teach_and_teach_the_same_again(kind: str, tmp_path: Path) -> None:
    unit, heard = unit_of(kind, tmp_path), []
    fitted = [
        lightgbm.fit_stored(unit, config=CONFIG, recipe=None, task=TASKS[kind], threads=1, progress=heard.append)
        for _ in range(2)
    ]
    losses = fitted[0].curve["stop_loss"]
    assert losses[-1] < 0.9 * losses[0]
    assert losses == fitted[1].curve["stop_loss"]
    assert heard[-1] == 0.5
    said = fitted[0].model.predict(unit.stop)
    if kind == "regression":
        assert np.corrcoef(said[:, 0], unit.stop_target)[0, 1] > 0.8
    else:
        assert (said.argmax(axis=1) == unit.stop_target).mean() > 0.7


def test_without_time_there_is_one_round(tmp_path: Path) -> None:
    fitted = lightgbm.fit_stored(
        unit_of("binary", tmp_path), config=CONFIG, recipe=None, task=TASKS["binary"], deadline=Deadline(0.0)
    )
    assert fitted.cut_short
    assert len(fitted.curve["stop_loss"]) == 1


@pytest.mark.parametrize("kind", TASKS)
def test_one_that_was_ended_goes_on_to_the_same_trees(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FEWEST_ROUNDS", 4)
    monkeypatch.setattr(segments, "SECONDS_OF_A_SEGMENT", 0.0)
    monkeypatch.setattr(keeping, "SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "SHARE_FOR_WRITING", 1e9)
    unit, kept = unit_of(kind, tmp_path), Ending(after=2)
    how = {"config": CONFIG, "recipe": None, "task": TASKS[kind], "threads": 1}
    whole = lightgbm.fit_stored(unit, **how)
    with pytest.raises(KeyboardInterrupt):
        lightgbm.fit_stored(replace(unit, checkpoints=kept), **how)
    n_rounds, train = [], library.train
    monkeypatch.setattr(
        library, "train", lambda *given, **named: n_rounds.append(named["num_boost_round"]) or train(*given, **named)
    )
    resumed = lightgbm.fit_stored(replace(unit, checkpoints=Ending(kept.kept)), **how)
    assert n_rounds == [CONFIG.max_rounds - 8]
    assert resumed.curve["stop_loss"] == whole.curve["stop_loss"]
    np.testing.assert_array_equal(resumed.model.predict(unit.stop), whole.model.predict(unit.stop))
    again = lightgbm.fit_stored(replace(unit, checkpoints=Ending(kept.kept)), **how, deadline=Deadline(1e-9))
    assert len(again.curve["stop_loss"]) == 8
    assert again.cut_short
