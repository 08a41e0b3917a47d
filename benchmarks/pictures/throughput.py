"""How fast the default network on pictures is trained: beside the same one written plainly, and beside what convolutions can do.

    python -m benchmarks.pictures.throughput [--pictures 8192] [--epochs 3] [--rounds 3] [--out PAGE.md]

Pictures of 28 × 28, and of 32 × 32 in colour, made of noise: speed does not hang on what they show. Both sides see the same
number of pictures in batches of 256 by AdamW, and are timed in turns. The plain one is what a tutorial of PyTorch would write:
standard layers in fp32, no augmentation, no average of weights, batches taken from a tensor. Then an epoch of Cupel's loop under
PyTorch's profiler: its shares, and the arithmetic of its convolutions (forward once, backward twice, but for the whitening, which
is not learned) for each second that they take, beside the most that convolutions of many shapes reach here, in fp32 and in
bfloat16.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cupel import training
from cupel.core import machine
from cupel.core.family import UnitData
from cupel.core.inputs import Inputs
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.models import airbench

N_CLASSES, BATCH = 10, 256
TASK = Task(kind=TaskKind.MULTICLASS, target="y", metric="accuracy", classes=tuple(map(str, range(N_CLASSES))))
KINDS = {"28 × 28, grey": (1, 28), "32 × 32, colour": (3, 32)}
N_STOP = 64
SHAPES = ((32, 32, 28), (32, 64, 14), (64, 64, 14), (64, 128, 14), (128, 128, 7), (96, 96, 14), (256, 256, 14))
"""Channels in, channels out, side of the maps; of the convolutions that are tried for the most that the machine can do."""
N_SHOWN = 12
IN_CONVOLUTIONS = ("convolution", "conv2d")


class Plain(nn.Module):
    """The default network of standard layers."""

    def __init__(self, config: airbench.Config, *, n_channels: int, side: int) -> None:
        super().__init__()
        window = config.window((side, side))
        plans = airbench.plans_of(config, (side, side), n_channels=n_channels)
        layers: list[nn.Module] = [
            nn.Conv2d(n_channels, plans[0].sizes[0], window.kernel, stride=window.stride),
            nn.GELU(),
        ]
        layers[0].weight.requires_grad_(False)
        for plan in plans:
            n_in, n_out = plan.sizes
            for number in range(plan.depth):
                layers.append(nn.Conv2d(n_in if number == 0 else n_out, n_out, 3, padding=1, bias=False))
                layers += [nn.MaxPool2d(2)] if number == 0 and plan.pools else []
                layers += [nn.BatchNorm2d(n_out), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(plans[-1].sizes[1], N_CLASSES)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(pictures)
        answers: torch.Tensor = self.head(features.amax(dim=(2, 3)))
        return answers


@dataclass(frozen=True)
class Case:
    """Noise to learn from."""

    pictures: np.ndarray
    target: np.ndarray
    config: airbench.Config

    def units(self) -> list[UnitData]:
        stop, train = slice(0, N_STOP), slice(N_STOP, None)
        parts = {name: Inputs({"pixels": self.pictures[rows]}, {}) for name, rows in (("train", train), ("stop", stop))}
        learned, judged = self.target[train], self.target[stop]
        own = {"train": parts["train"], "stop": parts["stop"], "valid": parts["stop"]}
        return [UnitData(fold=0, seed=0, train_target=learned, stop_target=judged, **own)]

    def by_cupel(self, epochs: int) -> None:
        """So many epochs of the loop that trains every network."""
        preset = airbench.DEFAULT
        recipe = replace(preset.recipe, epochs=epochs, patience=epochs)
        training.fit(airbench.spec, self.units(), config=self.config, recipe=recipe, task=TASK, device="cpu")

    def plainly(self, epochs: int) -> None:
        """The same number of steps in a loop as people write it."""
        torch.manual_seed(0)
        _, n_channels, side, _ = self.pictures.shape
        network = Plain(self.config, n_channels=n_channels, side=side)
        optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.02)
        pictures, target = torch.from_numpy(self.pictures[N_STOP:]).float() / 255, torch.from_numpy(self.target[N_STOP:])
        for _ in range(epochs):
            order = torch.randperm(len(target))
            for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(pictures[rows]), target[rows], label_smoothing=0.1).backward()
                optimiser.step()

    @property
    def arithmetic(self) -> float:
        """Floating-point operations of all convolutions for one picture's step of training."""
        _, n_channels, side, _ = self.pictures.shape
        plans = airbench.plans_of(self.config, (side, side), n_channels=n_channels)
        window = self.config.window((side, side))
        stem = plans[0].before[0] * plans[0].before[1] * window.kernel**2 * n_channels * plans[0].sizes[0]
        inner = 0
        for plan in plans:
            n_in, n_out = plan.sizes
            inner += 9 * n_in * n_out * plan.before[0] * plan.before[1]
            inner += 9 * n_out * n_out * plan.after[0] * plan.after[1] * (plan.depth - 1)
        return 2.0 * (stem + 3 * inner)


def made(name: str, n: int) -> Case:
    generator = np.random.default_rng(0)
    n_channels, side = KINDS[name]
    pictures = generator.integers(0, 256, (n + N_STOP, n_channels, side, side), dtype=np.uint8)
    return Case(pictures, generator.integers(0, N_CLASSES, n + N_STOP), airbench.DEFAULT.config)


def timed(work: Callable[[int], None], epochs: int) -> float:
    """Seconds of `epochs` beyond one, which has all that happens once."""
    started = time.perf_counter()
    work(1)
    once = time.perf_counter() - started
    started = time.perf_counter()
    work(1 + epochs)
    return time.perf_counter() - started - once


def peak(dtype: torch.dtype) -> tuple[float, str]:
    """The most operations a second, forward and backward, of convolutions of 3 × 3; and of which."""
    best, shape = 0.0, ""
    for n_in, n_out, side in SHAPES:
        x = torch.randn(BATCH, n_in, side, side, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
        layer = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False).to(dtype).to(memory_format=torch.channels_last)
        seconds = []
        for _ in range(4):
            started = time.perf_counter()
            layer(x).sum().backward()
            seconds.append(time.perf_counter() - started)
        reached = 3 * 2.0 * 9 * n_in * n_out * side * side * BATCH / min(seconds)
        if reached > best:
            best, shape = reached, f"{n_in} to {n_out} channels on {side} × {side}"
    return best, shape


def profiled(case: Case) -> tuple[list[tuple[str, float]], float, int]:
    """Seconds of the operations that take most, those in convolutions, and how many pictures were learned from."""
    from torch.profiler import ProfilerActivity, profile

    case.by_cupel(1)
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        case.by_cupel(2)
    own = [(event.key, event.self_cpu_time_total / 1e6) for event in watched.key_averages()]
    in_convolutions = sum(seconds for name, seconds in own if any(part in name for part in IN_CONVOLUTIONS))
    return sorted(own, key=lambda entry: -entry[1])[:N_SHOWN], in_convolutions, 2 * ((len(case.target) - N_STOP) // BATCH * BATCH)


def page(given: argparse.Namespace) -> str:
    about = machine.describe()
    lines = [
        "# How fast networks on pictures are trained",
        "",
        f"`python -m benchmarks.pictures.throughput`, {date.today()}, {about['cores']} cores of an {about['processor']}, PyTorch "
        f"{torch.__version__}; the default network, {given.pictures:,} pictures, median of {given.rounds} rounds in turns.",
        "",
        'Pictures a second; "still" is without augmentation, which the plain loop has not.',
        "",
        "| pictures | Cupel | Cupel, still | plain PyTorch | Cupel to plain | still to plain |",
        "|---|---|---|---|---|---|",
    ]
    cases = {name: made(name, given.pictures) for name in KINDS}
    for name, case in cases.items():
        still = replace(case, config=replace(case.config, augment="none"))
        rounds = [
            [timed(work, given.epochs) for work in (case.by_cupel, still.by_cupel, case.plainly)] for _ in range(given.rounds)
        ]
        n = given.epochs * given.pictures
        speeds = [n / statistics.median(column) for column in zip(*rounds, strict=True)]
        ratios = [statistics.median(plain / each[place] for each in rounds for plain in [each[2]]) for place in (0, 1)]
        lines.append(f"| {name} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {speeds[2]:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
        print(lines[-1], flush=True)
    most = {str(dtype).removeprefix("torch."): peak(dtype) for dtype in (torch.float32, torch.bfloat16)}
    lines += ["", "## What convolutions reach", ""]
    lines += [f"- The most of {name}: {reached / 1e9:.0f} GFLOP/s ({shape})." for name, (reached, shape) in most.items()]
    for name, case in cases.items():
        shares, seconds, n = profiled(case)
        reached = case.arithmetic * n / seconds
        whole = sum(took for _, took in shares)
        lines += [
            f"- {name}, in training: {reached / 1e9:.0f} GFLOP/s in its convolutions, {reached / most['float32'][0]:.0%} of the "
            f"most of fp32 and {reached / most['bfloat16'][0]:.0%} of bfloat16.",
            "",
            f"| {name}: operation | share of processor time |",
            "|---|---|",
            *(f"| `{operation}` | {took / whole:.0%} |" for operation, took in shares),
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8192)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    written = page(given)
    print(written)
    if given.out:
        given.out.write_text(written)


if __name__ == "__main__":
    main()
