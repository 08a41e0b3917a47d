"""Writes `tests/artifacts/`: small packed models of the format of today, which every later version must go on loading.

    python tests/writing_artifacts.py

writes those that are not there yet; what is there is never replaced. Beside each model stand rows as a file would bring them and
what it predicted for them. The data come with scikit-learn, or are drawn from a seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, load_iris

import cupel
from cupel import execution, pipeline, tuning
from cupel.conclusion import conclude
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.observer import Silent
from cupel.core.presets import Preset
from cupel.core.stopwatch import Stopwatch
from cupel.packing.pack import FORMAT
from cupel.problem import understand

FOLDER = Path(__file__).parent / "artifacts"
N_ROWS = 12
SMALL = {"width": 128, "depth": 2, "n_bins": 4, "max_rounds": 20, "num_leaves": 7, "n_trees": 20}
Columns = Mapping[str, Sequence[Any]]


def customers() -> Columns:
    """Every kind of column, with missing cells, and two classes."""
    generator = np.random.default_rng(0)
    n_rows = 160
    age, plan = generator.integers(18, 90, n_rows), generator.integers(3, size=n_rows)
    days = generator.integers(0, 3000, n_rows)
    leaves = (age / 40 + plan + generator.normal(size=n_rows)) > 2.5
    columns: dict[str, list[Any]] = {
        "plan": [("basic", "gold", "Öl & co")[code] for code in plan],
        "age": age.tolist(),
        "paid": np.round(generator.lognormal(3, 1, n_rows), 2).tolist(),
        "member": np.where(generator.random(n_rows) < 0.5, "yes", "no").tolist(),
        "joined": [str(np.datetime64("2015-01-01") + int(day)) for day in days],
        "leaves": np.where(leaves, "leave", "stay").tolist(),
    }
    for name in ("plan", "age", "paid", "joined"):
        for row in generator.choice(n_rows, 12, replace=False):
            columns[name][row] = None
    return columns


def flowers() -> Columns:
    """Three classes and four numbers."""
    data = load_iris()
    return {**{f"x{i}": data.data[:, i].tolist() for i in range(4)}, "kind": [str(data.target_names[k]) for k in data.target]}


def progression() -> Columns:
    """A number from ten numbers."""
    data = load_diabetes()
    return {**{name: data.data[:200, i].tolist() for i, name in enumerate(data.feature_names)}, "y": data.target[:200].tolist()}


def digits() -> Columns:
    """Pictures of 8 by 8 and three classes."""
    data = load_digits(n_class=3)
    pictures = list((data.images[:120] * 15).astype(np.uint8))
    return {"picture": pictures, "digit": [f"d{k}" for k in data.target[:120]]}


def smaller(preset: Preset, **changes: Any) -> Preset:
    """A preset with fields of config and recipe changed, those that it has."""
    recipe = None if preset.recipe is None else replace(preset.recipe, epochs=8)
    known = {name: value for name, value in changes.items() if hasattr(preset.config, name)}
    return replace(preset, config=replace(preset.config, **known), recipe=recipe)


def shapes() -> Columns:
    """Numbers of which two labels, sometimes unknown, are told."""
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(160, 3)).round(3)
    held = matrix[:, :2] + 0.5 * generator.normal(size=(160, 2)) > 0
    is_known = generator.random(held.shape) < 0.9
    cells = np.where(is_known, held.astype(int), None)
    return {**{f"x{i}": matrix[:, i].tolist() for i in range(3)}, "red": cells[:, 0].tolist(), "round": cells[:, 1].tolist()}


def spots() -> Columns:
    """Pictures of 8 by 8 with a bright spot, and the masks of these."""
    generator = np.random.default_rng(2)
    pictures, masks = [], []
    for _ in range(40):
        mask = np.zeros((8, 8), np.uint8)
        top, left = generator.integers(0, 5, 2)
        mask[top : top + 4, left : left + 4] = 255
        pictures.append((mask // 3 + generator.integers(0, 120, (8, 8))).astype(np.uint8))
        masks.append(mask)
    return {"picture": pictures, "mask": masks}


def rumours() -> Columns:
    """Two classes that numbers hardly tell: whoever remembers its rows is surer than right."""
    generator = np.random.default_rng(3)
    matrix = generator.normal(size=(400, 4)).round(3)
    is_true = matrix[:, 0] + 2 * generator.normal(size=400) > 0
    return {**{f"x{i}": matrix[:, i].tolist() for i in range(4)}, "true": np.where(is_true, "yes", "no").tolist()}


@dataclass(frozen=True, kw_only=True)
class Example:
    """Data, targets, families that are packed together, and what is asked beside."""

    made: Callable[[], Columns]
    target: str | tuple[str, ...]
    families: tuple[str, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)


MODELS: Mapping[str, Example] = {
    "binary": Example(made=customers, target="leaves", families=("LightGBM", "MLP")),
    "multiclass": Example(made=flowers, target="kind", families=("RealMLP",)),
    "regression": Example(made=progression, target="y", families=("TabM", "LightGBM")),
    "pictures": Example(made=digits, target="digit", families=("linear",)),
    "labels": Example(made=shapes, target=("red", "round"), families=("linear", "LightGBM")),
    "masks": Example(made=spots, target="mask", families=("grey levels",)),
    "calibrated": Example(made=rumours, target="true", families=("ExtraTrees",)),
    "decided": Example(made=customers, target="leaves", families=("linear",), asked={"at_least": {"recall": 0.9}}),
}


def write(name: str) -> None:
    """One artifact, and what it predicts."""
    example = MODELS[name]
    columns, families = example.made(), example.families
    settings = cupel.Settings(n_folds=2, ensemble="soft-vote", families=families, racing=False, **example.asked)
    problem, budget = understand(columns, example.target, settings=settings), Budget(Effort.QUICK, None)
    namer = tuning.Namer(problem.modality.name)
    proposals = []
    for family in problem.families:
        if family.name in families:
            preset = smaller(
                family.portfolio(problem.task)[0], width=128, depth=2, n_bins=4, max_rounds=20, num_leaves=7, n_trees=20
            )
            proposals.append(tuning.Proposal(candidate=namer.candidate(family, preset), family=family))
    assert len(proposals) == len(families), "every family that was named is there"
    with tempfile.TemporaryDirectory() as scratch, execution.RunFolder(Path(scratch) / "run") as folder:
        how: dict[str, Any] = {"deadline": Deadline(), "observer": Silent(), "stopwatch": Stopwatch()}
        tried = pipeline.search(problem, folder, tuning.Given(tuple(proposals)), budget=budget, **how)
        run = conclude(problem, folder, [each.trial for each in tried], **how)
        targets = (example.target,) if isinstance(example.target, str) else example.target
        rows = {column: plain(cells[:N_ROWS]) for column, cells in columns.items() if column not in targets}
        predictor = cupel.load(run.artifact)
        predicted = {column: plain(cells.tolist()) for column, cells in predictor.predict_columns(decoded(rows)).items()}
        stem = f"format-{FORMAT}-{name}"
        run.save(FOLDER / f"{stem}.cupel")
        content = {"rows": rows, "predicted": predicted, "cupel": cupel.__version__}
        (FOLDER / f"{stem}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def plain(cells: Sequence[Any]) -> list[Any]:
    """Cells as JSON holds them: pictures as lists of lists."""
    return [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]


def decoded(rows: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The same rows as a predictor takes them."""
    return {
        name: [np.array(cell, np.uint8) if isinstance(cell, list) else cell for cell in cells] for name, cells in rows.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for wanted in MODELS:
        if not (FOLDER / f"format-{FORMAT}-{wanted}.cupel").exists():
            write(wanted)
            print(f"wrote {wanted}: {(FOLDER / f'format-{FORMAT}-{wanted}.cupel').stat().st_size:,} bytes")  # noqa: T201
