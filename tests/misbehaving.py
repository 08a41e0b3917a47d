"""A plug-in whose family does what families should not: it raises, exits, crashes, hangs, or takes all memory."""

from __future__ import annotations

import dataclasses
import faulthandler
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cupel.core import registry
from cupel.core.modality import Modality

NAME = "misbehaving"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to do, and a file that remembers that it was done."""

    deed: str = "behave"
    mark: str = ""
    sizes: tuple[int, ...] = (1, 2)


def fit(units, *, config, task, threads=None, deadline=None):
    """Constants, unless the deed prevents it."""
    from cupel.learners import constant

    match config.deed:
        case "raise":
            raise ZeroDivisionError("a family that raises")
        case "exit":
            os._exit(7)
        case "crash":
            faulthandler._sigsegv()
        case "die of SIGABRT":
            os.abort()
        case "hang":
            threading.Event().wait()
        case "spin":
            while True:
                time.sleep(0.001)
        case "hog":
            held = [np.ones(25_000_000) for _ in range(400)]  # 80 GB
            raise AssertionError(f"{len(held)} blocks of memory were there")
        case "be killed always":
            os.kill(os.getpid(), signal.SIGKILL)
        case "be killed once" if not Path(config.mark).exists():
            Path(config.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    fitted = constant.fit(units, config=constant.Config(), task=task)
    if config.deed == "diverge":
        return [dataclasses.replace(unit, predictions=np.full_like(unit.predictions, np.nan)) for unit in fitted]
    return fitted


def families():
    """The family, made of the constant of tables."""
    from cupel.core.presets import Preset, Space

    honest = registry.family_named(registry.modality_named("tabular"), "constant")
    preparation = honest.portfolio(None)[0].preparation

    def portfolio(task):
        return (Preset(config=Config(), preparation=preparation),)

    def space(task):
        return Space.around(portfolio(task)[0])

    return (dataclasses.replace(honest, name=NAME, config=Config, portfolio=portfolio, space=space, fit=fit, is_baseline=False),)


def graph_inputs(schema):
    """Those of tables."""
    return registry.modality_named("tabular").graph_inputs(schema)


modality = Modality(
    name=NAME, recognises=lambda schema: 0.0, families=families, graph_inputs=graph_inputs, unusable=lambda dataset: None
)


def install(folder: Path) -> None:
    """Make the plug-in known to whoever has the folder on its path."""
    described = folder / "misbehaving-0.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 0.0\n")
    (described / "entry_points.txt").write_text(f"[cupel.modalities]\n{NAME} = misbehaving:modality\n")
