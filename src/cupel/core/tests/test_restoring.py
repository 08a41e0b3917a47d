import json
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from cupel.core import registry
from cupel.core.candidate import plain
from cupel.core.errors import DataError
from cupel.core.recipe import Recipe
from cupel.core.restoring import restored
from cupel.core.settings import Settings
from cupel.core.task import Task, TaskKind

SETTINGS = Settings(kinds={"a": "number"}, drop=("b",), space={"MLP": {"width": [64, 128]}}, n_folds=3, seed=7)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    colour: Colour = Colour.RED
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "a")
    maybe: Inner | None = None
    is_on: bool = False
    names: dict[str, int] = field(default_factory=dict)


def through_json(value):
    return json.loads(json.dumps(plain(value)))


def test_settings_come_back_as_they_were():
    assert Settings.from_plain(through_json(SETTINGS)) == SETTINGS


def test_nested_fields_come_back_as_they_were():
    outer = Outer(inner=Inner(share=0.5), sizes=(1, 2), pair=(3, "c"), maybe=Inner(share=1.0), is_on=True, names={"x": 1})
    assert restored(Outer, through_json(outer), what="it") == outer


@pytest.mark.parametrize("kind", TaskKind)
def test_every_preset_of_every_family_comes_back_as_it_was(kind):
    classes = {"binary": ("a", "b"), "multiclass": ("a", "b", "c")}.get(kind.value, ())
    task = Task(kind=kind, target="y", metric="x", classes=classes)
    n_presets = 0
    for modality in registry.modalities():
        for family in modality.families():
            for preset in family.portfolio(task) if kind in family.tasks else ():
                n_presets += 1
                assert restored(family.config, through_json(preset.config), what="config") == preset.config
                assert restored(type(preset.preparation), through_json(preset.preparation), what="it") == preset.preparation
                if preset.recipe is not None:
                    assert restored(Recipe, through_json(preset.recipe), what="recipe") == preset.recipe
    assert n_presets > 10


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"inner": None}, "inner is None"),
        ({"inner": {}}, "lacks the field 'share'"),
        ({"inner": {"share": "x"}}, "share is 'x'; expected float"),
        ({"inner": {"share": True}}, "expected float"),
        ({"colour": "blue"}, "colour is 'blue'; choose red"),
        ({"sizes": 5}, "sizes is 5; expected a list"),
        ({"sizes": [1.5]}, "expected int"),
        ({"pair": [1]}, "a list of 2"),
        ({"maybe": 5}, "maybe is 5"),
        ({"is_on": 1}, "expected bool"),
        ({"names": []}, "expected a mapping"),
        ({"names": {"x": "y"}}, "'x' is 'y'"),
        ({"code": "import os"}, "'code', which is unknown"),
    ],
)
def test_another_type_is_refused_and_the_field_named(change, named):
    with pytest.raises(DataError, match=named):
        restored(Outer, {"inner": {"share": 0.5}, **change}, what="it")


def test_what_is_no_mapping_is_refused():
    with pytest.raises(DataError, match="it is 5"):
        restored(Outer, 5, what="it")
