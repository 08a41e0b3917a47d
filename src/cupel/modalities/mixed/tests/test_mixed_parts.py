"""Which columns go together, what is recognised as mixed, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.errors import UsageError
from cupel.core.modality import Pretrained
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.modalities.mixed import modality
from cupel.modalities.mixed.example import example_mixed
from cupel.modalities.mixed.parts import parts_of

PICTURE = Column(name="front", kind=ColumnKind.IMAGE, channels=3)
OTHER = replace(PICTURE, name="back")
NUMBER = Column(name="size", kind=ColumnKind.NUMBER)
ANSWER = Column(name="answer", kind=ColumnKind.CATEGORY, levels=("a", "b"))


def schema_of(*columns: Column) -> Schema:
    return Schema((*columns, ANSWER), target="answer")


def with_two_pictures() -> Dataset:
    """The example with its pictures twice, the second ones upside down."""
    dataset = example_mixed("binary")
    turned = np.empty(dataset.n_samples, dtype=object)
    for row, picture in enumerate(dataset.columns["picture"].tolist()):
        turned[row] = None if picture is None else picture[::-1].copy()
    columns = (replace(dataset.schema["picture"], name="other"), *dataset.schema.columns)
    return replace(dataset, schema=replace(dataset.schema, columns=columns), columns={"other": turned, **dataset.columns})


def test_only_columns_of_several_modalities_are_mixed() -> None:
    assert registry.recognise(schema_of(PICTURE, NUMBER)).name == "mixed"
    assert registry.recognise(schema_of(PICTURE)).name == "image"
    assert registry.recognise(schema_of(NUMBER)).name == "tabular"
    assert registry.recognise(schema_of(PICTURE, OTHER)).name == "mixed"
    assert modality.recognises(Schema((NUMBER, PICTURE), target="front")) == 0


def test_a_modality_that_reads_one_column_has_a_part_for_each() -> None:
    parts = parts_of(schema_of(OTHER, NUMBER, PICTURE))
    assert [(part.label, part.column, part.columns) for part in parts] == [
        ("back", "back", ("back",)),
        ("front", "front", ("front",)),
        ("tabular", "", ("size",)),
    ]
    assert [part.label for part in parts_of(schema_of(NUMBER, PICTURE))] == ["image", "tabular"]


def test_a_column_named_like_a_modality_is_told_from_it() -> None:
    labels = [part.label for part in parts_of(schema_of(NUMBER, PICTURE, replace(OTHER, name="tabular")))]
    assert labels == ["front", "column tabular", "tabular"]


def test_graphs_read_every_part() -> None:
    found = registry.recognise(schema_of(PICTURE, NUMBER, OTHER)).graph_inputs(schema_of(PICTURE, NUMBER, OTHER))
    assert [(each.name, each.kind) for each in found] == [("front", "pixels"), ("back", "pixels"), ("number", "numbers")]


def test_every_column_of_pictures_has_models_of_its_own() -> None:
    dataset = with_two_pictures()
    found = {family.name: family for family in registry.recognise(dataset.schema).families()}
    assert {"Airbench (other)", "Airbench (picture)", "RealMLP", "LightGBM", "LightGBM (tabular)"} <= set(found)
    assert "Airbench + Airbench + RealMLP" in found
    task = dataset.task
    assert task is not None
    assert {preset.preparation.column for preset in found["Airbench (other)"].portfolio(task)} == {"other"}
    assert found["Airbench (other)"].space(task).default.preparation.column == "other"


def test_the_one_part_that_can_starts_from_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Pretrained()
    installed = [
        replace(each, pretrained=lambda weights: opened) if each.name == "image" else replace(each, pretrained=None)
        for each in registry.modalities()
    ]
    monkeypatch.setattr(registry, "modalities", lambda: tuple(installed))
    found = registry.recognise(schema_of(PICTURE, NUMBER)).pretrained
    assert found is not None
    assert found(()) is opened
    several = registry.recognise(schema_of(PICTURE, NUMBER, OTHER)).pretrained
    assert several is not None
    with pytest.raises(UsageError, match="front, back may each start"):
        several(())


def test_a_column_that_collides_with_an_input_of_the_table_is_refused() -> None:
    dataset = example_mixed("binary")
    columns = (replace(dataset.schema["picture"], name="number"), *dataset.schema.columns[1:])
    renamed = {"number": dataset.columns["picture"], **{name: dataset.columns[name] for name in ("amount", "colour", "answer")}}
    collides = replace(dataset, schema=replace(dataset.schema, columns=columns), columns=renamed)
    assert "rename the column 'number'" in (modality.unusable(collides) or "")
    assert modality.unusable(dataset) is None


def test_a_part_that_nobody_can_learn_from_is_refused_with_a_way_out() -> None:
    dataset = example_mixed("binary")
    nothing = {**dataset.columns, "picture": np.full(dataset.n_samples, None, dtype=object)}
    reason = modality.unusable(replace(dataset, columns=nothing)) or ""
    assert "not one picture in column 'picture' can be read" in reason
    assert "--drop" in reason


def test_rows_are_twins_where_any_part_says_so() -> None:
    dataset = example_mixed("binary")
    pictures = dataset.columns["picture"].copy()
    pictures[1], pictures[4] = pictures[0], pictures[3]
    inspection = modality.inspect(replace(dataset, columns={**dataset.columns, "picture": pictures}))  # type: ignore[misc]
    assert inspection.twins is not None
    assert inspection.twins[0] == inspection.twins[1] != inspection.twins[3] == inspection.twins[4]
    assert not {finding.code for finding in inspection.findings} & {"duplicate-rows", "contradicting-rows"}


def test_pictures_are_described_beside_the_columns_of_the_table() -> None:
    dataset = example_mixed("binary")
    describe = modality.inspect(dataset).describe  # type: ignore[misc]
    assert describe is not None
    described = describe(np.arange(5))
    assert len(described) == 5
    assert described.shape[1] > 32
    np.testing.assert_array_equal(describe(np.array([3])), described[[3]])


def test_pictures_that_many_rows_share_are_said_and_bind_no_rows_together() -> None:
    dataset = example_mixed("binary")
    pictures = np.empty(dataset.n_samples, dtype=object)
    for row in range(dataset.n_samples):
        pictures[row] = dataset.columns["picture"][row % 4]
    inspection = modality.inspect(replace(dataset, columns={**dataset.columns, "picture": pictures}))  # type: ignore[misc]
    assert inspection.twins is None
    (finding,) = [finding for finding in inspection.findings if finding.code == "repeated-cells"]
    assert finding.where == "picture"
    assert "--group" in finding.action


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_what_reads_all_takes_its_turn_with_what_reads_a_part(kind: str) -> None:
    dataset = example_mixed(kind)
    task = dataset.task
    assert task is not None
    placed = sorted(
        (preset.place, family.name)
        for family in registry.recognise(dataset.schema).families()
        if task.kind in family.tasks
        for preset in family.portfolio(task)
        if preset.place is not None
    )
    assert [name for _, name in placed[:6]] == [
        *("LightGBM", "Airbench", "LightGBM (tabular)", "Airbench + RealMLP", "LightGBM (image)", "LightGBM (tabular)")
    ]
    assert len({place for place, _ in placed}) == len(placed)


def test_looking_at_a_mixed_table_needs_no_training_library() -> None:
    code = (
        "import sys; from cupel.modalities.mixed import modality; from cupel.modalities.mixed.example import example_mixed;"
        "modality.recognises(example_mixed('binary').schema);"
        "print([name for name in ('torch', 'sklearn', 'lightgbm', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr
