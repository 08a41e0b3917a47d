"""Boosting that was ended anywhere goes on to the very trees that it would have grown."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cupel.core import keeping
from cupel.core.family import FittedUnit, UnitData
from cupel.core.inputs import Inputs
from cupel.core.keeping import Part
from cupel.core.task import Task, TaskKind
from cupel.learners import boosted_text, lightgbm, segments
from cupel.learners.boosted_text import booster_of, trees_of

TASKS = {
    "binary": Task(target="y", kind=TaskKind.BINARY, metric="roc_auc", classes=("n", "y")),
    "multiclass": Task(target="y", kind=TaskKind.MULTICLASS, metric="log_loss", classes=("a", "b", "c")),
    "regression": Task(target="y", kind=TaskKind.REGRESSION, metric="rmse"),
    "labels": Task(target="y", kind=TaskKind.MULTILABEL, metric="log_loss", classes=("a", "b")),
}
CONFIG = lightgbm.Config(max_rounds=23, num_leaves=7, learning_rate=0.13, feature_fraction=0.6)


class StoppedError(Exception):
    """What a kill is to a test."""


class Kept:
    """Checkpoints in memory; after so many the process is stopped."""

    def __init__(self, *, n_until_stop: int) -> None:
        self.contents: dict[str, bytes] = {}
        self.n_left = n_until_stop

    def save(self, name: str, content: bytes) -> None:
        if self.n_left == 0:
            raise StoppedError
        self.n_left -= 1
        self.contents[name] = content

    def load(self, name: str) -> bytes | None:
        return self.contents.get(name)


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FEWEST_ROUNDS", 5)
    monkeypatch.setattr(segments, "SECONDS_OF_A_SEGMENT", 0.0)
    for name in ("SHORTEST_SECONDS", "LONGEST_SECONDS", "SECONDS_WORTH_KEEPING"):
        monkeypatch.setattr(keeping, name, 0.0)


def unit_of(task: Task) -> UnitData:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 6)).astype(np.float32)
    x[generator.random(x.shape) < 0.1] = np.nan
    known = np.nan_to_num(x)
    value = known[:, 0] * known[:, 1] + known[:, 2] + 0.3 * generator.normal(size=400)
    match task.kind:
        case TaskKind.REGRESSION:
            target: Any = value
        case TaskKind.MULTILABEL:
            target = np.stack([value > 0, value + known[:, 3] > 0.5], axis=1).astype(np.float64)
        case _:
            target = np.digitize(value, [-0.5, 0.5][: len(task.classes) - 1]).astype(np.int64)
    parts = [Inputs({"numeric": x[rows]}, {}) for rows in (slice(0, 250), slice(250, 320), slice(320, 400))]
    return UnitData(0, 7, parts[0], target[:250], parts[1], target[250:320], parts[2])


def fitted(unit: UnitData, task: Task, config: lightgbm.Config = CONFIG, kept: Kept | None = None) -> FittedUnit:
    own = unit if kept is None else replace(unit, checkpoints=Part(kept, "fold-0"))
    return lightgbm.fit([own], config=config, task=task, threads=1)[0]


def trees(fit: FittedUnit) -> list[str]:
    models = getattr(fit.model, "models", (fit.model,))
    return [trees_of(model.booster) for model in models]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("changed", [{}, {"extra_trees": True}, {"bagging_fraction": 1.0}], ids=["plain", "random", "all rows"])
def test_boosting_goes_on_where_it_was_ended_to_the_same_trees(name, changed):
    task, config = TASKS[name], replace(CONFIG, **changed)
    unit = unit_of(task)
    whole = fitted(unit, task, config)
    for n_until_stop in (1, 3, 4, 5, 7):
        kept = Kept(n_until_stop=n_until_stop)
        with contextlib.suppress(StoppedError):
            fitted(unit, task, config, kept)
        kept.n_left = 100
        again = fitted(unit, task, config, kept)
        assert trees(again) == trees(whole)
        assert np.array_equal(again.predictions, whole.predictions)
        assert again.curve == whole.curve
        assert again.best_epoch == whole.best_epoch


def test_patience_counts_the_rounds_of_an_earlier_process():
    task = TASKS["binary"]
    unit, config = unit_of(task), replace(CONFIG, max_rounds=400, learning_rate=0.2, patience=12)
    whole = fitted(unit, task, config)
    n_rounds = len(whole.curve["stop_loss"])
    assert n_rounds < 400
    for n_until_stop in range(1, n_rounds // 5 + 1):
        kept = Kept(n_until_stop=n_until_stop)
        with contextlib.suppress(StoppedError):
            fitted(unit, task, config, kept)
        kept.n_left = 100
        assert fitted(unit, task, config, kept).curve == whole.curve


def test_what_ended_is_not_trained_again(monkeypatch):
    task, kept = TASKS["binary"], Kept(n_until_stop=100)
    whole = fitted(unit_of(task), task, kept=kept)
    monkeypatch.setattr(lightgbm, "_boosted", lambda *given, **named: pytest.fail("it was trained again"))
    assert np.array_equal(fitted(unit_of(task), task, kept=kept).predictions, whole.predictions)


def test_what_was_ended_in_the_second_training_does_not_grow_the_trees_of_the_first_again(monkeypatch):
    import lightgbm as library

    task, kept, n_grown, train = TASKS["regression"], Kept(n_until_stop=7), [], library.train
    whole = fitted(unit_of(task), task)
    with pytest.raises(StoppedError):
        fitted(unit_of(task), task, kept=kept)
    assert kept.contents.keys() == {"fold-0-state", "fold-0-both"}
    kept.n_left = 100
    monkeypatch.setattr(
        library, "train", lambda *given, **named: n_grown.append(named["num_boost_round"]) or train(*given, **named)
    )
    again = fitted(unit_of(task), task, kept=kept)
    assert n_grown == [CONFIG.max_rounds - 10]
    assert trees(again) == trees(whole)
    assert np.array_equal(again.stop_predictions, whole.stop_predictions)


def test_what_takes_no_longer_than_a_segment_is_learned_as_by_lightgbm_alone(monkeypatch):
    import lightgbm as library

    monkeypatch.setattr(segments, "FEWEST_ROUNDS", 20)
    monkeypatch.setattr(segments, "SECONDS_OF_A_SEGMENT", 5.0)
    task = TASKS["binary"]
    unit = unit_of(task)
    found = fitted(unit, task, replace(CONFIG, patience=100))
    parameters, grown = lightgbm._parameters(CONFIG, task, seed=unit.seed), []
    for rows in (unit, lightgbm._with_stop_rows(unit)):
        train = library.Dataset(rows.train.matrix(), rows.train_target.astype(np.float64))
        grown.append(library.train(parameters, train, num_boost_round=found.model.n_rounds))
    n_rounds = found.best_epoch + 1
    assert np.array_equal(found.stop_predictions[:, 1], grown[0].predict(unit.stop.matrix(), num_iteration=n_rounds))
    assert trees(found) == [trees_of(grown[1])]


def test_segments_draw_other_rows_and_columns():
    task = TASKS["binary"]
    parameters = lightgbm._parameters(CONFIG, task, seed=7)
    boosting = segments.Boosting(
        keeping.Keeping(None), task=task, width=6, seed=7, n_rounds_of_a_segment=5, patience=9
    )  # fmt: skip
    assert boosting.seeds(4, parameters) == {}
    first, second = boosting.seeds(5, parameters), boosting.seeds(14, parameters)
    assert first.keys() == second.keys() == {*segments.SEEDS, "bagging_fraction"}
    assert all(first[name] != second[name] for name in first)
    assert boosting.seeds(5, parameters) == first


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("split_feature=", "split_feature=999999 "),
        ("num_leaves=", "num_leaves=9"),
        ("num_cat=0", "num_cat=1"),
        ("is_linear=0", "is_linear=1"),
        ("left_child=", "left_child=0 "),
        ("right_child=", "right_child=77 "),
        ("decision_type=", "decision_type=3 "),
        ("threshold=", "threshold=x "),
        ("Tree=1", "Tree=7"),
        ("shrinkage=", "tree_sizes=1\nshrinkage="),
    ],
)
def test_trees_that_nobody_grew_are_refused(before, after):
    task = TASKS["binary"]
    text = trees(fitted(unit_of(task), task))[0]
    assert trees_of(booster_of(text, width=6, task=task)) == text
    changed = text.replace(before, after, 1)
    if after.endswith(" "):  # one more number, so that the lists are as long as before
        line = next(line for line in changed.splitlines() if line.startswith(after.strip()))
        changed = changed.replace(line, line.rsplit(" ", 1)[0], 1)
    assert changed != text
    with pytest.raises(ValueError, match=r".+"):
        booster_of(changed, width=6, task=task)


def test_a_damaged_checkpoint_is_as_good_as_none():
    task, kept = TASKS["multiclass"], Kept(n_until_stop=2)
    with contextlib.suppress(StoppedError):
        fitted(unit_of(task), task, kept=kept)
    (name,) = kept.contents
    whole = kept.contents[name]
    assert b"split_feature" in whole
    for content in (b"", b"nothing", whole.replace(b"split_feature", b"split_creature"), whole.replace(b"losses", b"lossez")):
        kept = Kept(n_until_stop=100)
        kept.contents[name] = content
        assert np.array_equal(fitted(unit_of(task), task, kept=kept).predictions, fitted(unit_of(task), task).predictions)


def test_trees_without_a_split_are_read_again():
    task = TASKS["binary"]
    unit = unit_of(task)
    train, stop = (Inputs({"numeric": np.zeros((n, 6), np.float32)}, {}) for n in (250, 70))
    flat = replace(unit, train=train, stop=stop)
    text = trees(fitted(flat, task))[0]
    assert trees_of(booster_of(text, width=6, task=task)) == text
    assert "num_leaves=1" in text
    assert boosted_text.ORDER[0] == "num_leaves"
