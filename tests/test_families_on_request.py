"""Families that are tried only where they are asked for."""

import numpy as np
import pytest

from cupel import planning
from cupel.core.settings import Settings
from cupel.problem import Problem, understand


def problem_with(families: tuple[str, ...]) -> Problem:
    generator = np.random.default_rng(0)
    x = generator.normal(size=200)
    y = np.where(x + generator.normal(size=200) > 0, "yes", "no")
    return understand({"x": x, "y": y}, "y", settings=Settings(n_folds=3, families=families))


def names_of(problem: Problem) -> set[str]:
    return {family.name for family in problem.families}


def test_a_family_on_request_is_left_out_unless_it_is_named() -> None:
    problem = problem_with(())
    assert not any(family.on_request for family in problem.families)
    assert {"LightGBM", "MLP"} <= names_of(problem)
    assert not {"GrowNet", "SAMME"} & names_of(problem)


@pytest.mark.parametrize("name", ["grownet", "SAMME"])
def test_one_that_is_named_is_planned_beside_the_baselines(name: str) -> None:
    problem = problem_with((name,))
    asked = {family.name for family in problem.families if not family.is_baseline}
    assert {each.lower() for each in asked} == {name.lower()}
    assert any(step.family.name in asked for step in planning.plan(problem, effort="quick"))
