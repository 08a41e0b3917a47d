import subprocess
import sys

import numpy as np
import pytest

from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular import modality
from cupel.tuning import Ground


def schema_of(*kinds, target="y"):
    columns = [Column(name=f"{kind.value}_{number}", kind=kind, levels=("a",)) for number, kind in enumerate(kinds)]
    return Schema((*columns, Column(name="y", kind=ColumnKind.NUMBER)), target=target)


def test_the_registry_finds_tables_by_any_usable_column():
    assert registry.recognise(schema_of(ColumnKind.NUMBER)) is modality
    assert registry.modality_named("tabular") is modality
    assert modality.recognises(schema_of(ColumnKind.TEXT, ColumnKind.IDENTIFIER, ColumnKind.CONSTANT)) == 0


def test_a_graph_reads_numbers_and_texts_in_schema_order_and_no_empty_input():
    schema = schema_of(ColumnKind.CATEGORY, ColumnKind.DATETIME, ColumnKind.TEXT, ColumnKind.NUMBER, ColumnKind.BOOLEAN)
    numbers, categories = modality.graph_inputs(schema)
    assert (numbers.name, numbers.kind, numbers.columns) == ("number", "numbers", ("datetime_1", "number_3", "boolean_4"))
    assert (categories.name, categories.kind, categories.columns) == ("category", "strings", ("category_0",))
    assert [graph_input.name for graph_input in modality.graph_inputs(schema_of(ColumnKind.NUMBER))] == ["number"]
    assert [graph_input.name for graph_input in modality.graph_inputs(schema_of(ColumnKind.CATEGORY))] == ["category"]


def test_what_a_table_cannot_feel_is_not_searched_but_where_it_is_wished_for():
    columns = {"a": np.arange(4.0), "g": np.array([0.0, np.nan, 1.0, 2.0]), "y": np.arange(4.0)}
    columns |= {name: np.zeros(4, np.int32) for name in ("c", "d")}
    kinds = dict.fromkeys(("a", "g", "y"), ColumnKind.NUMBER) | dict.fromkeys(("c", "d"), ColumnKind.CATEGORY)

    def unfelt_of(*names):
        schema = Schema(tuple(Column(name=name, kind=kinds[name], levels=("l",)) for name in names), target="y")
        return modality.unfelt(Dataset(schema=schema, columns={name: columns[name] for name in names}, fingerprint=""))

    def searched(unfelt, **wishes):
        task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
        named = {name: registry.family_named(modality, name) for name in ("LightGBM", "MLP")}
        ground = Ground(
            families=list(named.values()), task=task, modality="m", n_candidates=9, seed=0, wishes=wishes, unfelt=unfelt
        )
        assert all(ground.space(family).holds(preset) for family in named.values() for preset in ground.presets(family))
        return set(ground.space(named["MLP"]).dimensions)

    of_categories = {"one_hot_limit", "above_limit", "min_level_count", "category_width"}
    assert unfelt_of("a", "g", "c", "d", "y") == frozenset()
    whole = searched(frozenset())
    assert whole >= {"missing", "crossed_pairs", *of_categories}
    assert searched(unfelt_of("g", "y")) == whole - of_categories - {"crossed_pairs"}
    assert searched(unfelt_of("g", "c", "y")) == whole - {"crossed_pairs"}
    assert searched(unfelt_of("a", "c", "d", "y")) == whole - {"missing"}
    assert "missing" in searched(unfelt_of("a", "y"), MLP={"missing": "mean"})


def test_looking_at_tables_imports_no_training_library():
    code = (
        "import sys, cupel.modalities.tabular as t; t.modality.recognises; "
        "assert not {'torch', 'sklearn', 'lightgbm', 'scipy', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1.0, 2.0, np.nan], None),
        ([1.0, 1.0, np.nan], None),
        ([1.0, 1.0, 1.0], "same value"),
        ([np.nan] * 3, "same value"),
    ],
)
def test_features_that_carry_nothing_are_said_to_be_unusable(cells, expected):
    columns = {"number_0": np.array(cells), "y": np.arange(3.0)}
    reason = modality.unusable(Dataset(schema=schema_of(ColumnKind.NUMBER), columns=columns, fingerprint=""))
    assert (reason is None) if expected is None else (expected in reason)


def test_a_table_without_features_is_unusable_and_its_columns_are_named():
    columns = {"text_0": np.array(["a", "b"], object), "y": np.arange(2.0)}
    reason = modality.unusable(Dataset(schema=schema_of(ColumnKind.TEXT), columns=columns, fingerprint=""))
    assert "text_0 (text)" in reason
