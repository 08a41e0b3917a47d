"""The promise that every family of models keeps, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel.core.checkpoints import Checkpoints
from cupel.core.inputs import Inputs, InputShape
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.task import Task, TaskKind

if TYPE_CHECKING:
    from cupel.core.graph import Graph  # the runtime reads this page's nouns, and writes no graphs
    from cupel.core.layers import Network

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class UnitData:
    """One fold as a family sees it: prepared inputs, and targets for all but the rows it will be judged on.

    Targets are int64 class indices, float64 values, or of several labels float64 (rows, labels): 1, 0, NaN unknown. `stop` is
    for early stopping, unless some are `among_train`, and they stop nothing. `share` is how much of the fold's training rows it
    has. `start` are the weights that another unit of the same candidate left behind, for a warm start; empty for one from
    scratch, and of no use to a family without any. A family that trains itself may keep in `checkpoints` what it has come to, to
    go on from there to the same result after a crash (`core/keeping.py`).
    """

    fold: int
    seed: int
    train: Inputs
    train_target: Array
    stop: Inputs
    stop_target: Array
    valid: Inputs
    share: float = 1.0
    among_train: bool = False
    start: Mapping[str, Array] = field(default_factory=dict)
    checkpoints: Checkpoints | None = None


LEAST_SHARE, LEAST_SHARE_IN_A_HURRY = 0.5, 0.25


class FittedModel(Protocol):
    """A trained model of one fold."""

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Predictions in the task's form: probabilities (rows, classes) or (rows, labels), or values (rows, 1)."""
        ...

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Write the same computation into the graph; returns a float tensor of the shape that `predict` gives."""
        ...


@dataclass(frozen=True, eq=False)
class FittedUnit:
    """A trained unit: the model, its learning curve and its validation predictions.

    `curve` maps "train_loss", "stop_loss", … to one value per epoch (or boosting round). `weights` are named arrays
    for a warm start, empty where a family has none. `cut_short` says that the deadline ended training early. `stop_predictions`
    are those of the stop rows by a model of the same kind that had not learned from them, where this one has; else None.
    """

    model: FittedModel
    predictions: NDArray[np.float64]
    curve: Mapping[str, Sequence[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    seconds: float = 0.0
    cut_short: bool = False
    weights: Mapping[str, Array] = field(default_factory=dict)
    stop_predictions: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one unit is expected to need."""

    seconds: float
    memory_bytes: float


FitStored = Callable[..., "FittedUnit"]
"""`fit_stored(unit, *, config, recipe, task, threads, deadline, progress) -> FittedUnit` of a `StoredUnit`, read in pieces."""

FitFunction = Callable[..., list[FittedUnit]]
"""`fit(units, *, config, task, threads, deadline) -> list[FittedUnit]`, for families that train themselves."""

BuildFunction = Callable[..., "Network"]
"""`build(shape, *, n_outputs, task, config, seeds) -> Network`: one network that holds a model per seed (fold), stacked."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of model.

    Exactly one of `fit` and `build` is given: a family that trains itself, or a network that the training loop
    trains, all folds as one. `source` cites the paper. `portfolio(task)` lists presets, best first. `space(task)` is what
    the search makes more of them from. `cost(n_train, shape, config, recipe, task)` estimates one unit. A family that is
    `on_request` is tried only where it is asked for by name. One that `hurries` is begun in its turn even where time is short
    for it: its steps grow, or its schedule follows the clock. `folds_apart` networks are so large that folds are trained one
    after another, each on all cores. One that `joins` builds networks of one member that answer row by row and need nothing
    but their blocks: built with more outputs, they are parts of a network that reads several modalities.
    `trunk` are the beginnings of the names of those weights of a network that make features, so that another run can start from
    them; empty where nothing can. Where time is too short to look for the best, `longer(preset)` are what one run with most of it
    may train, the largest first: larger forms of a preset, for more epochs. It is made of one of the first two presets, of which
    the second regularises more, and is taken unless it is clearly worse. `fit_stored` learns from rows that are not in memory at
    once, for families that train themselves; None where it cannot. One that `remembers` builds networks that look their training
    rows up to predict. To one that `only_stops_by_them` its stop rows say when training ends, and teach nothing; of networks that
    is known. `refuses(space, task)` says, as a sentence, why points of a space that a user has narrowed or extended cannot be had
    as they are; "" where all can.
    """

    name: str
    source: str
    tasks: frozenset[TaskKind]
    config: type
    portfolio: Callable[[Task], Sequence[Preset]]
    space: Callable[[Task], Space]
    cost: Callable[[int, InputShape, Any, Recipe | None, Task], Cost]
    is_deep: bool = False
    is_baseline: bool = False
    on_request: bool = False
    hurries: bool = False
    folds_apart: bool = False
    joins: bool = False
    remembers: bool = False
    only_stops_by_them: bool = False
    trunk: tuple[str, ...] = ()
    longer: Callable[[Preset], Sequence[Preset]] | None = None
    refuses: Callable[[Space, Task], str] | None = None
    fit_stored: FitStored | None = None
    fit: FitFunction | None = None
    build: BuildFunction | None = None

    @property
    def learns_in_pieces(self) -> bool:
        """Whether it can learn from rows that are not in memory at once."""
        return self.fit_stored is not None or (self.build is not None and not self.remembers)

    @property
    def spares_stop_rows(self) -> bool:
        """Whether its models are strangers to their stop rows, but for when their training ended, unless recipes learn all."""
        return self.build is not None or self.only_stops_by_them

    @property
    def least_share(self) -> float:
        """The share of the time it needs with which it is still worth its while."""
        return LEAST_SHARE_IN_A_HURRY if self.hurries or self.build is not None else LEAST_SHARE
