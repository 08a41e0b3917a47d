"""Learns the portfolio for tables: which configurations to try, in which order, before any search.

    python -m benchmarks.portfolio measure --data FOLDER --work FOLDER   # hours, resumable: what each configuration predicts
    python -m benchmarks.portfolio learn --work FOLDER [--write]         # minutes: the sequence, and what it gives elsewhere

`measure` trains every configuration of the pool on three folds of up to 3,300 rows of each development table, and keeps what it
predicts out of fold and for rows that no fold held. The pool: defaults, what papers and other systems recommend
(`portfolio_priors.json`), and points drawn from the families' spaces.
`learn` picks greedily what takes most off the ensemble's error per second, and repeats that without each table in turn.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import Table, tables_named
from cupel import data, evaluation, training
from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.candidate import plain
from cupel.core.dataset import Dataset
from cupel.core.family import Family, UnitData
from cupel.core.presets import PARTS, Preset
from cupel.core.split import Fold
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.models.portfolio import kind_of, preset_of

Array = NDArray[Any]
HERE = Path(__file__).parent
SHIPPED = HERE.parent / "src/cupel/modalities/tabular/models/portfolio.json"

N_ROWS, N_FOLDS = 5_000, 3
N_DRAWN = {
    "LightGBM": 16, "ExtraTrees": 5, "kNN": 3, "MLP": 6, "DCNv2": 4, "RealMLP": 6, "TabM": 4, "ModernNCA": 3, "ResNet": 3,
}  # fmt: skip
MOST_SECONDS = 120.0
"""Of one configuration on one table; what is cut there is not a candidate for a portfolio."""


BASELINES = ("constant", "linear")
FIRST = "LightGBM-p0"
"""The classical bar stands first, whatever is learned."""
FIXED_SECONDS = 0.3
"""What every configuration costs beside its training: preparation, export, checks."""
N_GREEDY = 20
LONGEST = 40
LEAST_GAIN = 1e-4
FEWEST, MOST_MISSING, MIN_MEASURED = 10, 1, 3


@dataclass(frozen=True)
class Entry:
    """A configuration of the pool: the same point of the family's space whatever the task."""

    family: Family
    name: str
    preset: Preset


def pool(task: Task) -> list[Entry]:
    """Defaults first, then what is recommended, position by position, then what is drawn, in turns."""
    priors: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for prior in json.loads((HERE / "portfolio_priors.json").read_text())[kind_of(task)]:
        priors[prior["family"]].append(prior)
    rounds: list[tuple[int, int, Entry]] = []
    for number, family in enumerate(_families(task)):
        space = family.space(task)
        presets = [space.default, *(preset_of(prior, space.default) for prior in priors[family.name])]
        for position, preset in enumerate(presets):
            rounds.append((position, number, Entry(family, f"{family.name}-p{position}", preset)))
        generator = np.random.default_rng(zlib.crc32(family.name.encode()))
        drawn = [space.sample(generator) for _ in range(N_DRAWN.get(family.name, 0))]
        rounds += [(100 + draw, number, Entry(family, f"{family.name}-d{draw}", preset)) for draw, preset in enumerate(drawn)]
    return [entry for *_, entry in sorted(rounds, key=lambda item: item[:2])]


def _families(task: Task) -> list[Family]:
    families = registry.modality_named("tabular").families()
    return [family for family in families if task.kind in family.tasks and not family.on_request]


