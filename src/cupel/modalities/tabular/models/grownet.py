"""Gradient boosting whose weak learners are shallow networks, each of which sees what the one before it has found."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.keeping import Keeping
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.boosting import (
    SEEDS_BETWEEN_STAGES,
    Blocks,
    BoostingConfig,
    Course,
    Schooling,
    Shallow,
    boosting_cost,
    named_arrays,
    one_thread_within,
    outputs_of,
    picked,
    put_back,
    softmax,
    tensors_of,
)
from cupel.modalities.tabular.preparation import FOR_NETWORKS, SEARCHED_FOR_NETWORKS

SMALLEST_CURVATURE = 0.02
LARGEST_AIM = 4.0  # where a probability is near 0, its logit has no end


@dataclass(frozen=True, kw_only=True)
class Config(BoostingConfig):
    """Each stage is fitted to gradients, of "second" order divided by curvatures, and added `shrinkage` times.

    After each stage all of them, and the factors on them, are trained together for `corrective_epochs`, at `corrective_factor`
    times the rate: at the full one what was learned is undone (docs/log.md).
    """

    order: Annotated[str, Choice("second", "first")] = "second"
    shrinkage: Annotated[float, Range(0.05, 1.0, log=True)] = 0.3
    corrective_epochs: Annotated[int, Range(0, 3)] = 1
    corrective_factor: Annotated[float, Range(0.03, 1.0, log=True)] = 0.3


class GrowNet(nn.Module):
    """A start plus stages times their factors; each stage sees the rows and the last hidden layer of the stage before.

    Source: Badirli et al. 2020, arXiv:2002.07971, section 3. Departures: each stage has a factor of its own, several
    classes are fitted at once by the diagonal of the curvature, and the loss on the stop rows says how many stages stay.
    """

    start: Tensor

    def __init__(self, start: Float[Tensor, " output"]) -> None:
        super().__init__()
        self.register_buffer("start", start)
        self.stages = nn.ModuleList()
        self.factors = nn.ParameterList()

    def add(self, stage: Shallow, *, factor: float) -> None:
        """One more stage."""
        self.stages.append(stage)
        self.factors.append(nn.Parameter(torch.tensor(factor)))

    def forward(self, blocks: Blocks) -> tuple[Float[Tensor, "1 row output"], Tensor | None]:
        """Logits or standardised values, and what the last stage hands on."""
        n_rows = next(iter(blocks.values())).shape[1]
        total, handed = self.start.expand(1, n_rows, -1), None
        for stage, factor in zip(self.stages, self.factors, strict=True):
            outputs, handed = stage(blocks, handed)
            total = total + factor * outputs
        return total, handed

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """The same from plain operators, (rows, output) in double."""
        total, handed = graph.constant(self.start.numpy().astype(np.float64)), None
        for stage, factor in zip(self.stages, self.factors, strict=True):
            assert isinstance(stage, Shallow), "stages are shallow networks"
            outputs, handed = stage.emit(graph, blocks, handed=handed)
            scaled = graph.op("Mul", outputs, graph.constant(float(factor.detach()), np.float32))
            total = graph.op("Add", total, graph.cast(scaled, np.float64))
        return total


@dataclass(frozen=True, kw_only=True, eq=False)
class Grown:
    """A trained network; where there are no classes, `centre` and `spread` restore values, within what training rows had."""

    network: GrowNet
    is_classification: bool
    centre: float = 0.0
    spread: float = 1.0
    low: float = 0.0
    high: float = 0.0

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, or values."""
        outputs = outputs_of(lambda blocks: self.network(blocks)[0], inputs)
        if self.is_classification:
            return softmax(outputs)
        return np.asarray(np.clip(outputs * self.spread + self.centre, self.low, self.high))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """The stages, then what `predict` does with their sum."""
        outputs = self.network.emit(graph, blocks)
        if self.is_classification:
            return graph.op("Softmax", outputs, axis=1)
        centre, spread, low, high = (
            graph.constant(value, np.float64) for value in (self.centre, self.spread, self.low, self.high)
        )
        return graph.op("Clip", graph.op("Add", graph.op("Mul", outputs, spread), centre), low, high)


def losses_of(outputs: Float[Tensor, "1 row output"], target: Shaped[Tensor, " row"]) -> Float[Tensor, " row"]:
    """Log loss for classes, squared error for values."""
    if target.is_floating_point():
        return (outputs[0, :, 0] - target).square()
    return functional.cross_entropy(outputs[0], target, reduction="none")


