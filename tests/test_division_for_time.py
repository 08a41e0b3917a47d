"""How rows are divided where time is too short for models on every fold."""

from dataclasses import replace

import numpy as np
import pytest

import cupel
from cupel import dividing, execution, planning
from cupel.checks.example import example_dataset
from cupel.core import registry
from cupel.core.limits import Limits
from cupel.core.settings import Settings
from cupel.core.task import TaskKind
from cupel.dividing import divide, divided_for
from cupel.modalities.image.example import example_pictures
from cupel.problem import Problem, profile_of

N_ROWS = 120
FREE = Settings()


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(dividing, "FEWEST_FOR_A_TENTH", N_ROWS)
    monkeypatch.setattr(dividing, "FEWEST_FOR_A_LONG_RUN", N_ROWS)
    monkeypatch.setattr(dividing, "FEWEST_OF_OTHERS", N_ROWS // 10)


def problem(settings=FREE, *, n_rows=N_ROWS, families=("Airbench",), example=example_pictures):
    dataset = example("multiclass", n_samples=n_rows)
    modality = registry.recognise(dataset.schema)
    return Problem(
        dataset=dataset,
        modality=modality,
        profile=profile_of(dataset),
        splits=divide(dataset, settings),
        findings=(),
        families=tuple(registry.family_named(modality, name) for name in families),
        settings=settings,
    )


def test_a_tenth_is_held_out_and_the_settings_say_so_to_who_goes_on():
    found = divided_for(problem(), seconds=1.0)
    assert len(found.splits.folds) == 1
    assert len(found.splits.folds[0].valid) == pytest.approx(N_ROWS / 10, abs=2)
    assert "it is a tenth" in found.splits.reason
    again = divided_for(problem(Settings.from_plain(found.settings.to_plain())), seconds=1e9)
    assert again.splits.describe() == found.splits.describe()


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
def test_with_time_for_the_largest_network_there_are_folds(seconds):
    asked = problem()
    assert divided_for(asked, seconds=seconds) is asked


@pytest.mark.parametrize("said", [{"split": "k-fold"}, {"n_folds": 3}, {"n_repeats": 2}, {"split": "holdout"}])
def test_what_is_said_about_the_division_is_done(said):
    asked = problem(Settings(**said))
    assert divided_for(asked, seconds=1.0) is asked


def test_few_rows_are_divided_into_folds_and_so_are_those_that_no_long_run_is_made_for():
    for asked in (problem(n_rows=N_ROWS - 1), problem(families=("ResNet",))):
        assert divided_for(asked, seconds=1.0) is asked


def test_a_plan_tells_the_long_run_that_takes_the_place_of_a_search():
    divided = divided_for(problem(families=("constant", "Airbench", "ResNet")), seconds=1.0)
    found = planning.longest(divided, seconds=1.0)
    assert found.looked_at == ("Airbench-1", "Airbench-2")
    assert found.candidate.name == "Airbench-long"
    assert found.candidate.recipe.epochs_share > 1
    assert 0.2 < found.seconds < 1.0


@pytest.mark.parametrize("asked", [{"seconds": 1e9}, {"seconds": 1.0, "effort": "quick"}, {"effort": "quick"}, {}])
def test_a_plan_tells_none_where_there_is_a_search(asked):
    divided = divided_for(problem(families=("constant", "Airbench")), seconds=1.0)
    assert planning.longest(divided, **asked) is None
    assert planning.longest(problem(), seconds=1.0) is None  # of several folds


def of_a_table(*families, n_rows=N_ROWS):
    return problem(n_rows=n_rows, families=families, example=example_dataset)


def seconds_of_first(asked, name):
    """What the first placed preset of the family would take on all folds."""
    family = next(each for each in asked.families if each.name == name)
    first = min((each for each in family.portfolio(asked.task) if each.place is not None), key=lambda each: each.place)
    return asked.estimator()(first, family).seconds


@pytest.mark.parametrize(
    ("families", "first"),
    [(("LightGBM", "RealMLP"), "LightGBM"), (("RealMLP", "LightGBM"), "LightGBM"), (("RealMLP",), "RealMLP")],
)
def test_a_table_is_divided_once_where_the_first_of_the_portfolio_would_take_more_than_half_of_the_time(families, first):
    asked = of_a_table("constant", "linear", *families)
    needed = seconds_of_first(asked, first)
    assert divided_for(asked, seconds=2.1 * needed) is asked
    assert divided_for(asked, seconds=1.9 * needed).settings.split == "tenth"


def test_few_rows_and_baselines_alone_are_divided_into_folds():
    for asked in (of_a_table("constant", "LightGBM", n_rows=N_ROWS - 1), of_a_table("constant", "linear")):
        assert divided_for(asked, seconds=1e-3) is asked


def with_target(asked, kind, target):
    """The same with another target: of classes, or of labels."""
    classes = tuple("abc"[: max(2, target.max() + 1)]) if target.ndim == 1 else tuple("abc"[: target.shape[1]])
    task = replace(asked.dataset.task, kind=kind, classes=classes)
    return replace(asked, dataset=replace(asked.dataset, task=task, target=target))


def test_a_table_with_few_of_a_class_is_divided_into_folds_lest_a_handful_judge():
    asked, some = of_a_table("constant", "LightGBM"), N_ROWS // 10
    target = np.zeros(N_ROWS, np.int64)
    for n_others, split in ((some - 1, "auto"), (some, "tenth")):
        one = target.copy()
        one[:n_others] = 1
        assert divided_for(with_target(asked, TaskKind.BINARY, one), seconds=1e-3).settings.split == split
        one[: n_others // 2] = 2  # of several classes all but the commonest count together
        assert divided_for(with_target(asked, TaskKind.MULTICLASS, one), seconds=1e-3).settings.split == split
        labels = np.zeros((N_ROWS, 3))
        labels[:n_others, 0], labels[n_others:, 1], labels[:2, 2] = 1, 1, 1  # the last is scarce, the middling one counts
        assert divided_for(with_target(asked, TaskKind.MULTILABEL, labels), seconds=1e-3).settings.split == split


def test_a_run_that_is_there_is_divided_as_it_was_begun_however_much_time_there_is_now():
    asked = of_a_table("constant", "LightGBM")
    assert divided_for(asked, seconds=1e-3, begun="auto") is asked
    assert divided_for(asked, seconds=1e9, begun="tenth").settings.split == "tenth"
    said = of_a_table("constant", "LightGBM")
    said = replace(said, settings=replace(said.settings, split="k-fold"))
    assert divided_for(said, seconds=1e9, begun="tenth") is said  # refused when the folder is opened


@pytest.mark.parametrize(("share", "split"), [(1e-9, "tenth"), (1e9, "auto")])
def test_asking_the_same_with_other_time_goes_on_with_the_same_rows(share, split, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    columns = {"x": generator.normal(size=200), "y": np.array(["no", "yes"])[generator.integers(2, size=200)]}
    settings, limits = Settings(families=("LightGBM",)), Limits(workers=0)
    for time, own in ((3, share), (4, 1 / share)):
        monkeypatch.setattr(dividing, "MAX_SHARE_OF_FIRST", own)
        run = cupel.fit(columns, "y", time=time, out=tmp_path / "run", settings=settings, limits=limits, progress="none")
        assert execution.split_of(tmp_path / "run") == split
    assert run.verdict
    assert execution.split_of(tmp_path) is None
