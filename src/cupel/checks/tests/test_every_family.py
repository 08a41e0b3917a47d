"""Every registered family and modality keeps its promises, ours exactly as a plug-in's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from cupel.checks import FAMILY_CHECKS, MODALITY_CHECKS, Bench, bench_for, example_for
from cupel.checks.modalities import ModalityBench
from cupel.core import registry
from cupel.core.modality import Modality
from cupel.core.task import TaskKind


def cases() -> Iterator[Any]:
    """Every family with every kind of task; in the fast set one kind each, in turn, so that each kind is seen often.

    Networks so large that folds are trained apart are left to the slow set.
    """
    for modality in registry.modalities():
        for number, family in enumerate(modality.families()):
            kinds = sorted(family.tasks)
            for kind in kinds:
                is_fast = kind is kinds[number % len(kinds)] and not family.folds_apart
                marks = () if is_fast else pytest.mark.slow
                yield pytest.param(modality, family, kind, id=f"{modality.name}-{family.name}-{kind.value}", marks=marks)


def asked_of_modalities() -> Iterator[Any]:
    """Every modality with every kind of task that a family of it serves."""
    for modality in registry.modalities():
        for kind in sorted({kind for family in modality.families() for kind in family.tasks}):
            yield pytest.param(modality, kind, id=f"{modality.name}-{kind.value}")


@cache
def bench_of(modality: str, family: str, kind: TaskKind) -> Bench:
    named = registry.modality_named(modality)
    return bench_for(registry.family_named(named, family), kind, dataset=example_for(named, kind))


OUTSIDE = {
    "Airbench": {2},  # by gradients, at rates that the default's optimiser cannot take
    " + ": {1},  # other parts, of which a joint space keeps the first preset's
}


@pytest.mark.parametrize("modality", registry.modalities(), ids=lambda modality: modality.name)
def test_presets_are_points_of_their_familys_space(modality: Modality) -> None:
    for kind in sorted({kind for family in modality.families() for kind in family.tasks}):
        task = example_for(modality, kind).task
        assert task is not None, "an example has a task"
        for family in [family for family in modality.families() if kind in family.tasks]:
            space, presets = family.space(task), family.portfolio(task)
            outside = {number for number, preset in enumerate(presets) if not space.holds(preset)}
            assert outside <= OUTSIDE.get(family.name, OUTSIDE[" + "] if " + " in family.name else set()), family.name


def by_name(check: Callable[..., Any]) -> str:
    return check.__name__


@pytest.mark.parametrize("check", FAMILY_CHECKS, ids=by_name)
@pytest.mark.parametrize(("modality", "family", "kind"), list(cases()))
def test_family_keeps_its_promise(modality: Modality, family: Any, kind: TaskKind, check: Callable[[Bench], None]) -> None:
    check(bench_of(modality.name, family.name, kind))


@pytest.mark.parametrize("check", MODALITY_CHECKS, ids=by_name)
@pytest.mark.parametrize(("modality", "kind"), list(asked_of_modalities()))
def test_modality_keeps_its_promise(modality: Modality, kind: TaskKind, check: Callable[[ModalityBench], None]) -> None:
    check(ModalityBench(modality, example_for(modality, kind)))
