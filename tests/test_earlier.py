"""What is made again of what an earlier process of a run has trained."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cupel import earlier
from cupel.core.candidate import Candidate
from cupel.core.recipe import Recipe
from cupel.tuning import Proposal
from cupel.tuning.tests.planted import family


def test_a_look_for_a_share_of_the_epochs_is_not_taken_for_a_candidate_of_a_single_fold(monkeypatch):
    deep = family("deep", deep=True, recipe=Recipe())
    candidate = Candidate(name="deep-1", modality="m", family="deep", config=deep.config(), preparation=None, recipe=Recipe())
    look = replace(candidate, name="deep-1 at 11%", recipe=Recipe(epochs_share=1 / 9))
    proposals = {each.key: Proposal(candidate=each, family=deep) for each in (look, candidate)}
    monkeypatch.setattr(earlier, "proposal_of", lambda problem, plain: proposals[plain["key"]])
    runner: Any = SimpleNamespace(begun_before={key: {"key": key} for key in proposals}, is_kept=lambda *_, **__: True)
    problem: Any = SimpleNamespace(families=[deep])
    assert earlier.kept_before(problem, runner) == [proposals[candidate.key]]
