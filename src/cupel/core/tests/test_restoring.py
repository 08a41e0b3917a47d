import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True, kw_only=True)
class Joined:
    parts: tuple[Any, ...] = ()
    whatever: Any = None
    told: str = field(default="", compare=False)


def through_json(value):
    return json.loads(json.dumps(plain(value)))


def test_settings_come_back_as_they_were():
    assert Settings.from_plain(through_json(SETTINGS)) == SETTINGS


def test_nested_fields_come_back_as_they_were():
    outer = Outer(inner=Inner(share=0.5), sizes=(1, 2), pair=(3, "c"), maybe=Inner(share=1.0), is_on=True, names={"x": 1})
    assert restored(Outer, through_json(outer), what="it") == outer


def test_where_the_type_says_nothing_an_object_of_the_same_make_does():
    like = Joined(parts=(Inner(share=0.1), Joined(told="inner")), whatever=Inner(share=0.2), told="outer")
    joined = Joined(parts=(Inner(share=0.5), Joined(whatever=3)), whatever=Inner(share=0.7))
    found = restored(Joined, through_json(joined), what="it", like=like)
    assert found == joined
    assert (found.told, found.parts[1].told) == ("outer", "inner")
    with pytest.raises(DataError, match=r"parts is .*expected a list of 2"):
        restored(Joined, {"parts": [{"share": 0.5}]}, what="it", like=like)
    with pytest.raises(DataError, match="share is 'x'; expected float"):
        restored(Joined, {"whatever": {"share": "x"}}, what="it", like=like)


@pytest.mark.parametrize("kind", TaskKind)
def test_every_preset_of_every_family_comes_back_as_it_was(kind):
    n_classes = 0 if kind is TaskKind.REGRESSION else 2 if kind is TaskKind.BINARY else 3
    grid = (32, 32) if kind is TaskKind.SEGMENTATION else ()
    task = Task(kind=kind, target="y", metric="x", classes=("a", "b", "c")[:n_classes], grid=grid)
    n_presets = 0
    for modality in registry.modalities():
        for family in modality.families():
            presets = family.portfolio(task) if kind in family.tasks else ()
            for preset in presets:
                n_presets += 1
                config, preparation = presets[0].config, presets[0].preparation
                assert restored(family.config, through_json(preset.config), what="config", like=config) == preset.config
                again = restored(type(preparation), through_json(preset.preparation), what="it", like=preparation)
                assert again == preset.preparation
                if preset.recipe is not None:
                    assert restored(Recipe, through_json(preset.recipe), what="recipe") == preset.recipe
    assert n_presets > 5


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
