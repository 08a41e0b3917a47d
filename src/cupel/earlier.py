"""Candidates that an earlier process of a run, or the run that is refitted, has tried, made again from what it wrote of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cupel import execution, tuning
from cupel.core import registry
from cupel.core.candidate import Candidate
from cupel.core.errors import CupelError, DataError
from cupel.core.family import Family
from cupel.core.recipe import Recipe
from cupel.core.restoring import restored
from cupel.problem import Problem


def proposal_of(problem: Problem, plain: Mapping[str, Any]) -> tuning.Proposal:
    """A candidate as it was.

    Raises:
        DataError: it cannot be made again: its family is gone, or its fields have changed.
    """
    name = str(plain.get("name", "?"))
    if plain.get("modality") != problem.modality.name:
        raise DataError(f"candidate {name!r} is for {plain.get('modality')!r}, and the data are {problem.modality.name}.")
    family: Family = registry.family_named(problem.modality, str(plain.get("family")), others=problem.families)
    own = family.portfolio(problem.task)[0]
    recipe = plain.get("recipe")
    candidate = Candidate(
        name=name,
        modality=problem.modality.name,
        family=family.name,
        config=restored(family.config, plain.get("config"), what=f"the config of {name}", like=own.config),
        preparation=restored(
            type(own.preparation), plain.get("preparation"), what=f"the preparation of {name}", like=own.preparation
        ),
        recipe=None if recipe is None else restored(Recipe, recipe, what=f"the recipe of {name}"),
    )
    return tuning.Proposal(candidate=candidate, family=family)


def kept_before(problem: Problem, runner: execution.Runner) -> list[tuning.Proposal]:
    """What earlier processes of the run have trained whole on all folds, in the order in which they began it; cut short or not.

    A look for a share of the epochs is none of these, were there but one fold; one long run, of more, is.
    What cannot be made again, or is another one than its key says, is left out: the journal may be a stranger's.
    """
    found, searched = [], {family.name for family in problem.families}
    for key, plain in runner.begun_before.items():
        try:
            proposal = proposal_of(problem, plain)
        except CupelError:
            continue
        recipe = proposal.candidate.recipe
        is_own = proposal.candidate.key == key and proposal.family.name in searched
        is_whole = recipe is None or recipe.epochs_share >= 1
        if is_own and is_whole and runner.is_kept(proposal.candidate, cut_short=True):
            found.append(proposal)
    return found