def folds_of(n_rows: int, n_test: int) -> list[Fold]:
    """Three folds of the first rows; every fold also predicts the last `n_test` rows, which none learns from."""
    head = n_rows - n_test
    order = np.random.default_rng(1).permutation(head)
    test = np.arange(head, n_rows)
    folds = []
    for index in range(N_FOLDS):
        valid = order[index::N_FOLDS]
        learned = np.setdiff1d(order, valid)
        stop = np.random.default_rng([2, index]).permutation(learned)[: len(learned) // 6]
        folds.append(
            Fold(
                index=index,
                train=np.sort(np.setdiff1d(learned, stop)),
                stop=np.sort(stop),
                valid=np.concatenate([np.sort(valid), test]),
            )
        )
    return folds


def read(table: Table, folder: Path) -> tuple[Dataset, int]:
    """Up to 5,000 rows, the last third of them to judge on; the untouched test part takes no part in this."""
    train, _ = table.divided(folder)
    chosen = np.random.default_rng(3).permutation(len(train))[:N_ROWS]
    n_test = len(chosen) // 3
    return data.read(train[chosen], target=table.target, metric=table.metric), n_test


def measure(arguments: argparse.Namespace) -> None:
    work = Path(arguments.work)
    ready = []
    for table in tables_named(arguments.only):
        dataset, n_test = read(table, Path(arguments.data))
        assert dataset.task is not None, "tables are read with a target"
        ready.append((table, dataset, folds_of(dataset.n_samples, n_test), pool(dataset.task)))
    wanted = arguments.families.split(",") if arguments.families else []
    if wanted:
        ready = [(*rest, [entry for entry in entries if entry.family.name in wanted]) for *rest, entries in ready]
    longest = max(len(entries) for *_, entries in ready)
    names = sorted({entry.name for *_, entries in ready for entry in entries})
    print(f"{len(names)} configurations, {len(ready)} tables", flush=True)
    for position in range(longest):
        for table, dataset, folds, entries in ready:
            if position >= len(entries):
                continue
            entry = entries[position]
            path = work / table.name / f"{entry.name}.npz"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _measure_one(table, dataset, folds, entry, path)


def _measure_one(table: Table, dataset: Dataset, folds: Sequence[Fold], entry: Entry, path: Path) -> None:
    task, target = dataset.task, dataset.target
    assert task is not None, "tables are read with a target"
    assert target is not None, "tables are read with a target"
    deadline = Deadline(MOST_SECONDS)
    started = time.process_time()
    try:
        units = []
        for fold in folds:
            prepared = entry.preset.preparation.fit(dataset, fold.train, seed=fold.index)
            transform = prepared.fitted.transform
            units.append(
                UnitData(
                    fold=fold.index,
                    seed=fold.index,
                    train=prepared.inputs,
                    train_target=target[prepared.rows],
                    stop=transform(dataset, fold.stop),
                    stop_target=target[fold.stop],
                    valid=transform(dataset, fold.valid),
                )
            )
        fitted = training.fit(
            entry.family,
            units,
            config=entry.preset.config,
            recipe=entry.preset.recipe,
            task=task,
            deadline=deadline,
            device="cpu",
            progress=lambda _: None,
        )
    except Exception as error:  # noqa: BLE001 a configuration that fails is no candidate here
        np.savez(path, failed=str(error))
        print(f"{table.name} {entry.name} failed: {error}", flush=True)
        return
    seconds = time.process_time() - started
    total = np.zeros((dataset.n_samples, fitted[0].predictions.shape[1]))
    count = np.zeros((dataset.n_samples, 1))
    for fold, unit in zip(folds, fitted, strict=True):
        total[fold.valid] += unit.predictions
        count[fold.valid] += 1
    predictions = total / count
    score = evaluation.score(task.metric, target, predictions)
    np.savez(
        path,
        predictions=predictions.astype(np.float32),
        seconds=seconds,
        cut=any(unit.cut_short for unit in fitted),
    )
    print(f"{table.name} {entry.name}: {score:.4f} in {seconds:.1f} s", flush=True)


# Learning from what was measured


@dataclass(frozen=True, eq=False)
class Measured:
    """What every configuration did on one table. Errors of ensembles are scaled: 0 the best single, 1 the median one.

    `judged` is what losses look at: the probability of the true class, or the value.
    """

    name: str
    metric: str
    is_classification: bool
    target: Array
    n_fitted: int
    predictions: dict[str, Array]
    judged: dict[str, Array]
    seconds: dict[str, float]
    best: float
    median: float

    @property
    def n_rows(self) -> int:
        """Of both: those that folds held, and those that none did."""
        return len(self.target)

    def error(self, chosen: Sequence[str]) -> float:
        """The scaled test error of a greedy ensemble of these, chosen on the out-of-fold rows."""
        members = [self.judged[name] for name in chosen if name in self.judged]
        if not members:
            return 3.0
        stacked = np.stack(members)
        weights = _greedy(stacked[:, : self.n_fitted], self.target[: self.n_fitted], self.is_classification)
        raw = float(_loss(weights @ stacked[:, self.n_fitted :], self.target[self.n_fitted :], self.is_classification))
        return float(np.clip((raw - self.best) / max(self.median - self.best, 1e-9), -3.0, 3.0))


def _loss(judged: Array, target: Array, is_classification: bool) -> Array:
    """Log loss of probabilities of the true classes, or mean squared error of values; `judged` may have leading axes."""
    if is_classification:
        return np.asarray(-np.log(np.clip(judged, 1e-7, 1.0)).mean(axis=-1))
    return np.asarray(((judged - target) ** 2).mean(axis=-1))


def _greedy(stacked: Array, target: Array, is_classification: bool) -> Array:
    """Weights by selection with replacement. Source: Caruana et al. 2004, "Ensemble selection from libraries of models"."""
    counts = np.zeros(len(stacked))
    total = np.zeros_like(stacked[0])
    best_loss, best = np.inf, counts.copy()
    for step in range(1, N_GREEDY + 1):
        losses = _loss((total + stacked) / step, target, is_classification)
        pick = int(np.argmin(losses))
        counts[pick] += 1
        total = total + stacked[pick]
        if losses[pick] < best_loss - 1e-9:
            best_loss, best = float(losses[pick]), counts.copy()
    return best / best.sum()


def measured_tables(work: Path, data_folder: Path, only: str) -> list[Measured]:
    """Every table of which enough was measured."""
    return [found for table in tables_named(only) if (found := _measured(table, work, data_folder))]


def _measured(table: Table, work: Path, data_folder: Path) -> Measured | None:
    folder = work / table.name
    files = {path.stem: np.load(path) for path in sorted(folder.glob("*.npz"))}
    kept = {name: file for name, file in files.items() if "failed" not in file and not bool(file["cut"])}
    if len(kept) < FEWEST:
        return None
    dataset, n_test = read(table, data_folder)
    assert dataset.task is not None, "tables are read with a target"
    assert dataset.target is not None, "tables are read with a target"
    is_classification, head = dataset.task.is_classification, dataset.n_samples - n_test
    predictions = {name: file["predictions"].astype(np.float64) for name, file in kept.items()}
    places = np.arange(dataset.n_samples), dataset.target.astype(np.int64) if is_classification else 0
    judged = {name: made[places] for name, made in predictions.items()}
    losses = [float(_loss(made[head:], dataset.target[head:], is_classification)) for made in judged.values()]
    return Measured(
        name=table.name,
        metric=table.metric,
        is_classification=is_classification,
        target=dataset.target,
        n_fitted=head,
        predictions=predictions,
        judged=judged,
        seconds={name: float(file["seconds"]) for name, file in kept.items()},
        best=min(losses),
        median=float(np.median(losses)),
    )


def sequence(tables: Sequence[Measured], names: Sequence[str], *, given: Sequence[str] = ()) -> list[str]:
    """Configurations in the order that takes most off the mean scaled error per second; ends where nothing gains any more."""
    chosen = list(given)
    costs = {name: _cost(name, tables) for name in names}
    current = float(np.mean([table.error(chosen) for table in tables]))
    while len(chosen) < LONGEST:
        rest = [name for name in names if name not in chosen]
        errors = {name: float(np.mean([table.error([*chosen, name]) for table in tables])) for name in rest}
        best = max(rest, key=lambda name: (current - errors[name]) / costs[name], default=None)
        if best is None or errors[best] >= current - LEAST_GAIN:
            break
        chosen.append(best)
        current = errors[best]
    return chosen


def _cost(name: str, tables: Sequence[Measured]) -> float:
    """Typical seconds: what it took relative to all others of a table, times what they take typically."""
    known = [table.seconds[name] for table in tables if name in table.seconds]
    return FIXED_SECONDS + float(np.exp(np.mean(np.log(np.maximum(known, 0.05)))))


def _curve(order: Sequence[str], table: Measured) -> tuple[list[float], list[float]]:
    """Seconds spent and scaled error after each configuration of an order."""
    spent, errors, seconds = [], [], 0.0
    for position, name in enumerate(order, 1):
        seconds += FIXED_SECONDS + table.seconds.get(name, 0.0)
        spent.append(seconds)
        errors.append(table.error(order[:position]))
    return spent, errors


def _over_time(order: Sequence[str], table: Measured, horizon: float) -> float:
    """The mean scaled error over the logarithm of the time up to a horizon: what somebody gets who stops at any moment."""
    spent, errors = _curve(order, table)
    moments = np.geomspace(1.0, horizon, 60)
    places = np.searchsorted(spent, moments, side="right") - 1
    return float(np.mean([3.0 if place < 0 else errors[place] for place in places]))


def _names_of(tables: Sequence[Measured]) -> tuple[list[str], list[str]]:
    """What may be chosen, and what stands first whatever is learned."""
    counts = Counter(name for table in tables for name in table.predictions)
    baselines = sorted(name for name in counts if name.split("-")[0] in BASELINES)
    names = sorted(name for name, count in counts.items() if count >= len(tables) - MOST_MISSING and name not in baselines)
    return names, [*baselines, FIRST]


def learned_order(tables: Sequence[Measured]) -> list[str]:
    """The sequence learned from these tables, baselines first."""
    names, given = _names_of(tables)
    return sequence(tables, names, given=given)


def _check(tables: Sequence[Measured], names: Sequence[str], given: Sequence[str]) -> None:
    """What is learned without a table does there, beside the order by hand and orders drawn at random."""
    by_hand = [*given, *(name for name in _by_hand(names) if name not in given)]
    generator = np.random.default_rng(0)
    print("left out            learned     by hand  random order   (mean scaled error over log time; lower is better)")
    rows = []
    for left_out in tables:
        others = [table for table in tables if table is not left_out]
        learned = sequence(others, names, given=given)
        drawn = [[*given, *generator.permutation([name for name in names if name not in given])] for _ in range(5)]
        horizon = sum(left_out.seconds.get(name, 0.0) for name in names)
        row = (
            _over_time(learned, left_out, horizon),
            _over_time(by_hand, left_out, horizon),
            float(np.mean([_over_time(order, left_out, horizon) for order in drawn])),
        )
        rows.append(row)
        print(f"{left_out.name:20}{row[0]:7.3f}{row[1]:12.3f}{row[2]:14.3f}", flush=True)
    print(
        f"{'mean':20}" + "".join(f"{value:{width}.3f}" for value, width in zip(np.mean(rows, axis=0), (7, 12, 14), strict=True))
    )


def learn(arguments: argparse.Namespace) -> None:
    tables = measured_tables(Path(arguments.work), Path(arguments.data), arguments.only)
    names, given = _names_of(tables)
    print(f"{len(tables)} tables, {len(names)} configurations\n")
    if not arguments.unchecked:
        _check(tables, names, given)
    order = sequence(tables, names, given=given)
    print("\nthe sequence, learned from all:")
    for position, name in enumerate(order, 1):
        print(
            f"{position:3}  {name:18} {_cost(name, tables):6.1f} s   {np.mean([t.error(order[:position]) for t in tables]):.3f}"
        )
    if arguments.write:
        _write([name for name in order if name.split("-")[0] not in BASELINES])


def _by_hand(names: Sequence[str]) -> list[str]:
    """Position by position over the families, as a search without learned places goes."""
    order = [family.name for family in _families(_example("regression"))]
    recommended = [name for name in names if name.rpartition("-")[2].startswith("p")]
    return sorted(recommended, key=lambda name: (int(name.rpartition("-p")[2]), order.index(name.rpartition("-")[0])))


def _example(kind: str) -> Task:
    """A task of that kind, to realise presets for."""
    if kind == "regression":
        return Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
    return Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("a", "b"))