def aims_of(
    outputs: Float[Tensor, "1 row output"], target: Shaped[Tensor, " row"], *, order: str
) -> tuple[Float[Tensor, "1 row output"], Float[Tensor, "1 row output"]]:
    """What the next stage should add to these outputs, and how much each number counts.

    The negative gradient; of second order divided by the curvature, by which it then counts. Of several outputs that only
    matter by their differences each moves by (K - 1) / K.
    Source: arXiv:2002.07971, section 3; Friedman, Hastie, Tibshirani 2000, doi:10.1214/aos/1016218223, algorithm 6.
    """
    if target.is_floating_point():
        return target[None, :, None] - outputs, torch.ones_like(outputs)
    probabilities, n_classes = torch.softmax(outputs, dim=-1), outputs.shape[-1]
    residuals = functional.one_hot(target, n_classes)[None] - probabilities
    if order == "first":
        return residuals, torch.ones_like(outputs)
    curvature = (probabilities * (1 - probabilities)).clamp_min(SMALLEST_CURVATURE)
    return ((n_classes - 1) / n_classes * residuals / curvature).clamp(-LARGEST_AIM, LARGEST_AIM), curvature


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One boosted network per fold, as many at a time as there are threads."""
    with one_thread_within():
        return fit_each(units, lambda unit, until: _fit_unit(unit, config, task, until=until), threads=threads, deadline=deadline)


def _fit_unit(unit: UnitData, config: Config, task: Task, *, until: Deadline) -> FittedUnit:
    started = time.monotonic()
    whole = partial(Grown, is_classification=task.is_classification)
    if task.is_classification:
        counts = np.bincount(unit.train_target, minlength=task.n_outputs) + 1.0
        start = torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))
        targets = [torch.from_numpy(np.asarray(target, np.int64)) for target in (unit.train_target, unit.stop_target)]
    else:
        centre, spread = float(np.mean(unit.train_target)), float(np.std(unit.train_target)) or 1.0
        low, high = float(np.min(unit.train_target)), float(np.max(unit.train_target))
        whole = partial(whole, centre=centre, spread=spread, low=low, high=high)
        start = torch.zeros(1)
        scaled = [(target - centre) / spread for target in (unit.train_target, unit.stop_target)]
        targets = [torch.from_numpy(np.asarray(target, np.float32)) for target in scaled]
    growth = _Growth(unit, targets, GrowNet(start), config=config, until=until)
    growth.run()
    model = whole(network=growth.best)
    return FittedUnit(
        model,
        model.predict(unit.valid),
        curve=growth.course.curve,
        best_epoch=growth.course.best,
        seconds=time.monotonic() - started,
        cut_short=growth.course.cut_short,
        weights={name: tensor.numpy().copy() for name, tensor in growth.best.state_dict().items()},
    )


class _Growth:
    """Adds stages to a network until the stop rows gain no more; `best` is the network as it then was."""

    def __init__(self, unit: UnitData, targets: Sequence[Tensor], network: GrowNet, *, config: Config, until: Deadline) -> None:
        self._network, self._config, self._seed = network, config, unit.seed
        self._shape = InputShape.covering([unit.train, unit.stop, unit.valid])
        self._train, self._stop = tensors_of(unit.train), tensors_of(unit.stop)
        self._target, self._stop_target = targets
        generator = torch.Generator().manual_seed(unit.seed)
        self._school = Schooling(config=config, n_rows=unit.train.n_samples, generator=generator, until=until)
        self.course = Course(unit.fold, config.patience)
        self.best = network
        self._keeping = Keeping(unit.checkpoints)

    def run(self) -> None:
        n_done = self._resumed()
        if self.course.is_over:
            return
        for number in range(n_done, self._config.n_stages):
            if not (self._add_stage(number) and self._correct()):
                self.course.cut()
                return
            with torch.inference_mode():
                train_loss = float(losses_of(self._network(self._train)[0], self._target).mean())
                stop_loss = float(losses_of(self._network(self._stop)[0], self._stop_target).mean())
            if self.course.add(train_loss=train_loss, stop_loss=stop_loss):
                self.best = copy.deepcopy(self._network)
            is_last = self.course.is_over or number == self._config.n_stages - 1
            if self._keeping.is_due or (is_last and self._keeping.is_worth_its_end):
                self._keep()
            if is_last:
                return

    def _keep(self) -> None:
        arrays = named_arrays("network", self._network) | named_arrays("best", self.best)
        state = self._school.generator.get_state().numpy()
        self._keeping.save({**arrays, "generator": state}, {"curve": self.course.curve})

    def _resumed(self) -> int:
        """Take over what an earlier process has done, and say how many stages that is."""
        kept = self._keeping.load()
        if kept is None:
            return 0
        arrays, facts = kept
        course = Course(self.course.fold, self.course.patience)
        try:
            n_done = course.restored(facts["curve"])
            network, best = self._with_stages(n_done), self._with_stages(course.best + 1)
            put_back("network", network, arrays=arrays)
            put_back("best", best, arrays=arrays)
            self._school.generator.set_state(torch.from_numpy(arrays["generator"].copy()))
        except (KeyError, ValueError, TypeError, RuntimeError):
            self._school.generator.manual_seed(self._seed)
            return 0
        self._network, self.best, self.course = network, best, course
        return n_done

    def _with_stages(self, n_stages: int) -> GrowNet:
        """A network of so many stages that have not learned."""
        network = GrowNet(self._network.start)
        for number in range(n_stages):
            network.add(self._stage(number, n_outputs=len(self._network.start)), factor=self._config.shrinkage)
        return network

    def _stage(self, number: int, *, n_outputs: int) -> Shallow:
        n_handed, seed = 0 if number == 0 else self._config.width, self._seed + SEEDS_BETWEEN_STAGES * number
        return Shallow(self._shape, self._config, n_handed=n_handed, n_outputs=n_outputs, seed=seed)

    def _add_stage(self, number: int) -> bool:
        """Fit a stage to what the others leave, which stay as they are; says whether there was time."""
        config = self._config
        with torch.no_grad():
            outputs, handed = self._network(self._train)
            aims, counts = aims_of(outputs, self._target, order=config.order)
        stage = self._stage(number, n_outputs=outputs.shape[-1])

        def loss(rows: Tensor) -> Tensor:
            own, _ = stage(picked(self._train, rows), None if handed is None else handed[:, rows])
            off: Tensor = counts[:, rows] * (own - aims[:, rows]).square()
            return off.sum(dim=-1).mean()

        is_done = self._school.epochs(stage.parameters(), loss, n_epochs=config.stage_epochs)
        self._network.add(stage, factor=config.shrinkage)
        return is_done

    def _correct(self) -> bool:
        """Train all stages together on the loss itself; says whether there was time."""

        def loss(rows: Tensor) -> Tensor:
            return losses_of(self._network(picked(self._train, rows))[0], self._target[rows]).mean()

        n_epochs = self._config.corrective_epochs
        parameters = self._network.parameters()
        return self._school.epochs(parameters, loss, n_epochs=n_epochs, rate_factor=self._config.corrective_factor)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """Every stage once, and again in the correction after each later one; early stopping ends most after half of them."""
    del recipe
    n_stages = max(1.0, config.n_stages / 2)
    corrections = config.corrective_epochs / config.stage_epochs * n_stages / 2
    return boosting_cost(n_train, shape, config=config, task=task, passes=n_stages * (1 + corrections))


PRESETS = (
    Preset(config=Config(), preparation=FOR_NETWORKS),
    Preset(config=Config(corrective_epochs=0, stage_epochs=6, shrinkage=0.2, n_stages=60, patience=10), preparation=FOR_NETWORKS),
)
"""With corrections as in the paper, and plain boosting with smaller steps."""


def portfolio(task: Task) -> Sequence[Preset]:
    """Two presets."""
    del task
    return PRESETS


def space(task: Task) -> Space:
    """Everything, numbers of stages and patience as in the presets; gradients of values have one order only."""
    config: dict[str, Choice | None] = {"n_stages": Choice(30, 60), "patience": Choice(6, 10)}
    if not task.is_classification:
        config["order"] = None
    return Space.around(PRESETS[0], config=config, preparation=SEARCHED_FOR_NETWORKS)


spec = Family(
    name="GrowNet",
    source="Badirli, Liu, Xing, Bhowmik, Doan, Keerthi 2020, Gradient boosting neural networks: GrowNet, arXiv:2002.07971.",
    tasks=frozenset({TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION}),
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    on_request=True,
    only_stops_by_them=True,
    fit=fit,
)
