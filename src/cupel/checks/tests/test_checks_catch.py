"""The checks see what is broken: each planted fault fails the check that is about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import pytest

from cupel.checks import bench_for, example_dataset, example_for, families
from cupel.checks.modalities import (
    ModalityBench,
    declares_what_its_graphs_read,
    learns_from_training_rows_alone,
    looks_at_every_row,
    prepares_each_row_by_itself,
)
from cupel.core import registry
from cupel.core.errors import CheckFailedError
from cupel.core.family import Cost, Family, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.modality import GraphInput, Inspection
from cupel.core.presets import Preset, Space
from cupel.core.space import Range
from cupel.core.task import Task, TaskKind

KIND = TaskKind.REGRESSION


@dataclass(frozen=True, kw_only=True)
class Config:
    """A mean of targets, moved by the first number."""

    slope: Annotated[float, Range(0.0, 2.0)] = 1.0


@dataclass(frozen=True, eq=False)
class Mean:
    """A model that is right in every respect, unless told otherwise."""

    mean: float
    slope: float
    fault: str = ""

    def predict(self, inputs: Inputs) -> np.ndarray:
        first = inputs.matrix()[:, :1].astype(np.float64)
        if self.fault == "mixes rows":
            first = first - first.mean()
        if self.fault == "not finite":
            first = np.where(first > 1, np.nan, first)
        values = self.mean + self.slope * first
        return values[0] if self.fault == "wrong shape" else values

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        floats = [graph.cast(block, np.float32) for block in blocks.values()]
        first = graph.columns(graph.concat(floats), [0])
        mean = self.mean + (5.0 if self.fault == "emits otherwise" else 0.0)
        return graph.op("Add", graph.op("Mul", first, graph.constant(self.slope, np.float32)), graph.constant(mean, np.float32))


def fit_with(fault: str):
    def fit(units: Sequence[UnitData], *, config: Config, task: Task, threads: Any = None, deadline: Any = None, **rest: Any):
        if fault == "never ends" and deadline.passed:
            time.sleep(0.02)
        fitted = []
        for unit in units:
            noise = np.random.default_rng().normal() if fault == "draws from nowhere" else 0.0
            model = Mean(float(unit.train_target.mean()) + noise, config.slope, fault)
            fitted.append(FittedUnit(model, model.predict(unit.valid)))
        return fitted

    return fit


def family_with(fault: str) -> Family:
    preparation = registry.modality_named("tabular").families()[0].portfolio(example_dataset(KIND).task)[0].preparation
    configs = {"leaves its range": Config(slope=9.0)}
    preset = Preset(config=configs.get(fault, Config()), preparation=preparation)
    seconds = {"costs nothing": 0.0}.get(fault, 1.0)
    only = {"slope": Range(0.5, 0.5)} if fault == "searches one place" else {}

    return Family(
        name="mean",
        source="" if fault == "no source" else "Gauss 1809, Theoria motus, section 177",
        tasks=frozenset({KIND}),
        config=Config,
        portfolio=lambda task: [preset, preset] if fault == "repeats a preset" else [preset],
        space=lambda task: Space.around(preset, config=only),
        cost=lambda n_train, shape, config, recipe, task: Cost(seconds=seconds, memory_bytes=1.0),
        fit=fit_with(fault),
        remembers=fault == "remembers nothing",
    )


SOUND = [check for check in families.FAMILY_CHECKS if check is not families.builds_at_every_end_of_its_space]


@pytest.mark.parametrize("check", families.FAMILY_CHECKS, ids=lambda check: check.__name__)
def test_a_sound_family_passes_every_check(check: Any) -> None:
    check(bench_for(family_with(""), KIND))


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("no source", families.declares_itself),
        ("repeats a preset", families.offers_presets),
        ("searches one place", families.searches_within_its_space),
        ("costs nothing", families.estimates_its_cost),
        ("wrong shape", families.gives_one_prediction_per_row),
        ("not finite", families.gives_one_prediction_per_row),
        ("mixes rows", families.predicts_each_row_by_itself),
        ("draws from nowhere", families.repeats_itself),
        ("emits otherwise", families.leaves_as_onnx),
        ("remembers nothing", families.says_whether_it_remembers),
    ],
)
def test_a_planted_fault_is_caught(fault: str, check: Any) -> None:
    with pytest.raises(CheckFailedError, match="family mean"):
        check(bench_for(family_with(fault), KIND))


def test_a_preset_out_of_its_range_is_caught() -> None:
    with pytest.raises(ValueError, match=r"slope is 9\.0"):
        families.offers_presets(bench_for(family_with("leaves its range"), KIND))


@dataclass(frozen=True)
class Leaky:
    """A preparation that scales by the mean of all rows, or of the rows asked for."""

    fault: str

    def fit(self, dataset: Any, rows: Any, *, seed: int) -> Any:
        from cupel.core.preparation import Prepared

        shift = np.nanmean(dataset.columns["huge"]) if self.fault == "leaks" else 0.0
        fitted = Shifted(float(shift), self.fault)
        return Prepared(fitted, fitted.transform(dataset, rows), rows)


@dataclass(frozen=True)
class Shifted:
    shift: float
    fault: str

    def transform(self, dataset: Any, rows: Any) -> Inputs:
        values = (dataset.columns["huge"][rows] - self.shift)[:, None] / 1e12
        if self.fault == "mixes rows" and len(rows):
            values = values - values.mean()
        return Inputs({"numeric": values.astype(np.float32)}, {})


@pytest.mark.parametrize(
    ("fault", "check"), [("leaks", learns_from_training_rows_alone), ("mixes rows", prepares_each_row_by_itself)]
)
def test_a_leaking_preparation_is_caught(fault: str, check: Any) -> None:
    preset = Preset(config=Config(), preparation=Leaky(fault))
    family = replace(family_with(""), portfolio=lambda task: [preset])
    modality = replace(registry.modality_named("tabular"), families=lambda: [family])
    with pytest.raises(CheckFailedError, match="modality tabular"):
        check(ModalityBench(modality, example_dataset(KIND)))
    check(ModalityBench(replace(modality, families=lambda: [replace(family, portfolio=lambda task: [])]), example_dataset(KIND)))


@pytest.mark.parametrize("fault", ["too few", "by chance", "now and then"])
def test_a_modality_that_looks_carelessly_is_caught(fault: str) -> None:
    generator = np.random.default_rng(0)

    def inspect(dataset: Any) -> Inspection:
        n_rows = 3 if fault == "too few" else dataset.n_samples
        twins = np.zeros(n_rows, np.int64) if fault == "too few" else generator.integers(0, 2**40, n_rows)
        return Inspection(twins=None if fault == "now and then" and twins[0] % 2 else twins)

    modality = replace(registry.modality_named("tabular"), inspect=inspect)
    with pytest.raises(CheckFailedError, match="twins"):
        looks_at_every_row(ModalityBench(modality, example_dataset(KIND)))
    whole = replace(modality, inspect=lambda dataset: Inspection(twins=np.arange(dataset.n_samples)))
    looks_at_every_row(ModalityBench(whole, example_dataset(KIND)))


def test_the_example_table_is_hard_in_the_ways_it_says() -> None:
    dataset = example_dataset(TaskKind.BINARY)
    last = np.arange(dataset.n_samples) >= dataset.n_samples * 3 // 4
    unseen = dataset.columns["colour"] == 3
    assert unseen.any()
    assert not unseen[~last].any()
    assert np.isnan(dataset.columns["amount"]).any()
    assert dataset.columns["huge"].max() > 1e12
    assert set(np.unique(dataset.target)) == {0, 1}


@dataclass(frozen=True)
class LeakyPixels:
    """Brings pictures to the largest size of all rows, or of the rows asked for; or counts in the brightness of all rows."""

    fault: str

    def fit(self, dataset: Any, rows: Any, *, seed: int) -> Any:
        from cupel.core.preparation import Prepared

        pictures = dataset.columns["picture"]
        seen = pictures if self.fault == "looks at all sizes" else pictures[rows]
        side = max(picture.shape[0] for picture in seen if picture is not None)
        fitted = Cut(side, int(pictures[-1].mean()) if self.fault == "looks at all pixels" else 0, self.fault)
        return Prepared(fitted, fitted.transform(dataset, rows), rows)


@dataclass(frozen=True)
class Cut:
    side: int
    shift: int
    fault: str

    def transform(self, dataset: Any, rows: Any) -> Inputs:
        block = np.zeros((len(rows), 3, self.side, 8), np.uint8)
        for place, picture in enumerate(dataset.columns["picture"][rows]):
            if picture is not None:
                part = picture[: self.side, :8]
                block[place, :, : part.shape[0]] = (part.transpose(2, 0, 1) + self.shift).astype(np.uint8)
        if self.fault == "mixes rows" and len(rows):
            block = (block - block.mean(axis=0)).astype(np.uint8)
        return Inputs({"pixels": block}, {})


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("looks at all sizes", learns_from_training_rows_alone),
        ("looks at all pixels", learns_from_training_rows_alone),
        ("mixes rows", prepares_each_row_by_itself),
    ],
)
def test_a_leaking_preparation_of_pictures_is_caught(fault: str, check: Any) -> None:
    named = registry.modality_named("image")

    def modality(fault: str) -> Any:
        family = replace(family_with(""), portfolio=lambda task: [Preset(config=Config(), preparation=LeakyPixels(fault))])
        return replace(named, families=lambda: [family])

    with pytest.raises(CheckFailedError, match="modality image"):
        check(ModalityBench(modality(fault), example_for(named, KIND)))
    check(ModalityBench(modality(""), example_for(named, KIND)))


@pytest.mark.parametrize(
    "declared",
    [
        GraphInput(name="picture", kind="numbers", columns=("picture",)),
        GraphInput(name="picture", kind="strings", columns=("picture",)),
        GraphInput(name="picture", kind="tensors", columns=("picture",)),
        GraphInput(name="amount", kind="pixels", columns=("amount",)),
    ],
    ids=str,
)
def test_graph_inputs_that_do_not_fit_their_columns_are_caught(declared: GraphInput) -> None:
    named = registry.modality_named("tabular" if declared.name == "amount" else "image")
    modality = replace(named, graph_inputs=lambda schema: (declared,))
    with pytest.raises(CheckFailedError, match=f"graph input '{declared.name}' of kind '{declared.kind}'"):
        declares_what_its_graphs_read(ModalityBench(modality, example_for(named, KIND)))


def test_rows_that_are_equal_need_not_be_told_apart_by_heart() -> None:
    blocks = {"a": np.array([[1], [1], [2], [1], [3]]), "b": np.array([[0.0], [0.0], [0.0], [5.0], [0.0]])}
    assert families._first_different(Inputs(blocks, {}), 3).tolist() == [0, 2, 3]
    assert families._first_different(Inputs(blocks, {}), 9).tolist() == [0, 2, 3, 4]
