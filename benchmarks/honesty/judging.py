"""Takes trials through the choosing and the judging of a run, without the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from cupel import conclusion, verdict
from cupel.core.dataset import Dataset
from cupel.core.profile import Profile
from cupel.core.registry import modality_named
from cupel.core.settings import Settings
from cupel.core.split import Splits
from cupel.core.trial import Ensemble, Trial
from cupel.problem import Problem

Array = np.ndarray[Any, Any]


def problem_of(dataset: Dataset, splits: Splits, settings: Settings) -> Problem:
    """What a run would work on, nothing looked at."""
    return Problem(
        dataset=dataset,
        modality=modality_named("tabular"),
        profile=Profile(n_samples=dataset.n_samples, columns=(), task=dataset.task),
        splits=splits,
        findings=(),
        families=(),
        settings=settings,
    )


def judged(problem: Problem, trials: list[Trial], *, most_corrections: int) -> tuple[verdict.Verdict, Ensemble]:
    """The verdict, and what would be packed."""
    leader, ensemble, select = conclusion._chosen(problem, trials)
    found = verdict.judge(
        trials,
        ensemble,
        dataset=problem.dataset,
        splits=problem.splits,
        findings=(),
        select=select,
        leader=leader,
        prefer=problem.settings.prefer,
        most_corrections=most_corrections,
    )
    return found, conclusion.packed(found, leader, usable=trials)
