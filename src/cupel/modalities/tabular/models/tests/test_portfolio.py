import json
from importlib.resources import files

import pytest

from cupel.core import registry
from cupel.core.budget import Effort
from cupel.core.errors import UsageError
from cupel.core.presets import PARTS, Preset
from cupel.core.space import space_of
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.models.portfolio import preset_of, presets
from cupel.tuning import N_CANDIDATES, Ground, strategy_named

TASKS = {
    "classification": Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("a", "b")),
    "regression": Task(kind=TaskKind.REGRESSION, target="y", metric="rmse"),
}
SHIPPED = json.loads(files("cupel.modalities.tabular.models").joinpath("portfolio.json").read_text())
FAMILIES = {family.name: family for family in registry.modality_named("tabular").families()}


def placed(task):
    found = [(preset.place, family, preset) for family in FAMILIES.values() for preset in family.portfolio(task)]
    return sorted((item for item in found if item[0] is not None), key=lambda item: item[0])


@pytest.mark.parametrize("kind", TASKS)
def test_every_place_is_taken_once_and_none_is_missing(kind):
    assert [place for place, *_ in placed(TASKS[kind])] == list(range(len(SHIPPED[kind])))
    assert len(SHIPPED[kind]) > 5


@pytest.mark.parametrize("kind", TASKS)
def test_no_configuration_is_shipped_twice(kind):
    shipped = [(family.name, preset) for _, family, preset in placed(TASKS[kind])]
    assert len(set(shipped)) == len(shipped)


@pytest.mark.parametrize("kind", TASKS)
def test_every_field_is_within_its_declared_range(kind):
    for _, family, preset in placed(TASKS[kind]):
        for part in PARTS:
            holder = getattr(preset, part)
            for dimension in [] if holder is None else space_of(type(holder)):
                value = getattr(holder, dimension.name)
                assert value == dimension.default or value in dimension.domain, (family.name, dimension.name, value)


@pytest.mark.parametrize("kind", TASKS)
def test_the_classical_bar_comes_first_and_deep_ones_within_the_smallest_effort(kind):
    families = [family for _, family, _ in placed(TASKS[kind])]
    n_baselines = sum(family.is_baseline for family in FAMILIES.values())
    assert families[0].name == "LightGBM"
    assert len({family.name for family in families[: N_CANDIDATES[Effort.QUICK] - n_baselines] if family.is_deep}) >= 2


@pytest.mark.parametrize(
    ("kind", "wishes", "words"),
    [
        ("regression", {"FT-Transformer": {"width": 100}}, "8 heads cannot share a width of 100"),
        ("regression", {"FT-Transformer": {"width": 100, "n_heads": [4, 5]}}, None),
        ("regression", {"FT-Transformer": {"one_hot_limit": 5}}, "'one_hot_limit' matters only where 'categories' is 'one-hot'"),
        ("regression", {"RealMLP": {"momentum": 0.5}}, "'momentum' matters only where 'optimizer' is"),
        ("regression", {"MLP": {"optimizer": "rmsprop", "momentum": 0.5}}, None),
        ("regression", {"MLP": {"optimizer": "lion"}}, "expected one of adamw, adam, sgd, rmsprop"),
        ("regression", {"*": {"one_hot_limit": 5}}, None),
        ("regression", {"ExtraTrees": {"max_leaves": 9000}}, "of 100 trees with 1 outputs each has at most 4000"),
        ("regression", {"ExtraTrees": {"max_leaves": 9000, "n_trees": 40}}, None),
        ("classification", {"ExtraTrees": {"max_leaves": [64, 1024]}}, None),
    ],
)
def test_a_wish_is_met_or_refused_before_anything_runs(kind, wishes, words):
    ground = Ground(families=list(FAMILIES.values()), task=TASKS[kind], modality="tabular", n_candidates=8, seed=0, wishes=wishes)
    if words is None:
        strategy_named("auto", ground)
        return
    with pytest.raises(UsageError, match=words):
        strategy_named("auto", ground)


def test_options_that_a_family_does_not_search_are_there_for_who_wishes_them():
    space = FAMILIES["MLP"].space(TASKS["regression"])
    assert space.dimensions["optimizer"].domain.options == ("adamw", "sgd")
    wished = space.narrowed({"optimizer": ["adam", "rmsprop"]})
    assert wished.dimensions["optimizer"].domain.options == ("adam", "rmsprop")
    assert wished.default.recipe.optimizer == "adam"
    assert space.narrowed({"optimizer": ["sgd"]}).default.recipe.optimizer == "sgd"


def test_who_earned_no_place_keeps_its_default():
    default = FAMILIES["MLP"].space(TASKS["regression"]).default
    assert presets("a family that nobody learned about", default, task=TASKS["regression"]) == (default,)
    assert presets("a family that nobody learned about", default, task=TASKS["regression"])[0].place is None


def test_an_entry_changes_what_it_names_and_nothing_else():
    default = FAMILIES["MLP"].space(TASKS["regression"]).default
    changed = preset_of({"family": "MLP", "config": {"depth": 4}, "recipe": {"learning_rate": 0.5}}, default)
    assert (changed.config.depth, changed.recipe.learning_rate) == (4, 0.5)
    assert changed.preparation == default.preparation
    assert changed.config.width == default.config.width
    assert isinstance(changed, Preset)
