"""Candidates whose folds are trained apart: each fold is kept as soon as it is done, and is not made twice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cupel import execution, making
from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.errors import PassingError
from cupel.core.family import Family
from cupel.core.recipe import Recipe
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.trial import Status
from cupel.problem import Problem, understand

N_FOLDS = 3


@pytest.fixture(scope="module")
def problem() -> Problem:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 3))
    y = np.where(x[:, 0] + generator.normal(size=400) > 0, "yes", "no")
    return understand({**{f"x{k}": x[:, k] for k in range(3)}, "y": y}, "y", settings=Settings(n_folds=N_FOLDS))


class Executor:
    """Makes units in this process; writes down which folds it was asked for, and is lost before it makes the fold `lost`."""

    def __init__(self, problem: Problem, folder: execution.RunFolder, lost: int | None = None) -> None:
        self.maker = making.maker(making.handover(problem, units=folder.units.folder, kept_bytes=0), stopwatch=Stopwatch())
        self.asked: list[tuple[int, ...]] = []
        made = self.maker._made

        def or_lost(assignment: execution.Assignment, *others: Any, **how: Any) -> Any:
            if lost in assignment.folds:
                raise PassingError("the power went")
            return made(assignment, *others, **how)

        self.maker._made = or_lost  # type: ignore[method-assign]

    def execute(self, assignment: execution.Assignment, **how: Any) -> Any:
        self.asked.append(assignment.folds)
        return self.maker.execute(assignment, **how)


def of_network(problem: Problem, *, epochs: int) -> tuple[Candidate, Family]:
    family = replace(registry.family_named(problem.modality, "MLP"), folds_apart=True)
    preset = family.portfolio(problem.task)[0]
    recipe = Recipe(batch_size=64, epochs=epochs, patience=epochs, schedule="cosine")
    own = {"config": preset.config, "preparation": preset.preparation, "recipe": recipe}
    return Candidate(name="it", modality="tabular", family="MLP", **own), family


def runner_of(problem: Problem, folder: execution.RunFolder, executor: Executor) -> execution.Runner:
    return execution.Runner(dataset=problem.dataset, splits=problem.splits, folder=folder, executor=executor)  # type: ignore[arg-type]


def silent(fraction: float) -> None:
    del fraction


def test_a_later_process_makes_the_folds_that_are_missing_alone(problem: Problem, tmp_path: Path) -> None:
    candidate, family = of_network(problem, epochs=2)
    with execution.RunFolder(tmp_path) as folder:
        begun = runner_of(problem, folder, Executor(problem, folder, lost=1))
        assert begun.run(candidate, family, deadline=Deadline(), progress=silent).status is Status.FAILED
        journal = (tmp_path / "journal").iterdir()
        ended = {path: path.read_bytes().splitlines(keepends=True) for path in journal}
        for path, lines in ended.items():  # as a killed process leaves it: begun, and no word of its end
            path.write_bytes(b"".join(line for line in lines if b'"failed"' not in line))
    with execution.RunFolder(tmp_path) as folder:
        executor = Executor(problem, folder)
        trial = runner_of(problem, folder, executor).run(candidate, family, deadline=Deadline(), progress=silent)
    assert executor.asked == [(1, 2)]
    assert trial.status is Status.DONE
    assert not list(tmp_path.glob("checkpoints/*"))


def test_a_first_fold_that_was_cut_short_is_not_made_again_for_the_whole(problem: Problem, tmp_path: Path) -> None:
    candidate, family = of_network(problem, epochs=100_000)
    with execution.RunFolder(tmp_path) as folder:
        executor = Executor(problem, folder)
        runner = runner_of(problem, folder, executor)
        first = runner.run(candidate, family, deadline=Deadline(1.0), progress=silent, n_folds=1)
        assert first.status is Status.CUT_SHORT
        whole = runner.run(candidate, family, deadline=Deadline(2.0), progress=silent)
    assert executor.asked == [(0,), (1, 2)]
    assert whole.status is Status.CUT_SHORT
    assert whole.out_of_fold is not None
    assert np.isfinite(whole.out_of_fold).all()
