"""AdaBoost for several classes over shallow networks: each pays more attention to the rows that those before it got wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.keeping import Keeping
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Range
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.boosting import (
    SEEDS_BETWEEN_STAGES,
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

SHARPNESSES = np.geomspace(0.25, 64.0, 65)
SMALLEST_PROBABILITY = 1e-12
SMALLEST_ODDS = 1e-6  # a guess may come out of a sum as a little more


@dataclass(frozen=True, kw_only=True)
class Config(BoostingConfig):
    """`shrinkage` is on the logarithm of each network's odds: how fast attention moves, and how much its vote counts."""

    shrinkage: Annotated[float, Range(0.1, 1.0, log=True)] = 0.5


@dataclass(frozen=True, eq=False)
class Voters:
    """Networks that vote with their probabilities; `votes` sum to 1. `sharpness` turns the sum of votes into logits.

    Source: Zhu, Zou, Rosset, Hastie 2009, Multi-class AdaBoost, doi:10.4310/SII.2009.v2.n3.a8, algorithm 2 (SAMME).
    Departures: votes are probabilities, not one class: where two classes tie, a vote for one of them would jump with the last bit
    of a number, and a packed model could not be held to what the trained one says. The sharpness, in the paper a consequence of
    the number of networks, is what fits the stop rows best.
    """

    networks: tuple[Shallow, ...]
    votes: NDArray[np.float64]
    sharpness: float

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities."""
        voted = sum(vote * _probabilities(network, inputs) for network, vote in zip(self.networks, self.votes, strict=True))
        return softmax(np.asarray(self.sharpness * voted))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Each network's probabilities times its vote, summed, in double."""
        voted = []
        for network, vote in zip(self.networks, self.votes.tolist(), strict=True):
            logits = graph.cast(network.emit(graph, blocks)[0], np.float64)
            share = graph.constant(vote * self.sharpness, np.float64)
            voted.append(graph.op("Mul", graph.op("Softmax", logits, axis=1), share))
        return graph.op("Softmax", graph.op("Sum", *voted), axis=1)


def _probabilities(network: Shallow, inputs: Inputs) -> NDArray[np.float64]:
    return softmax(outputs_of(lambda blocks: network(blocks)[0], inputs))


def odds_of(error: float, *, n_classes: int) -> float:
    """The logarithm of a network's odds to be right, over those of a guess: 0 for a guess (algorithm 2)."""
    return float(np.log((1 - error) / error) + np.log(n_classes - 1))


def sharpened(voted: NDArray[np.float64], target: NDArray[np.int64]) -> tuple[float, float]:
    """The sharpness of least log loss on these rows, and the loss."""
    losses = [_log_loss(softmax(sharpness * voted), target) for sharpness in SHARPNESSES]
    best = int(np.argmin(losses))
    return float(SHARPNESSES[best]), losses[best]


