"""A preparation learns from its training rows alone, and gives each row the same whatever stands beside it."""

import dataclasses

import numpy as np
import pytest

from cupel.core import registry
from cupel.core.errors import TrainingError, UsageError
from cupel.core.inputs import InputShape
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.space import Range
from cupel.core.task import TaskKind
from cupel.modalities.tabular import modality
from cupel.modalities.tabular.preparation import FOR_LINEAR, FOR_NETWORKS, FOR_REALMLP, FOR_TREES, TabularPreparation

TRAIN = np.arange(0, 300, 2)
CHOICES = {
    "trees": FOR_TREES,
    "linear": FOR_LINEAR,
    "networks": FOR_NETWORKS,
    "realmlp": FOR_REALMLP,
    "knn and target": TabularPreparation(missing="knn", categories="target", selection="mutual-information"),
    "forest": TabularPreparation(missing="forest", scaling="robust", categories="ordinal", selection="model"),
    "crossed": TabularPreparation(missing="keep", scaling="none", categories="ordinal", crossed_pairs=4),
}


def assert_same(first, second):
    assert first.cardinalities == second.cardinalities
    for name, block in first.blocks.items():
        np.testing.assert_array_equal(block, second.blocks[name], err_msg=name)


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_rows_outside_of_training_change_nothing(choices, make_dataset):
    dataset, other = make_dataset(seed=0), make_dataset(seed=1)
    mixed = {name: np.where(np.arange(300) % 2, other.columns[name], values) for name, values in dataset.columns.items()}
    mixed = {name: values.astype(dataset.columns[name].dtype) for name, values in mixed.items()}
    target = np.where(np.arange(300) % 2, other.target, dataset.target)
    changed = dataclasses.replace(dataset, columns=mixed, target=target)
    first, second = choices.fit(dataset, TRAIN, seed=3), choices.fit(changed, TRAIN, seed=3)
    assert_same(first.inputs, second.inputs)
    assert_same(first.fitted.transform(dataset, np.arange(300)), second.fitted.transform(dataset, np.arange(300)))


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_a_subset_of_rows_becomes_the_subset_of_the_inputs(choices, make_dataset):
    dataset = make_dataset()
    fitted = choices.fit(dataset, TRAIN, seed=0).fitted
    everything, rows = fitted.transform(dataset, np.arange(300)), np.array([299, 4, 4, 17])
    for name, block in fitted.transform(dataset, rows).blocks.items():
        np.testing.assert_allclose(block, everything.blocks[name][rows], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_the_same_seed_gives_the_same_and_the_target_of_new_rows_is_not_used(choices, make_dataset):
    dataset = make_dataset()
    blind = dataclasses.replace(dataset, target=np.where(np.isin(np.arange(300), TRAIN), dataset.target, 0))
    first, second = choices.fit(dataset, TRAIN, seed=5), choices.fit(blind, TRAIN, seed=5)
    assert_same(first.inputs, second.inputs)
    assert_same(first.fitted.transform(dataset, np.arange(300)), second.fitted.transform(blind, np.arange(300)))


def test_training_inputs_are_those_of_transform_without_target_encoding(make_dataset):
    dataset = make_dataset()
    for choices in (FOR_TREES, FOR_NETWORKS, FOR_REALMLP):
        prepared = choices.fit(dataset, TRAIN, seed=0)
        assert_same(prepared.inputs, prepared.fitted.transform(dataset, TRAIN))


def one_category(values, target, *, task, make_dataset, n_levels, group=None):
    original = make_dataset(n_rows=3, task=task)
    columns = [Column(name="c", kind=ColumnKind.CATEGORY, levels=tuple(f"l{level}" for level in range(n_levels)))]
    cells = {"c": np.asarray(values, np.int32), "y": np.asarray(target, float)}
    if group is not None:
        columns.append(Column(name="g", kind=ColumnKind.IDENTIFIER))
        cells["g"] = group
    columns.append(Column(name="y", kind=ColumnKind.NUMBER))
    schema = Schema(tuple(columns), target="y", group=None if group is None else "g")
    return dataclasses.replace(original, schema=schema, columns=cells, target=np.asarray(target))


ENCODING = TabularPreparation(scaling="none", categories="target", min_level_count=1)


@pytest.mark.parametrize("task", [TaskKind.BINARY, TaskKind.REGRESSION])
def test_target_encoding_does_not_leak_the_target_into_training_rows(task, make_dataset):
    generator = np.random.default_rng(0)
    values, target = generator.integers(0, 1000, 3000), generator.integers(0, 2, 3000)
    dataset = one_category(values, target, task=task, make_dataset=make_dataset, n_levels=1000)
    rows = np.arange(2000)
    prepared = ENCODING.fit(dataset, rows, seed=0)
    encoded = prepared.inputs.blocks["numeric"][:, 0]
    in_sample = prepared.fitted.transform(dataset, rows).blocks["numeric"][:, 0]
    assert abs(np.corrcoef(encoded, target[rows])[0, 1]) < 0.06
    assert in_sample.std() < 0.15  # shrinkage sees that there is no signal


def test_target_encoding_finds_the_mean_of_each_level(make_dataset):
    generator = np.random.default_rng(0)
    rates = np.array([0.1, 0.5, 0.9])
    values = generator.integers(0, 3, 30_000)
    target = (generator.random(30_000) < rates[values]).astype(np.int64)
    dataset = one_category(values, target, task=TaskKind.BINARY, make_dataset=make_dataset, n_levels=3)
    prepared = ENCODING.fit(dataset, np.arange(30_000), seed=0)
    encoded = prepared.inputs.blocks["numeric"][:, 0]
    for level, rate in enumerate(rates):
        assert np.allclose(encoded[values == level], rate, atol=0.02)


def test_missing_and_unseen_categories_encode_to_the_overall_mean(make_dataset):
    values = np.array([0, 0, 0, 1, 1, 1] * 50 + [-1, 2])
    target = np.array([0, 0, 1, 1, 1, 0] * 50 + [1, 1])
    dataset = one_category(values, target, task=TaskKind.BINARY, make_dataset=make_dataset, n_levels=3)
    fitted = ENCODING.fit(dataset, np.arange(300), seed=0).fitted
    encoded = fitted.transform(dataset, np.array([300, 301])).blocks["numeric"][:, 0]
    np.testing.assert_allclose(encoded, 0.5, atol=1e-6)


def test_rows_of_one_group_are_encoded_without_one_another(make_dataset):
    group = np.repeat(np.arange(50).astype(str), 4).astype(object)
    values, target = np.repeat(np.arange(50), 4), np.repeat(np.arange(50) % 2, 4)
    dataset = one_category(values, target, task=TaskKind.BINARY, make_dataset=make_dataset, n_levels=50, group=group)
    encoded = ENCODING.fit(dataset, np.arange(200), seed=0).inputs.blocks["numeric"][:, 0]
    per_group = encoded.reshape(50, 4)
    assert (per_group == per_group[:, :1]).all()  # each level is one group: nothing but the overall mean is left
    assert abs(np.corrcoef(encoded, target)[0, 1]) < 0.5


def test_copies_of_a_row_are_encoded_without_one_another(make_dataset):
    values, target = np.repeat(np.arange(100), 2), np.repeat(np.arange(100) % 2, 2)
    dataset = one_category(values, target, task=TaskKind.BINARY, make_dataset=make_dataset, n_levels=100)
    known = dataclasses.replace(dataset, units=np.repeat(np.arange(100), 2), row_numbers=np.arange(200))
    apart, together = (ENCODING.fit(each, np.arange(200), seed=0).inputs.blocks["numeric"][:, 0] for each in (dataset, known))
    assert np.corrcoef(apart, target)[0, 1] > 0.5
    assert abs(np.corrcoef(together, target)[0, 1]) < 0.4
    half, rows = known.at(np.arange(100, 200)), np.arange(100)
    of_some = ENCODING.fit(known, rows + 100, seed=0).inputs.blocks["numeric"]
    assert np.array_equal(of_some, ENCODING.fit(half, rows, seed=0).inputs.blocks["numeric"])


def test_deleting_rows_leaves_complete_training_rows_and_predicts_for_all(make_dataset):
    dataset = make_dataset()
    columns = dict(dataset.columns) | {"empty": np.zeros(300)}
    dataset = dataclasses.replace(dataset, columns=columns)
    prepared = TabularPreparation(missing="drop-rows").fit(dataset, TRAIN, seed=0)
    assert 2 <= len(prepared.rows) < len(TRAIN)
    assert np.isin(prepared.rows, TRAIN).all()
    assert prepared.inputs.n_samples == len(prepared.rows)
    assert not np.isnan(dataset.numeric(prepared.rows)).any()
    assert np.isfinite(prepared.fitted.transform(dataset, np.arange(300)).blocks["numeric"]).all()


def test_deleting_rows_that_leaves_none_says_so(make_dataset):
    with pytest.raises(TrainingError, match="0 of 150 training rows"):
        TabularPreparation(missing="drop-rows").fit(make_dataset(), TRAIN, seed=0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scaling": "logarithmic"}, "scaling is 'logarithmic'"),
        ({"min_level_count": -3}, "min_level_count is -3"),
        ({"min_level_count": 2.5}, "min_level_count is 2.5"),
        ({"keep": 0.0}, "keep is 0.0"),
        ({"keep": float("nan")}, "keep is nan"),
    ],
)
def test_a_choice_of_another_kind_is_refused(make_dataset, wrong, named):
    with pytest.raises(UsageError, match=named):
        TabularPreparation(**wrong).fit(make_dataset(), TRAIN, seed=0)


