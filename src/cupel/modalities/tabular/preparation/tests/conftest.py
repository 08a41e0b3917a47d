"""Random tables with everything that hurts, for the tests of this folder."""

import numpy as np
import onnxruntime
import pytest

from cupel.core.dataset import Dataset
from cupel.core.feeds import feeds_of
from cupel.core.graph import Graph
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular import modality

LEVELS = {"pair": 2, "colour": 5, "city": 40, "street": 400}


def numeric_columns(generator, n_rows):
    kinds, values = {}, {}
    values["normal"] = generator.normal(size=n_rows)
    values["huge"] = 1e12 + generator.integers(0, 5, n_rows)
    values["tiny"] = generator.normal(size=n_rows) * 1e-12
    values["skewed"] = np.exp(3 * generator.normal(size=n_rows))
    values["steps"] = generator.integers(0, 3, n_rows).astype(float)
    values["constant"] = np.full(n_rows, 7.0)
    values["empty"] = np.full(n_rows, np.nan)
    values["gappy"] = np.where(generator.random(n_rows) < 0.3, np.nan, values["normal"] * 2 + generator.normal(size=n_rows) * 0.1)
    values["rare"] = np.where(generator.random(n_rows) < 0.98, 0.0, generator.normal(size=n_rows))
    kinds |= dict.fromkeys(values, ColumnKind.NUMBER)
    values["flag"] = generator.choice([0.0, 1.0, np.nan], n_rows)
    kinds["flag"] = ColumnKind.BOOLEAN
    moments = np.floor(generator.uniform(-3e9, 4e9, n_rows))
    values["moment"] = np.where(generator.random(n_rows) < 0.1, np.nan, moments)
    values["always"] = np.floor(generator.uniform(1.5e9, 1.6e9, n_rows))
    kinds |= {"moment": ColumnKind.DATETIME, "always": ColumnKind.DATETIME}
    return kinds, values


def _make_dataset(n_rows=300, *, seed=0, task=TaskKind.BINARY, n_classes=4, numbers=True, categories=True):
    """A dataset whose every column has some trouble; the target depends on "normal" and "colour"."""
    generator = np.random.default_rng(seed)
    columns, values = [], {}
    kinds, cells = numeric_columns(generator, n_rows)
    if numbers:
        columns += [Column(name=name, kind=kind) for name, kind in kinds.items()]
        values |= cells
    colour = np.minimum(generator.geometric(0.4, n_rows) - 2, 4).astype(np.int32)
    if categories:
        for name, n_levels in LEVELS.items():
            levels = tuple(f"{name[0]}{level}" if level else "shared" for level in range(n_levels))
            columns.append(Column(name=name, kind=ColumnKind.CATEGORY, levels=levels))
            draws = np.minimum(generator.geometric(3 / n_levels if n_levels > 3 else 0.5, n_rows) - 2, n_levels - 1)
            values[name] = colour if name == "colour" else draws.astype(np.int32)
    signal = cells["normal"] + colour + generator.normal(size=n_rows) * 0.3
    if task is TaskKind.REGRESSION:
        target, classes = 1e6 * signal, ()
    else:
        classes = tuple(f"class {k}" for k in range(2 if task is TaskKind.BINARY else n_classes))
        target = np.searchsorted(np.quantile(signal, np.linspace(0, 1, len(classes) + 1)[1:-1]), signal).astype(np.int64)
    columns.append(Column(name="y", kind=ColumnKind.NUMBER))
    values["y"] = target.astype(float)
    if task is TaskKind.MULTILABEL:
        target = (target[:, None] >= np.arange(len(classes))).astype(np.float64)
        target[::9, 0] = np.nan  # nobody knows
    schema = Schema(tuple(columns), target="y")
    return Dataset(
        schema=schema,
        columns=values,
        fingerprint="0",
        task=Task(kind=task, target="y", metric="any", classes=classes),
        target=target,
        row_numbers=np.arange(n_rows),
    )


def _blocks_by_graph(fitted, dataset, rows, *, expected):
    """What the emitted graph gives for these rows, block by block; `expected` are the inputs that the preparation gives."""
    graph = Graph()
    names = fitted.emit(graph)
    for name, tensor in names.items():
        block = expected.blocks[name]
        graph.output(name, tensor, block.dtype, width=block.shape[1])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = feeds_of(dataset, rows, modality.graph_inputs(dataset.schema))
    read = {graph_input.name for graph_input in session.get_inputs()}
    outputs = session.run(list(names), {name: feed for name, feed in feeds.items() if name in read})
    return dict(zip(names, outputs, strict=True))


@pytest.fixture
def make_dataset():
    return _make_dataset


@pytest.fixture
def blocks_by_graph():
    return _blocks_by_graph
