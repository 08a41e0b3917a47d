"""What boosting adds up: shallow networks, trained one after another on rows that count differently."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from cupel.core.budget import Deadline
from cupel.core.errors import PassingError, TrainingError
from cupel.core.family import Cost
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.layers import HiddenLayers, Linear, PooledDropout, generators_for
from cupel.core.recipe import Recipe
from cupel.core.space import Range
from cupel.core.task import Task
from cupel.modalities.tabular.front import Front, front_width

Blocks = Mapping[str, Tensor]
ROWS_AT_ONCE = 4096
SECONDS_PER_STEP = 6e-4
FLOPS_PER_SECOND = 2e10
SEEDS_BETWEEN_STAGES = 7919


@dataclass(frozen=True, kw_only=True)
class BoostingConfig:
    """Up to `n_stages` networks of `depth` hidden layers, each trained for `stage_epochs` by AdamW; `patience` counts stages."""

    n_stages: Annotated[int, Range(4, 60, log=True)] = 30
    width: Annotated[int, Range(8, 128, log=True)] = 32
    depth: Annotated[int, Range(1, 2)] = 1
    stage_epochs: Annotated[int, Range(1, 12, log=True)] = 3
    learning_rate: Annotated[float, Range(1e-3, 3e-2, log=True)] = 1e-2
    weight_decay: Annotated[float, Range(1e-6, 1e-1, log=True)] = 1e-3
    category_width: Annotated[int, Range(2, 16, log=True)] = 4
    patience: Annotated[int, Range(2, 12)] = 6


class Shallow(nn.Module):
    """A front, few hidden layers and an output; `n_handed` further features come from another network's last hidden layer."""

    def __init__(self, shape: InputShape, config: BoostingConfig, *, n_handed: int, n_outputs: int, seed: int) -> None:
        super().__init__()
        generators = generators_for([seed])
        self.front = Front(shape, generators, numeric=None, category_width=config.category_width)
        widths = [self.front.width + n_handed, *[config.width] * config.depth]
        self.hidden = HiddenLayers(widths, generators, activation="relu", dropout=PooledDropout(0.0, seeds=[seed]))
        self.output = Linear((config.width, n_outputs), generators)

    def forward(
        self, blocks: Blocks, handed: Float[Tensor, "1 row handed"] | None = None
    ) -> tuple[Float[Tensor, "1 row output"], Float[Tensor, "1 row width"]]:
        """Outputs, and what the last hidden layer hands to the next network."""
        x = self.front(blocks)
        hidden: Tensor = self.hidden(x if handed is None else torch.cat([x, handed], dim=-1))
        return self.output(hidden), hidden

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, handed: str | None = None) -> tuple[str, str]:
        """The same from plain operators, without the axis of models."""
        x = self.front.emit(graph, blocks, model=0)
        hidden = self.hidden.emit(graph, x if handed is None else graph.concat([x, handed]), model=0)
        return self.output.emit(graph, hidden, model=0), hidden


@dataclass(frozen=True, kw_only=True, eq=False)
class Schooling:
    """How networks learn from `n_rows` rows: AdamW on shuffled batches, orders drawn from `generator`, until time is up."""

    config: BoostingConfig
    n_rows: int
    generator: torch.Generator
    until: Deadline

    def epochs(
        self,
        parameters: Iterable[nn.Parameter],
        loss_of: Callable[[Tensor], Tensor],
        *,
        n_epochs: int,
        rate_factor: float = 1.0,
    ) -> bool:
        """So many times over all rows; `loss_of` is given the rows of a batch. Says whether there was time for all of it."""
        rate, decay = self.config.learning_rate * rate_factor, self.config.weight_decay
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        batch_size = Recipe().pace(self.n_rows).batch_size
        for _ in range(n_epochs):
            for rows in torch.split(torch.randperm(self.n_rows, generator=self.generator), batch_size):
                if self.until.passed:
                    return False
                torch.autograd.backward(loss_of(rows))
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        return True


@dataclass(eq=False)
class Course:
    """The losses after each stage, and when to stop."""

    fold: int
    patience: int
    curve: dict[str, list[float]] = field(default_factory=lambda: {"train_loss": [], "stop_loss": []})
    cut_short: bool = False

    def add(self, *, train_loss: float, stop_loss: float) -> bool:
        """Note a stage; says whether it is the best so far.

        Raises:
            TrainingError: the loss is not finite.
        """
        if not math.isfinite(stop_loss):
            n_stages = len(self.curve["stop_loss"]) + 1
            raise TrainingError(
                f"the loss of fold {self.fold + 1} is not finite after stage {n_stages}; a lower learning rate would help."
            )
        self.curve["train_loss"].append(train_loss)
        self.curve["stop_loss"].append(stop_loss)
        return self.best == len(self.curve["stop_loss"]) - 1

    def restored(self, curve: Mapping[str, Sequence[float]]) -> int:
        """Take over the stages of an earlier process; says how many there are.

        Raises:
            ValueError: these are not the losses of stages.
        """
        kept = {name: [float(loss) for loss in curve[name]] for name in self.curve}
        if len({len(losses) for losses in kept.values()}) != 1 or not kept["stop_loss"]:
            raise ValueError("as many losses as stages were expected, and one stage at least")
        self.curve = kept
        return len(kept["stop_loss"])

    @property
    def best(self) -> int:
        """The stage, from 0, after which the loss on the stop rows was least."""
        return int(np.argmin(self.curve["stop_loss"]))

    @property
    def is_over(self) -> bool:
        """Whether stages without a gain have used the patience up."""
        n_stages = len(self.curve["stop_loss"])
        return n_stages > 0 and n_stages - 1 - self.best >= self.patience

    def cut(self) -> None:
        """Note that time is up; what the last stage had begun is dropped.

        Raises:
            TrainingError: there is no whole stage.
        """
        self.cut_short = True
        if not self.curve["stop_loss"]:
            raise PassingError(f"fold {self.fold + 1}: time was up before the first stage; give the run more time.")


def named_arrays(prefix: str, module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """A network's weights as arrays, for a checkpoint."""
    return {f"{prefix}.{name}": tensor.numpy() for name, tensor in module.state_dict().items()}


def put_back(prefix: str, module: nn.Module, *, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Weights as `named_arrays` gave them.

    Raises:
        KeyError: one is not there.
        RuntimeError: one is of another shape.
    """
    module.load_state_dict({name: torch.from_numpy(arrays[f"{prefix}.{name}"].copy()) for name in module.state_dict()})


def tensors_of(inputs: Inputs) -> dict[str, Tensor]:
    """Blocks with an axis of one model in front, (1, N, width)."""
    return {name: torch.from_numpy(np.ascontiguousarray(block))[None] for name, block in inputs.blocks.items()}


def picked(blocks: Blocks, rows: Tensor) -> dict[str, Tensor]:
    """Some rows of blocks."""
    return {name: block[:, rows] for name, block in blocks.items()}


@torch.inference_mode()
def outputs_of(network: Callable[[Blocks], Tensor], inputs: Inputs) -> NDArray[np.float64]:
    """What a network gives for inputs, a few rows at a time, (N, K)."""
    blocks = tensors_of(inputs)
    starts = range(0, max(inputs.n_samples, 1), ROWS_AT_ONCE)
    parts = [network({name: block[:, start : start + ROWS_AT_ONCE] for name, block in blocks.items()}) for start in starts]
    return np.asarray(torch.cat(parts, dim=1)[0].double().numpy())


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities from logits, over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


@contextmanager
def one_thread_within() -> Iterator[None]:
    """Units are trained side by side, each on one thread: threads within such small products only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def boosting_cost(n_train: int, shape: InputShape, *, config: BoostingConfig, task: Task, passes: float) -> Cost:
    """One unit: `passes` are the trainings of one shallow network for `stage_epochs` that all stages together cost."""
    width_in = front_width(shape, numeric_width=1, category_width=config.category_width)
    n_weights = (width_in + config.width * config.depth + task.n_outputs) * config.width
    batch_size = Recipe().pace(n_train).batch_size
    steps = passes * config.stage_epochs * max(1, math.ceil(n_train / batch_size))
    seconds = steps * (SECONDS_PER_STEP + 6.0 * n_weights * batch_size / FLOPS_PER_SECOND)
    memory = 16.0 * config.n_stages * n_weights + 16.0 * n_train * (width_in + config.width + task.n_outputs)
    return Cost(seconds=0.05 + seconds, memory_bytes=memory + 1e6)
