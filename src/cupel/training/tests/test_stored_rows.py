"""A network learns from rows in files what it learns from rows in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cupel import training
from cupel.core import keeping
from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError
from cupel.core.inputs import Inputs, InputShape
from cupel.core.many_rows import MOST_SAMPLES_BETWEEN, N_LOOKS, pace_for_many
from cupel.core.recipe import Recipe
from cupel.core.stored import StoredRows, StoredUnit
from cupel.core.tests.ending import Ending
from cupel.training import stored
from cupel.training.stored import PieceOrder, StoredStack
from cupel.training.tests.making_units import BINARY, TASKS, TINY, unit_of
from cupel.training.tests.making_units import Config as NetworkConfig

SMALL_PIECE = 16


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_ROWS_OF_A_PIECE", SMALL_PIECE)
    monkeypatch.setattr(stored, "BYTES_SHUFFLED", 0)
    monkeypatch.setattr(stored, "FEWEST_PIECES", 3)
    monkeypatch.setattr(stored, "MOST_ROWS_AT_ONCE", 0)


def stored_unit(folder: Path, kind: str, *, n_train: int = 1200) -> StoredUnit:
    unit = unit_of(TASKS[kind], n_train=n_train, n_stop=200)
    rows = StoredRows(folder / "rows")
    for start in range(0, n_train, 500):
        rows.append(unit.train.at(np.arange(start, min(start + 500, n_train))))
    return StoredUnit(seed=unit.seed, train=rows, train_target=unit.train_target, stop=unit.stop, stop_target=unit.stop_target)


@pytest.mark.usefixtures("small_pieces")
def test_every_row_comes_once_before_any_comes_again() -> None:
    order = PieceOrder(1000, n_pieces=3, rows_of_a_piece=SMALL_PIECE, seed=0)
    first = torch.cat([order.take(7) for _ in range(143)])
    assert sorted(first[:1000].tolist()) == list(range(1000))
    tensors, facts = order.state()
    following = [order.take(100) for _ in range(12)]
    other = PieceOrder(1000, n_pieces=3, rows_of_a_piece=SMALL_PIECE, seed=1)
    other.restore(tensors, facts)
    assert all(torch.equal(rows, other.take(100)) for rows in following)


@pytest.mark.usefixtures("small_pieces")
def test_a_batch_is_of_rows_from_several_places() -> None:
    rows = PieceOrder(960, n_pieces=3, rows_of_a_piece=SMALL_PIECE, seed=0).take(48)
    pieces = (rows // SMALL_PIECE).unique()
    assert len(pieces) == 3
    assert not torch.equal(rows, rows.sort().values)


@pytest.mark.usefixtures("small_pieces")
def test_batches_are_the_rows_that_were_asked_for(tmp_path: Path) -> None:
    unit = stored_unit(tmp_path, "regression")
    shape = InputShape.covering([unit.stop])
    whole = unit.train.between(0, unit.train.n_samples)
    stack = StoredStack(unit.train, unit.train_target, shape, device="cpu")
    (order,) = stack.orders([5])
    for _ in range(120):
        rows = order.take(40)
        blocks, target = stack.batch(rows[None])
        for name, block in blocks.items():
            np.testing.assert_array_equal(block[0].numpy(), whole.blocks[name][rows.numpy()])
        np.testing.assert_array_equal(target[0].numpy(), unit.train_target[rows.numpy()].astype(np.float32))
    held = next(iter(stack._blocks.values()))
    assert len(held) == 3 * 3 * SMALL_PIECE < unit.train.n_samples


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", TASKS)
def test_what_is_learned_is_as_good_as_in_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FEWEST_PIECES", 32)
    unit, heard = stored_unit(tmp_path, kind), []
    recipe, config = Recipe(learning_rate=3e-3, epochs=16), NetworkConfig()
    how = {"config": config, "recipe": recipe, "task": TASKS[kind]}
    fitted = [training.fit_stored(TINY, unit, progress=heard.append, **how) for _ in range(2)]
    plain = training.fit(TINY, [unit_of(TASKS[kind], n_train=1200, n_stop=200)], **how)
    losses = fitted[0].curve["stop_loss"]
    assert losses == fitted[1].curve["stop_loss"]
    assert len(losses) <= N_LOOKS
    assert min(losses) < losses[0]
    assert min(losses) < 1.2 * min(plain[0].curve["stop_loss"])
    assert fitted[0].model.predict(unit.stop).shape == (200, TASKS[kind].n_outputs)
    assert heard[-1] > 0.5


@pytest.mark.usefixtures("small_pieces")
def test_one_that_was_ended_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FEWEST_PIECES", 32)
    monkeypatch.setattr(keeping, "SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "SHARE_FOR_WRITING", 1e9)
    unit, kept = stored_unit(tmp_path, "regression"), Ending(after=30)
    how = {"config": NetworkConfig(), "recipe": Recipe(learning_rate=3e-3), "task": TASKS["regression"]}
    whole = training.fit_stored(TINY, unit, **how)
    with pytest.raises(KeyboardInterrupt):
        training.fit_stored(TINY, replace(unit, checkpoints=kept), **how)
    again = replace(unit, checkpoints=Ending(kept.kept))
    n_steps, batch = [0], StoredStack.batch
    monkeypatch.setattr(StoredStack, "batch", lambda stack, rows: n_steps.append(1) or batch(stack, rows))
    resumed = training.fit_stored(TINY, again, deadline=Deadline(600.0), **how)
    assert 0 < sum(n_steps) <= 80 - 28  # of sixteen times five batches
    assert resumed.curve["stop_loss"] == whole.curve["stop_loss"]
    np.testing.assert_array_equal(resumed.model.predict(unit.stop), whole.model.predict(unit.stop))


def test_time_that_is_up_before_the_first_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="before the first step"):
        training.fit_stored(
            TINY, stored_unit(tmp_path, "binary"), config=NetworkConfig(), recipe=Recipe(), task=BINARY, deadline=Deadline(0.0)
        )


def test_a_pass_is_made_whatever_the_time_and_no_more_than_sixteen() -> None:
    recipe, n_rows = Recipe(), 10_000_000
    few, many = (pace_for_many(recipe, n_rows, most_samples=most) for most in (1.0, 1e12))
    assert few.n_steps * few.n_epochs * few.batch_size == pytest.approx(n_rows, rel=0.01)
    assert many.n_steps * many.n_epochs * many.batch_size == pytest.approx(16 * n_rows, rel=0.01)
    assert few.batch_size == many.batch_size == 1024
    most = pace_for_many(recipe, 100 * n_rows, most_samples=1e12)
    assert most.n_steps * most.batch_size < 1.01 * MOST_SAMPLES_BETWEEN


def test_wide_rows_are_held_in_short_pieces(tmp_path: Path) -> None:
    rows = StoredRows(tmp_path / "rows")
    rows.append(Inputs({"numeric": np.zeros((300, 5000), np.float32)}, {}))
    stack = StoredStack(rows, np.zeros(300), InputShape({"numeric": 5000}, {}), device="cpu")
    blocks, _ = stack.batch(torch.arange(300)[None])
    assert blocks["numeric"].shape == (1, 300, 5000)
    assert stack._rows_of_a_piece == 200


@pytest.mark.parametrize("kept", ['{"batch_size": 256, "n_steps": 10000000000, "n_epochs": 20}', "[]", "{", '{"n_steps": 1}'])
def test_a_pace_that_nobody_wrote_is_not_believed(kept: str, tmp_path: Path) -> None:
    unit = replace(stored_unit(tmp_path, "binary"), checkpoints=Ending({"pace": kept.encode()}))
    fitted = training.fit_stored(TINY, unit, config=NetworkConfig(), recipe=Recipe(), task=BINARY)
    assert len(fitted.curve["stop_loss"]) <= N_LOOKS
