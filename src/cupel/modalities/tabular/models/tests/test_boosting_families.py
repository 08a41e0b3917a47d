"""Boosted shallow networks: what each stage is fitted to, how many stay, and that they leave as ONNX."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from cupel.core import keeping
from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.models import grownet, samme

TASKS = {
    "binary": Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("n", "y")),
    "multiclass": Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=("a", "b", "c")),
    "regression": Task(kind=TaskKind.REGRESSION, target="y", metric="rmse"),
}
CASES = [(grownet.spec, kind) for kind in TASKS] + [(samme.spec, kind) for kind in ("binary", "multiclass")]
BOOSTED = pytest.mark.parametrize(("spec", "kind"), CASES, ids=lambda case: getattr(case, "name", case))


class CountingDeadline(Deadline):
    """Passed once it has been asked so often."""

    def __init__(self, n_looks: int) -> None:
        super().__init__()
        self._n_looks = n_looks

    @property
    def passed(self) -> bool:
        self._n_looks -= 1
        return self._n_looks < 0


def unit_of(kind: str, *, n_train: int = 384, seed: int = 5) -> UnitData:
    """A target of products and a category of many levels: no single layer can follow it."""
    generator = np.random.default_rng(1)
    n_rows = n_train + 128 + 100
    x = generator.normal(size=(n_rows, 3)).astype(np.float32)
    codes = generator.integers(0, 7, (n_rows, 1))
    value = x[:, 0] * x[:, 1] + 0.5 * (codes[:, 0] % 2) + 0.1 * generator.normal(size=n_rows)
    n_classes = 2 if kind == "binary" else 3
    edges = np.quantile(value, np.linspace(0, 1, n_classes + 1)[1:-1])
    target = 1e3 + 10 * value if kind == "regression" else np.searchsorted(edges, value).astype(np.int64)
    parts = np.split(np.arange(n_rows), [n_train, n_train + 128])
    binary = (x[:, 2:] > 0).astype(np.float32)
    train, stop, valid = (
        Inputs({"numeric": x[rows], "binary": binary[rows], "codes": codes[rows]}, {"codes": (7,)}) for rows in parts
    )
    stop_target, train_target = target[parts[1]], target[parts[0]]
    return UnitData(fold=0, seed=seed, train=train, train_target=train_target, stop=stop, stop_target=stop_target, valid=valid)


def fitted(spec: Family, kind: str, unit: UnitData, *, deadline: Deadline | None = None, **config: Any) -> FittedUnit:
    assert spec.fit is not None
    settings = spec.config(**{"learning_rate": 0.02, **config})
    return spec.fit([unit], config=settings, task=TASKS[kind], threads=1, deadline=deadline)[0]


def loss_of(predictions: np.ndarray, target: np.ndarray) -> float:
    if target.dtype.kind == "f":
        return float(np.mean((predictions[:, 0] - target) ** 2))
    return float(-np.log(predictions[np.arange(len(target)), target]).mean())


def by_graph(model: Any, inputs: Inputs, n_outputs: int) -> np.ndarray:
    graph = Graph()
    blocks = {name: graph.input(name, block.dtype, width=block.shape[1]) for name, block in inputs.blocks.items()}
    graph.output("prediction", graph.cast(model.emit(graph, blocks), np.float64), np.float64, width=n_outputs)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs.blocks))[0]


@BOOSTED
def test_boosting_learns_more_than_one_stage_can_and_leaves_as_onnx(spec: Family, kind: str) -> None:
    unit = unit_of(kind)
    single = fitted(spec, kind, unit, n_stages=4, width=8, patience=12, stage_epochs=4)
    several = fitted(spec, kind, unit, width=8, stage_epochs=4, n_stages=8 if spec is grownet.spec else 30)
    assert min(several.curve["stop_loss"]) < single.curve["stop_loss"][0]
    if kind == "regression":
        assert loss_of(several.model.predict(unit.stop), unit.stop_target) < 0.3 * np.var(unit.stop_target)
    else:
        accuracy = (several.model.predict(unit.stop).argmax(axis=1) == unit.stop_target).mean()
        assert accuracy > {"binary": 0.75, "multiclass": 0.6}[kind]
    spread = 10.0 if kind == "regression" else 1.0
    one = Inputs({name: block[:1] for name, block in unit.valid.blocks.items()}, unit.valid.cardinalities)
    for inputs in (unit.valid, one):
        difference = by_graph(several.model, inputs, TASKS[kind].n_outputs) - several.model.predict(inputs)
        assert np.abs(difference).max() < 1e-5 * spread


@BOOSTED
def test_the_stages_that_stay_are_those_that_the_stop_rows_liked_best(spec: Family, kind: str) -> None:
    unit = unit_of(kind)
    result = fitted(spec, kind, unit, stage_epochs=6, patience=2)
    losses = result.curve["stop_loss"]
    assert result.best_epoch == int(np.argmin(losses))
    assert len(losses) <= result.best_epoch + 3
    n_stages = len(result.model.network.stages if spec is grownet.spec else result.model.networks)
    assert n_stages == result.best_epoch + 1
    scale = np.var(unit.train_target) if kind == "regression" else 1.0
    assert loss_of(result.model.predict(unit.stop), unit.stop_target) / scale == pytest.approx(min(losses), rel=1e-3)


@BOOSTED
def test_the_unit_seed_alone_decides(spec: Family, kind: str) -> None:
    unit, config = unit_of(kind), {"n_stages": 4, "width": 8}
    first, second, other = (fitted(spec, kind, each, **config).predictions for each in (unit, unit, unit_of(kind, seed=6)))
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("spec", [grownet.spec, samme.spec], ids=lambda spec: spec.name)
def test_time_that_is_up_leaves_the_whole_stages(spec: Family) -> None:
    unit = unit_of("binary")
    looks = 3 * 3 + 3  # 384 rows are three batches; the first stage has three epochs, and GrowNet's one of correction
    cut = fitted(spec, "binary", unit, deadline=CountingDeadline(looks + 5))
    assert cut.cut_short
    assert len(cut.curve["stop_loss"]) == 1
    whole = fitted(spec, "binary", unit, n_stages=4, patience=12)
    assert np.isfinite(cut.predictions).all()
    assert cut.curve["stop_loss"][0] == whole.curve["stop_loss"][0]
    with pytest.raises(TrainingError, match="fold 1: time was up before the first stage"):
        fitted(spec, "binary", unit, deadline=CountingDeadline(4))


@pytest.mark.parametrize("spec", [grownet.spec, samme.spec], ids=lambda spec: spec.name)
def test_a_class_that_the_fold_lacks_is_next_to_impossible(spec: Family) -> None:
    predicted = fitted(spec, "multiclass", unit_of("binary"), n_stages=8).predictions
    assert predicted.shape[1] == 3
    assert predicted[:, 2].max() < 0.05


def test_no_correction_leaves_earlier_stages_as_they_were() -> None:
    unit = unit_of("regression")
    short, long = (
        fitted(grownet.spec, "regression", unit, corrective_epochs=0, n_stages=n, patience=12, learning_rate=5e-3).weights
        for n in (4, 6)
    )
    assert len(long) > len(short)
    assert all(np.array_equal(long[name], array) for name, array in short.items())
    assert {long[name].item() for name in long if name.startswith("factors")} == {np.float32(0.3)}


def test_a_stage_sees_what_the_one_before_it_found() -> None:
    weights = fitted(grownet.spec, "regression", unit_of("regression"), n_stages=4, width=8, patience=12).weights
    n_front = 3 + 1 + 4  # numbers, a binary column, a category's vector
    assert weights["stages.0.hidden.layers.0.weight"].shape == (1, n_front, 8)
    assert weights["stages.1.hidden.layers.0.weight"].shape == (1, n_front + 8, 8)


def test_second_order_aims_of_two_classes_are_the_newton_step_of_their_margin() -> None:
    outputs = torch.tensor([[[0.3, -0.5], [0.0, 1.0]]])
    target = torch.tensor([1, 0])
    aims, counts = grownet.aims_of(outputs, target, order="second")
    p = torch.softmax(outputs, dim=-1)[0, :, 1]
    newton = (target - p) / (p * (1 - p))  # of the logistic loss by the margin
    assert torch.allclose(aims[0, :, 1] - aims[0, :, 0], newton, atol=1e-5)
    assert torch.allclose(counts[0, :, 0], p * (1 - p), atol=1e-6)
    aims, counts = grownet.aims_of(outputs, target, order="first")
    assert torch.allclose(aims[0, :, 1], target - p, atol=1e-6)
    assert torch.equal(counts, torch.ones_like(outputs))


def test_aims_of_values_are_residuals_and_aims_stay_bounded_where_a_class_is_certain() -> None:
    aims, _ = grownet.aims_of(torch.tensor([[[1.0], [2.0]]]), torch.tensor([4.0, 0.0]), order="second")
    assert aims.flatten().tolist() == [3.0, -2.0]
    aims, counts = grownet.aims_of(torch.tensor([[[40.0, -40.0]]]), torch.tensor([1]), order="second")
    assert aims.abs().max() <= grownet.LARGEST_AIM
    assert counts.min() > 0


def test_a_guess_has_no_odds_whatever_the_number_of_classes() -> None:
    for n_classes in (2, 3, 26):
        assert samme.odds_of(1 - 1 / n_classes, n_classes=n_classes) == pytest.approx(0)
        assert samme.odds_of(0.1, n_classes=n_classes) > samme.odds_of(0.3, n_classes=n_classes) > 0


def test_votes_sum_to_one_and_networks_differ() -> None:
    unit = unit_of("multiclass")
    model = fitted(samme.spec, "multiclass", unit, n_stages=4, patience=12).model
    assert len(model.networks) > 1
    assert model.votes.sum() == pytest.approx(1)
    first, second = (samme.Voters((network,), np.ones(1), 1.0).predict(unit.valid) for network in model.networks[:2])
    assert np.abs(first - second).max() > 0.01


def test_networks_that_know_nothing_end_boosting_with_the_first() -> None:
    unit = unit_of("binary", n_train=64)
    blank = {name: np.zeros_like(block) for name, block in unit.train.blocks.items()}
    target = np.arange(64) % 2
    unit = UnitData(
        fold=0,
        seed=0,
        train=Inputs(blank, unit.train.cardinalities),
        train_target=target,
        stop=Inputs(blank, unit.train.cardinalities),
        stop_target=target,
        valid=unit.valid,
    )
    result = fitted(samme.spec, "binary", unit, patience=12)
    assert len(result.model.networks) == 1
    assert result.curve["stop_loss"][0] == pytest.approx(np.log(2), abs=0.02)


def test_sharpness_is_the_one_that_fits() -> None:
    voted = np.array([[0.6, 0.4], [0.4, 0.6], [0.7, 0.3], [0.3, 0.7]])
    sure, _ = samme.sharpened(voted, np.array([0, 1, 0, 1]))
    unsure, loss = samme.sharpened(voted, np.array([0, 1, 0, 0]))
    assert sure > unsure
    assert loss < 0.7


class Kept:
    """Checkpoints in memory; after so many the process is stopped."""

    def __init__(self, n_until_stop: int) -> None:
        self.contents: dict[str, bytes] = {}
        self.n_left = n_until_stop

    def save(self, name: str, content: bytes) -> None:
        if self.n_left == 0:
            raise InterruptedError
        self.n_left -= 1
        self.contents[name] = content

    def load(self, name: str) -> bytes | None:
        return self.contents.get(name)


@BOOSTED
@pytest.mark.parametrize("n_until_stop", [1, 4])
def test_boosting_goes_on_where_it_was_ended_to_the_same_networks(spec, kind, n_until_stop, monkeypatch):
    for name in ("SHORTEST_SECONDS", "LONGEST_SECONDS", "SECONDS_WORTH_KEEPING"):
        monkeypatch.setattr(keeping, name, 0.0)
    unit, config = unit_of(kind), {"n_stages": 6, "patience": 6, "width": 8}
    whole = fitted(spec, kind, unit, **config)
    kept = Kept(n_until_stop)
    with contextlib.suppress(InterruptedError):
        fitted(spec, kind, dataclasses.replace(unit, checkpoints=kept), **config)
    kept.n_left = 6 - n_until_stop  # one a stage that was not done yet
    again = fitted(spec, kind, dataclasses.replace(unit, checkpoints=kept), **config)
    assert kept.n_left == 0
    assert again.curve == whole.curve
    assert again.best_epoch == whole.best_epoch
    assert np.array_equal(again.predictions, whole.predictions)
    assert all(np.array_equal(again.weights[name], whole.weights[name]) for name in whole.weights)


@BOOSTED
def test_a_checkpoint_of_other_networks_is_as_good_as_none(spec, kind, monkeypatch):
    for name in ("SHORTEST_SECONDS", "LONGEST_SECONDS", "SECONDS_WORTH_KEEPING"):
        monkeypatch.setattr(keeping, name, 0.0)
    unit, kept = unit_of(kind), Kept(100)
    fitted(spec, kind, dataclasses.replace(unit, checkpoints=kept), n_stages=4, width=8)
    whole = fitted(spec, kind, unit, n_stages=4, width=16)
    again = fitted(spec, kind, dataclasses.replace(unit, checkpoints=kept), n_stages=4, width=16)
    assert np.array_equal(again.predictions, whole.predictions)