def _write(order: Sequence[str]) -> None:
    """The sequence as data of the package: per configuration what differs from its family's default."""
    lists = []
    for kind in ("classification", "regression"):
        task = _example(kind)
        entries = {entry.name: entry for entry in pool(task)}
        lines = ",\n".join("    " + json.dumps(_described(entries[name], task)) for name in order)
        lists.append(f'  "{kind}": [\n{lines}\n  ]')
    SHIPPED.write_text("{\n" + ",\n".join(lists) + "\n}\n")
    print(f"written to {SHIPPED}")


def _described(entry: Entry, task: Task) -> dict[str, Any]:
    default, preset = plain(entry.family.space(task).default), plain(entry.preset)
    described: dict[str, Any] = {"family": entry.family.name}
    for part in PARTS:
        changed = {name: _short(value) for name, value in (preset[part] or {}).items() if value != default[part][name]}
        if changed:
            described[part] = changed
    return described


def _short(value: Any) -> Any:
    """A number as somebody would write it: a drawn value means nothing beyond its third digit."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in (("measure", measure), ("learn", learn)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        if name == "measure":
            command.add_argument("--families", default="", help="only these; cheap ones first are a good beginning")
        if name == "learn":
            command.add_argument("--write", action="store_true", help="ship the sequence with the package")
            command.add_argument("--unchecked", action="store_true", help="do not learn without each table in turn")
        command.add_argument("--work", required=True)
        command.add_argument("--only", default="")
        command.add_argument("--data", default="../shared/data")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
