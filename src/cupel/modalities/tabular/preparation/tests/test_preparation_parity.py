"""Every choice gives the same numbers in numpy and in ONNX."""

import dataclasses

import numpy as np
import pytest

from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.space import sample, space_of
from cupel.core.task import ROW_KINDS, TaskKind
from cupel.modalities.tabular.preparation import FOR_LINEAR, FOR_NETWORKS, FOR_REALMLP, FOR_TREES, TabularPreparation

SPACE = {dimension.name: dimension.domain for dimension in space_of(TabularPreparation)}
PRESETS = {"trees": FOR_TREES, "linear": FOR_LINEAR, "networks": FOR_NETWORKS, "realmlp": FOR_REALMLP}
OPTIONS = [
    (name, option)
    for name in ("missing", "indicators", "scaling", "categories", "above_limit", "crossed_pairs", "selection")
    for option in SPACE[name].options
    if option != "drop-rows"
]


def check_parity(choices, dataset, blocks_by_graph, rows=None, train=None):
    fitted = choices.fit(dataset, np.arange(200) if train is None else train, seed=0).fitted
    rows = np.arange(dataset.n_samples) if rows is None else rows
    inputs = fitted.transform(dataset, rows)
    assert list(inputs.blocks) == ["numeric", "binary", "codes"]
    assert [block.dtype for block in inputs.blocks.values()] == [np.float32, np.float32, np.int64]
    graph_blocks = blocks_by_graph(fitted, dataset, rows, expected=inputs)
    assert set(graph_blocks) == {name for name, width in inputs.widths.items() if width}
    for name, block in graph_blocks.items():
        np.testing.assert_allclose(block, inputs.blocks[name], rtol=1e-5, atol=1e-6, err_msg=name)
    if choices.missing != "keep":
        assert np.isfinite(inputs.blocks["numeric"]).all()
    assert np.isfinite(inputs.blocks["binary"]).all()
    codes = inputs.blocks["codes"]
    assert ((codes >= 0) & (codes < np.array(inputs.cardinalities["codes"], dtype=np.int64))).all()
    return inputs


@pytest.mark.parametrize(("field", "option"), OPTIONS)
def test_each_option_agrees_with_its_graph(field, option, make_dataset, blocks_by_graph):
    choices = dataclasses.replace(TabularPreparation(one_hot_limit=8), **{field: option})
    check_parity(choices, make_dataset(), blocks_by_graph)


@pytest.mark.parametrize("selection", ["mutual-information", "model"])
def test_choices_that_read_the_target_agree_for_regression(selection, make_dataset, blocks_by_graph):
    choices = TabularPreparation(selection=selection, categories="target")
    check_parity(choices, make_dataset(task=TaskKind.REGRESSION), blocks_by_graph)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", sorted(TaskKind(kind) for kind in ROW_KINDS))
def test_presets_with_crossed_pairs_agree_with_their_graphs(preset, task, make_dataset, blocks_by_graph):
    dataset = make_dataset(task=task)
    for train in (None, np.arange(1), np.arange(30)):
        choices = dataclasses.replace(PRESETS[preset], crossed_pairs=4)
        check_parity(choices, dataset, blocks_by_graph, train=train)
        check_parity(dataclasses.replace(choices, scaling="standard", missing="keep"), dataset, blocks_by_graph, train=train)


@pytest.mark.parametrize("scaling", ["min-max", "robust", "quantile"])
@pytest.mark.parametrize("missing", ["keep", "knn", "forest"])
def test_each_scaling_agrees_after_each_imputation(scaling, missing, make_dataset, blocks_by_graph):
    choices = TabularPreparation(missing=missing, scaling=scaling, categories="ordinal")
    check_parity(choices, make_dataset(seed=1), blocks_by_graph)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("n_classes", [3, 12])
def test_presets_agree_with_their_graphs_for_many_classes(preset, n_classes, make_dataset, blocks_by_graph):
    dataset = make_dataset(task=TaskKind.MULTICLASS, n_classes=n_classes)
    check_parity(PRESETS[preset], dataset, blocks_by_graph)
    check_parity(dataclasses.replace(PRESETS[preset], categories="target"), dataset, blocks_by_graph)


@pytest.mark.parametrize("preset", PRESETS)
def test_one_row_agrees_with_its_graph(preset, make_dataset, blocks_by_graph):
    inputs = check_parity(PRESETS[preset], make_dataset(), blocks_by_graph, rows=np.array([250]))
    assert inputs.n_samples == 1


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("absent", ["numbers", "categories"])
def test_a_table_without_numbers_or_without_categories_agrees(preset, absent, make_dataset, blocks_by_graph):
    check_parity(PRESETS[preset], make_dataset(**{absent: False}), blocks_by_graph)