def _log_loss(probabilities: NDArray[np.float64], target: NDArray[np.int64]) -> float:
    said = probabilities[np.arange(len(target)), target]
    return float(-np.log(np.maximum(said, SMALLEST_PROBABILITY)).mean())


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One ensemble per fold, as many at a time as there are threads."""
    with one_thread_within():
        return fit_each(units, lambda unit, until: _fit_unit(unit, config, task, until=until), threads=threads, deadline=deadline)


def _fit_unit(unit: UnitData, config: Config, task: Task, *, until: Deadline) -> FittedUnit:
    started = time.monotonic()
    boosting = _Boosting(unit, config, task, until=until)
    boosting.run()
    course, model = boosting.course, boosting.best
    return FittedUnit(
        model,
        model.predict(unit.valid),
        curve=course.curve,
        best_epoch=course.best,
        seconds=time.monotonic() - started,
        cut_short=course.cut_short,
        weights={
            f"{number}.{name}": tensor.numpy().copy()
            for number, network in enumerate(model.networks)
            for name, tensor in network.state_dict().items()
        },
    )


class _Boosting:
    """Adds networks until the stop rows gain no more, or one is no better than a guess; `best` are those that stay."""

    def __init__(self, unit: UnitData, config: Config, task: Task, *, until: Deadline) -> None:
        self._unit, self._config, self._n_classes = unit, config, task.n_outputs
        self._shape = InputShape.covering([unit.train, unit.stop, unit.valid])
        self._blocks = tensors_of(unit.train)
        self._target = torch.from_numpy(np.asarray(unit.train_target, np.int64))
        n_rows = unit.train.n_samples
        generator = torch.Generator().manual_seed(unit.seed)
        self._school = Schooling(config=config, n_rows=n_rows, generator=generator, until=until)
        self._attention = np.full(n_rows, 1 / n_rows)
        self._networks: list[Shallow] = []
        self._odds: list[float] = []
        self._voted = {name: np.zeros((part.n_samples, self._n_classes)) for name, part in self._parts()}
        self.course = Course(unit.fold, config.patience)
        self.best = Voters((), np.zeros(0), 1.0)
        self._keeping = Keeping(unit.checkpoints)

    def run(self) -> None:
        n_done, voted = self._resumed(), self._voted
        if self.course.is_over:
            return
        for number in range(n_done, self._config.n_stages):
            network = self._trained(number)
            if network is None:
                self.course.cut()
                return
            said = {name: _probabilities(network, part) for name, part in self._parts()}
            if not self._attend(said["train"].argmax(axis=1) != self._unit.train_target):
                return
            self._networks.append(network)
            for name, probabilities in said.items():
                voted[name] += self._odds[-1] * probabilities
            votes = np.array(self._odds) / sum(self._odds)
            sharpness, stop_loss = sharpened(voted["stop"] / sum(self._odds), self._unit.stop_target)
            train_loss = _log_loss(softmax(sharpness / sum(self._odds) * voted["train"]), self._unit.train_target)
            if self.course.add(train_loss=train_loss, stop_loss=stop_loss):
                self.best = Voters(tuple(self._networks), votes, sharpness)
            is_last = self.course.is_over or number == self._config.n_stages - 1
            if self._keeping.is_due or (is_last and self._keeping.is_worth_its_end):
                self._keep()
            if is_last:
                return

    def _keep(self) -> None:
        arrays: dict[str, Any] = {f"voted.{name}": votes for name, votes in self._voted.items()}
        for number, network in enumerate(self._networks):
            arrays |= named_arrays(str(number), network)
        arrays |= {"attention": self._attention, "generator": self._school.generator.get_state().numpy()}
        self._keeping.save(arrays, {"curve": self.course.curve, "odds": self._odds, "sharpness": self.best.sharpness})

    def _resumed(self) -> int:
        """Take over what an earlier process has done, and say how many networks that is."""
        kept = self._keeping.load()
        if kept is None:
            return 0
        arrays, facts = kept
        course = Course(self.course.fold, self.course.patience)
        try:
            n_done = course.restored(facts["curve"])
            odds, sharpness = [float(each) for each in facts["odds"]], float(facts["sharpness"])
            networks = [self._network(number) for number in range(n_done)]
            for number, network in enumerate(networks):
                put_back(str(number), network, arrays=arrays)
            voted = {name: arrays[f"voted.{name}"] for name, _ in self._parts()}
            attention = arrays["attention"]
            pairs = [(attention, self._attention), *((voted[name], own) for name, own in self._voted.items())]
            if any(read.shape != own.shape for read, own in pairs) or len(odds) != n_done:
                return 0
            self._school.generator.set_state(torch.from_numpy(arrays["generator"].copy()))
        except (KeyError, ValueError, TypeError, RuntimeError):
            self._school.generator.manual_seed(self._unit.seed)
            return 0
        self._networks, self._odds, self._attention, self._voted, self.course = networks, odds, attention, voted, course
        n_best = course.best + 1
        self.best = Voters(tuple(networks[:n_best]), np.array(odds[:n_best]) / sum(odds[:n_best]), sharpness)
        return n_done

    def _network(self, number: int) -> Shallow:
        """The network of a stage, that has not learned."""
        seed = self._unit.seed + SEEDS_BETWEEN_STAGES * number
        return Shallow(self._shape, self._config, n_handed=0, n_outputs=self._n_classes, seed=seed)

    def _parts(self) -> tuple[tuple[str, Inputs], tuple[str, Inputs]]:
        return ("train", self._unit.train), ("stop", self._unit.stop)

    def _trained(self, number: int) -> Shallow | None:
        """A network trained with the attention that there is now; None where there was no time."""
        network = self._network(number)
        weights = torch.from_numpy((self._attention * len(self._attention)).astype(np.float32))

        def loss(rows: Tensor) -> Tensor:
            outputs, _ = network(picked(self._blocks, rows))
            return (weights[rows] * functional.cross_entropy(outputs[0], self._target[rows], reduction="none")).mean()

        is_done = self._school.epochs(network.parameters(), loss, n_epochs=self._config.stage_epochs)
        return network if is_done else None

    def _attend(self, is_wrong: NDArray[np.bool_]) -> bool:
        """Weigh the network's vote, and move attention to what it got wrong; says whether it is better than a guess.

        An error of zero would make one network all that counts: half a row is always taken to be wrong. The first network
        stays whatever it is; if it is a guess, attention stays too, and the next will be one.
        """
        smallest = 0.5 / len(is_wrong)
        error = float(np.clip(self._attention[is_wrong].sum(), smallest, 1 - smallest))
        odds = self._config.shrinkage * odds_of(error, n_classes=self._n_classes)
        if odds < SMALLEST_ODDS:
            if self._networks:
                return False
            self._odds.append(1.0)
            return True
        self._odds.append(odds)
        self._attention = self._attention * np.exp(odds * is_wrong)
        self._attention /= self._attention.sum()
        return True


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """Every network once; early stopping ends most after half of them."""
    del recipe
    return boosting_cost(n_train, shape, config=config, task=task, passes=max(1.0, config.n_stages / 2))


PRESETS = (
    Preset(config=Config(stage_epochs=6), preparation=FOR_NETWORKS),
    Preset(config=Config(stage_epochs=12, width=64), preparation=FOR_NETWORKS),
)
"""Networks that know something alone, and stronger ones for many classes; many weaker ones were worse (docs/log.md)."""


def portfolio(task: Task) -> Sequence[Preset]:
    """Two presets."""
    del task
    return PRESETS


def space(task: Task) -> Space:
    """Everything but the number of networks and the patience."""
    del task
    return Space.around(PRESETS[0], config={"n_stages": None, "patience": None}, preparation=SEARCHED_FOR_NETWORKS)


spec = Family(
    name="SAMME",
    source="Zhu, Zou, Rosset, Hastie 2009, Multi-class AdaBoost, doi:10.4310/SII.2009.v2.n3.a8.",
    tasks=frozenset({TaskKind.BINARY, TaskKind.MULTICLASS}),
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    on_request=True,
    only_stops_by_them=True,
    fit=fit,
)