@pytest.mark.parametrize("family", [family.name for family in modality.families()])
def test_every_range_that_is_searched_can_be_extended(family, make_dataset):
    dataset = make_dataset(120, task=TaskKind.BINARY)
    family, task, shapes = registry.family_named(modality, family), dataset.task, {}
    space = family.space(task)
    ranges = {name: dimension for name, dimension in space.dimensions.items() if isinstance(dimension.domain, Range)}
    assert ranges or family.name in ("constant", "kNN")
    for name, dimension in ranges.items():
        wider = space.narrowed({name: {"low": dimension.domain.low, "high": 3 * dimension.domain.high}})
        condition = dimension.condition
        beside = {} if condition is None or condition.field not in space.dimensions else {condition.field: condition.values[0]}
        values = {name: 3 * dimension.domain.high, **beside}
        if not wider.is_active(name, values):
            continue
        preset = wider.preset(values)
        assert getattr(getattr(preset, space.parts[name]), name) == pytest.approx(values[name])
        if preset.preparation not in shapes:
            prepared = preset.preparation.fit(dataset, np.arange(0, 120, 2), seed=0)
            shapes[preset.preparation] = InputShape.covering([prepared.inputs])
        cost = family.cost(60, shapes[preset.preparation], preset.config, preset.recipe, task)
        assert np.isfinite([cost.seconds, cost.memory_bytes]).all()


def test_folds_give_codes_of_equal_width(make_dataset):
    dataset = make_dataset()
    widths = {
        FOR_NETWORKS.fit(dataset, rows, seed=0).inputs.widths["codes"] for rows in (np.arange(5), np.arange(150), TRAIN, [7])
    }
    assert widths == {2}