@pytest.mark.parametrize("missing", ["mean", "knn", "forest", "drop-columns", "keep"])
@pytest.mark.parametrize("n_train", [1, 30])
def test_few_training_rows_agree(missing, n_train, make_dataset, blocks_by_graph):
    for scaling in ("robust", "quantile"):
        choices = TabularPreparation(missing=missing, scaling=scaling, categories="target")
        check_parity(choices, make_dataset(), blocks_by_graph, train=np.arange(n_train))


@pytest.mark.parametrize("scaling", SPACE["scaling"].options)
def test_numbers_far_outside_of_training_stay_finite_and_agree(scaling, make_dataset, blocks_by_graph):
    dataset = make_dataset()
    hostile = [1e37, -1e37, 1e39, np.inf, -np.inf, 1e300, 5e-324, np.nan, 0.0]
    names = [column.name for column in dataset.schema.numeric_features]
    columns = {name: np.concatenate([dataset.columns[name][:200], hostile]) for name in names}
    rest = {name: values[: 200 + len(hostile)] for name, values in dataset.columns.items() if name not in names}
    dataset = dataclasses.replace(dataset, columns={**rest, **columns})
    for missing in ("median", "knn", "forest"):
        choices = TabularPreparation(missing=missing, scaling=scaling)
        check_parity(choices, dataset, blocks_by_graph, rows=np.arange(195, 209))


def test_many_columns_with_large_vocabularies_agree(make_dataset, blocks_by_graph):
    generator = np.random.default_rng(0)
    sizes = [300, 2, 90, 500, 200, 250, 30, 256, 257, 120, 90]
    names = [f"c{position}" for position in range(len(sizes))]
    columns = tuple(
        Column(name=name, kind=ColumnKind.CATEGORY, levels=tuple(f"{name if size % 2 else ''}x{i}" for i in range(size)))
        for name, size in zip(names, sizes, strict=True)
    )
    values = {name: generator.integers(-1, size, 300).astype(np.int32) for name, size in zip(names, sizes, strict=True)}
    original = make_dataset(numbers=False)
    schema = Schema((*columns, original.schema["y"]), target="y")
    dataset = dataclasses.replace(original, schema=schema, columns={**values, "y": original.columns["y"]})
    check_parity(TabularPreparation(categories="embedding", min_level_count=1), dataset, blocks_by_graph)


@pytest.mark.parametrize("preset", ["networks", "trees"])
@pytest.mark.parametrize("alone", ["normal", "empty", "flag", "moment", "pair", "street"])
def test_a_single_column_agrees_also_without_rows(alone, preset, make_dataset, blocks_by_graph):
    original = make_dataset()
    others = [name for name in original.schema.names if name not in (alone, "y")]
    dataset = original.without(others)
    check_parity(PRESETS[preset], dataset, blocks_by_graph)
    fitted = PRESETS[preset].fit(dataset, np.arange(200), seed=0).fitted
    assert fitted.transform(dataset, np.arange(0)).n_samples == 0


def test_a_category_that_is_always_missing_agrees(make_dataset, blocks_by_graph):
    dataset = make_dataset()
    schema = dataset.schema.replacing([Column(name="city", kind=ColumnKind.CATEGORY)])
    columns = {**dataset.columns, "city": np.full(300, -1, np.int32)}
    dataset = dataclasses.replace(dataset, schema=schema, columns=columns)
    for preset in PRESETS.values():
        for categories in ("one-hot", "ordinal", "embedding", "target"):
            check_parity(dataclasses.replace(preset, categories=categories), dataset, blocks_by_graph)


@pytest.mark.parametrize("seed", range(10))
def test_random_combinations_agree_with_their_graphs(seed, make_dataset, blocks_by_graph):
    choices = sample(TabularPreparation, seed=seed)
    if choices.missing != "drop-rows":
        task = sorted(ROW_KINDS)[seed % 3]
        check_parity(choices, make_dataset(seed=seed, task=task), blocks_by_graph)


def test_numbers_far_from_0_are_centred_in_the_graph_too(make_dataset, blocks_by_graph):
    dataset = make_dataset()
    name = next(column.name for column in dataset.schema.features if column.kind is ColumnKind.NUMBER)
    numbers = 2024_013_100 + np.arange(dataset.n_samples, dtype=np.float64)
    moved = dataclasses.replace(dataset, columns={**dataset.columns, name: numbers})
    inputs = check_parity(FOR_TREES, moved, blocks_by_graph)
    assert max(len(np.unique(column)) for column in inputs.blocks["numeric"].T) == dataset.n_samples
