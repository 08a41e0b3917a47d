"""What every modality must satisfy. Each check is one promise; it raises where the promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.checks.bench import demand, difference
from cupel.checks.example import example_for
from cupel.core.dataset import Dataset
from cupel.core.inputs import Inputs
from cupel.core.modality import GraphInput, Modality
from cupel.core.schema import ColumnKind, Schema
from cupel.core.task import TaskKind

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ModalityBench:
    """What a check works with: a modality and a dataset that it reads, task and target set."""

    modality: Modality
    dataset: Dataset

    def demand(self, is_kept: bool, came: str, *, advice: str) -> None:
        """Raise CheckFailedError unless a promise is kept."""
        demand(is_kept, who=f"modality {self.modality.name}", came=came, advice=advice)

    def preparations(self) -> Iterator[Any]:
        """Every preparation that a family is first tried with, each once."""
        assert self.dataset.task is not None, "a bench's dataset has a task"
        task = self.dataset.task
        families = [family for family in self.modality.families() if task.kind in family.tasks]
        yield from dict.fromkeys(preset.preparation for family in families for preset in family.portfolio(task))


def check_modality(modality: Modality, *, dataset: Dataset | None = None) -> None:
    """Raise unless the modality keeps every promise.

    `dataset` is one that it reads, with task and target set; by default its own example, or a small table made here.

    Raises:
        CheckFailedError: names the promise and how it is broken.
    """
    bench = ModalityBench(modality, dataset or example_for(modality, TaskKind.BINARY))
    for check in MODALITY_CHECKS:
        check(bench)


def recognises_its_own_data(bench: ModalityBench) -> None:
    """Its own data are recognised with more than 0 and at most 1, a table without columns with 0."""
    fit = bench.modality.recognises(bench.dataset.schema)
    bench.demand(0 < fit <= 1, f"it recognises its own data with {fit}", advice="give a number above 0, at most 1")
    nothing = bench.modality.recognises(Schema(()))
    bench.demand(nothing == 0, f"it recognises a table without columns with {nothing}", advice="give 0 where nothing can be read")
    reason = bench.modality.unusable(bench.dataset)
    bench.demand(reason is None, f"it finds its own data unusable ({reason})", advice="refuse only what nobody can learn from")


def offers_families_with_a_baseline(bench: ModalityBench) -> None:
    """Family names differ, every kind of task that one serves has a baseline, and asking twice gives the same."""
    families = list(bench.modality.families())
    names = [family.name.lower() for family in families]
    bench.demand(bool(names), "it offers no family", advice="hand over at least a constant baseline")
    bench.demand(len(set(names)) == len(names), f"family names repeat ({', '.join(names)})", advice="name each family once")
    served = {kind for family in families for kind in family.tasks}
    judged = {kind for family in families if family.is_baseline for kind in family.tasks}
    lacking = ", ".join(sorted(kind.value for kind in served - judged))
    bench.demand(not lacking, f"no baseline serves {lacking}", advice="mark one cheap family of each task kind as baseline")
    again = [family.name.lower() for family in bench.modality.families()]
    bench.demand(again == names, "asking for its families twice gave two answers", advice="return the same families")


def declares_what_its_graphs_read(bench: ModalityBench) -> None:
    """Graph inputs have different names and a known kind, and read feature columns alone, each once."""
    inputs = list(bench.modality.graph_inputs(bench.dataset.schema))
    features = {column.name for column in bench.dataset.schema.features}
    read = [name for graph_input in inputs for name in graph_input.columns]
    strangers = sorted(set(read) - features)
    bench.demand(bool(read), "its graphs read nothing", advice="declare a graph input for the feature columns")
    bench.demand(not strangers, f"its graphs read {strangers}, which are no features", advice="read features alone")
    bench.demand(len(set(read)) == len(read), "a column is read twice", advice="put each column in one graph input")
    for each in inputs:
        found = {bench.dataset.schema[name].kind for name in each.columns}
        shown = f"graph input {each.name!r} of kind {each.kind!r} reads {len(each.columns)} columns ({', '.join(sorted(found))})"
        advice = "read numbers, booleans and dates as numbers, categories as strings, one column of pictures as pixels"
        bench.demand(_can_read(each, found), shown, advice=advice)
    names = [graph_input.name for graph_input in inputs]
    bench.demand(len(set(names)) == len(names), f"graph inputs repeat names ({names})", advice="name each input once")


def learns_from_training_rows_alone(bench: ModalityBench) -> None:
    """Fitting a preparation ignores every row that it was not given, targets included."""
    rows = np.arange(bench.dataset.n_samples * 5 // 8)
    others = np.arange(len(rows), bench.dataset.n_samples)
    for preparation in bench.preparations():
        before = preparation.fit(bench.dataset, rows, seed=0)
        after = preparation.fit(_disturbed(bench.dataset, others), rows, seed=0)
        for first, second in (
            (before.inputs, after.inputs),
            _transforms(bench.dataset, rows, fitted=(before.fitted, after.fitted)),
        ):
            off = _inputs_difference(first, second)
            shown = f"changing rows outside the fold moved the inputs by {off:.1g} ({preparation})"
            bench.demand(off == 0, shown, advice="fit on the given rows alone")


def prepares_each_row_by_itself(bench: ModalityBench) -> None:
    """Preparing some rows gives the same as preparing all and taking those; one seed prepares one way."""
    rows = np.arange(bench.dataset.n_samples * 5 // 8)
    others = np.arange(len(rows), bench.dataset.n_samples)
    for preparation in bench.preparations():
        fitted = preparation.fit(bench.dataset, rows, seed=0).fitted
        whole = fitted.transform(bench.dataset, others)
        for part in (others[::-1][:5], others[:1], others[:0]):
            some = fitted.transform(bench.dataset, part)
            expected = {name: block[part - others[0]] for name, block in whole.blocks.items()}
            off = _inputs_difference(some, Inputs(expected, whole.cardinalities))
            shown = f"{len(part)} rows alone differ by {off:.1g} ({preparation})"
            bench.demand(off < 1e-6, shown, advice="let no step mix rows after fitting")
        again = preparation.fit(bench.dataset, rows, seed=0).fitted.transform(bench.dataset, others)
        bench.demand(
            _inputs_difference(again, whole) == 0, f"{preparation} fitted twice differs", advice="draw from the seed alone"
        )


def looks_at_every_row(bench: ModalityBench) -> None:
    """Where it inspects, twins have a number for each row, and looking twice finds the same."""
    if bench.modality.inspect is None:
        return
    first, second = (bench.modality.inspect(bench.dataset) for _ in range(2))
    bench.demand(first.findings == second.findings, "looking twice found two things", advice="draw from no random state")
    if first.twins is None or second.twins is None:
        bench.demand(first.twins is second.twins, "looking twice found other twins", advice="draw from no random state")
        return
    n_rows, n_twins = bench.dataset.n_samples, len(first.twins)
    bench.demand(n_twins == n_rows, f"it numbers {n_twins} of {n_rows} rows as twins", advice="give each row a number")
    bench.demand(np.array_equal(first.twins, second.twins), "looking twice found other twins", advice="draw from no random state")


MODALITY_CHECKS: tuple[Callable[[ModalityBench], None], ...] = (
    recognises_its_own_data,
    offers_families_with_a_baseline,
    declares_what_its_graphs_read,
    learns_from_training_rows_alone,
    prepares_each_row_by_itself,
    looks_at_every_row,
)


def _can_read(graph_input: GraphInput, kinds: set[ColumnKind]) -> bool:
    match graph_input.kind:
        case "numbers":
            return all(kind.is_numeric for kind in kinds)
        case "strings":
            return kinds == {ColumnKind.CATEGORY}
        case "pixels":
            return kinds == {ColumnKind.IMAGE} and len(graph_input.columns) == 1
        case _:
            return False


def _transforms(dataset: Dataset, rows: Array, *, fitted: tuple[Any, Any]) -> tuple[Inputs, Inputs]:
    return fitted[0].transform(dataset, rows), fitted[1].transform(dataset, rows)


def _disturbed(dataset: Dataset, rows: Array) -> Dataset:
    """The dataset with the cells and targets of some rows put in another order, its numbers and pictures changed."""
    columns = {name: values.copy() for name, values in dataset.columns.items()}
    for values in columns.values():
        if values.dtype == object:
            for row, cell in zip(rows.tolist(), values[rows[::-1]].tolist(), strict=True):
                values[row] = _changed(cell)
        else:
            values[rows] = values[rows[::-1]] * (7.0 if values.dtype.kind == "f" else 1)
    assert dataset.target is not None, "a bench's dataset has a target"
    target = dataset.target.copy()
    target[rows] = target[rows[::-1]]
    return replace(dataset, columns=columns, target=target, fingerprint=f"{dataset.fingerprint}-disturbed")


def _changed(cell: Any) -> Any:
    """A picture inverted and twice as high; texts and what is missing as they are."""
    return np.repeat(255 - cell, 2, axis=0) if isinstance(cell, np.ndarray) else cell


def _inputs_difference(first: Inputs, second: Inputs) -> float:
    """The largest difference between two prepared inputs, NaN equal to NaN; infinite where their form differs."""
    if first.widths != second.widths or first.cardinalities != second.cardinalities:
        return float("inf")
    pairs = ((np.nan_to_num(first.blocks[name], nan=-1e9), np.nan_to_num(second.blocks[name], nan=-1e9)) for name in first.blocks)
    return max((difference(one.astype(np.float64), two.astype(np.float64)) for one, two in pairs), default=0.0)
