"""What is made again of what an earlier process of a run has trained."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cupel import earlier
from cupel.core.candidate import Candidate
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular import modality
from cupel.tuning import Proposal

TASK = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")


def test_a_look_for_a_share_of_the_epochs_is_not_taken_for_a_candidate_of_a_single_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = next(family for family in modality.families() if family.name == "MLP")
    preset = deep.portfolio(TASK)[0]
    assert preset.recipe is not None
    given = {"modality": "tabular", "family": "MLP", "config": preset.config, "preparation": preset.preparation}
    candidate = Candidate(name="MLP-1", recipe=preset.recipe, **given)
    look = replace(candidate, name="MLP-1 at 11%", recipe=replace(preset.recipe, epochs_share=1 / 9))
    longer = replace(candidate, name="MLP-long", recipe=replace(preset.recipe, epochs_share=2.0))
    proposals = {each.key: Proposal(candidate=each, family=deep) for each in (look, candidate, longer)}
    monkeypatch.setattr(earlier, "proposal_of", lambda problem, plain: proposals[plain["key"]])
    runner: Any = SimpleNamespace(begun_before={key: {"key": key} for key in proposals}, is_kept=lambda *_, **__: True)
    problem: Any = SimpleNamespace(families=[deep])
    assert earlier.kept_before(problem, runner) == [proposals[candidate.key], proposals[longer.key]]
