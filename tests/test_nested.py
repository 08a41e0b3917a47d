"""Nested cross-validation: whole runs without each outer fold, whose rows no part of them sees."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cupel
from cupel import evaluation, nesting, pipeline, verdict
from cupel.cli.asking import add_nested, with_nested
from cupel.cli.main import main
from cupel.cli.plan import nested_words
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.errors import StorageError, UsageError
from cupel.core.limits import Limits
from cupel.core.observer import Silent
from cupel.core.settings import Settings
from cupel.core.uncertainty import Decision, Uncertainty
from cupel.dividing import outer_parts
from cupel.execution import Guard, Journal, RunFolder, UnitMaker
from cupel.nesting import Nesting
from cupel.problem import Problem, understand

N_ROWS, N_OUTER = 90, 3
QUICK = Settings(families=("linear",), split="stratified", n_folds=2, nested=N_OUTER, ensemble="none")
HERE = Limits(workers=0)


def table(*, seed: int = 0, noise: bool = False) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=N_ROWS)
    days = [f"2024-{1 + number // 28:02d}-{1 + number % 28:02d}" for number in range(N_ROWS)]
    groups = [f"g{number}" for number in generator.integers(0, 20, N_ROWS)]
    says = generator.random(N_ROWS) < 0.5 if noise else x + generator.normal(0, 0.5, N_ROWS) > 0
    return {"x": x, "z": generator.normal(size=N_ROWS), "who": groups, "day": days, "y": np.where(says, "yes", "no")}


def plain(**given: Any) -> dict[str, Any]:
    return {name: cells for name, cells in table(**given).items() if name in ("x", "z", "y")}


def asked(**settings: Any) -> Problem:
    return understand(table(), "y", settings=Settings(**{"nested": N_OUTER, **settings}))


def folds_of(problem: Problem) -> tuple[nesting.OuterFold, ...]:
    return Nesting.of(problem, Path(), effort=Effort.QUICK).folds


def used(fold: nesting.OuterFold) -> set[int]:
    parts = (part for each in fold.splits.folds for part in (each.train, each.stop, each.valid))
    return {row for part in parts for row in part.tolist()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> cupel.Run:
    out = tmp_path_factory.mktemp("nested") / "run"
    return cupel.fit(plain(), "y", effort="quick", out=out, settings=QUICK, limits=HERE)


def test_every_row_is_judged_once_by_a_run_that_had_all_others_and_never_it() -> None:
    folds = folds_of(asked(drop=("who", "day"), split="stratified"))
    assert len(folds) == N_OUTER
    judged = np.concatenate([fold.judged for fold in folds])
    assert sorted(judged.tolist()) == list(range(N_ROWS))
    for fold in folds:
        assert used(fold) == set(range(N_ROWS)) - set(fold.judged.tolist())
        assert fold.n_learned == N_ROWS - len(fold.judged)


def test_few_rows_whose_folds_are_drawn_twice_are_divided_once_from_outside() -> None:
    assert len(folds_of(asked(drop=("who", "day")))) == N_OUTER


def test_groups_are_never_divided_by_an_outer_fold() -> None:
    problem = asked(group="who", drop=("day",))
    groups = problem.splits.groups
    assert groups is not None
    for fold in folds_of(problem):
        assert not set(groups[fold.judged]) & set(groups[sorted(used(fold))])
        assert fold.splits.groups is not None
        assert (fold.splits.groups[sorted(used(fold))] >= 0).all()


def test_later_rows_are_predicted_from_earlier_ones_where_time_orders_them() -> None:
    for fold in folds_of(asked(time="day", drop=("who",))):
        assert max(used(fold)) < fold.judged.min()


def test_twins_and_sealed_rows_stay_where_they_belong() -> None:
    problem = asked(drop=("who", "day"), seal=0.2)
    assert problem.splits.sealed is not None
    sealed = set(problem.splits.sealed.tolist())
    for learned, judged in outer_parts(problem):
        assert not sealed & (set(learned.tolist()) | set(judged.tolist()))


def test_one_outer_fold_is_refused() -> None:
    with pytest.raises(UsageError, match="2 or more"):
        folds_of(asked(drop=("who", "day"), nested=1))


def test_the_verdict_has_the_nested_score_beside_the_corrected_one(finished: cupel.Run) -> None:
    nested = finished.facts["nested"]
    assert nested["low"] <= nested["estimate"] <= nested["high"]
    assert nested["rows"] == N_ROWS
    assert [run["number"] for run in nested["folds"]] == [1, 2, 3]
    assert all(run["pick"].startswith("linear") for run in nested["folds"])
    weights = [run["n_judged"] for run in nested["folds"]]
    assert nested["estimate"] == pytest.approx(np.average([run["score"] for run in nested["folds"]], weights=weights))
    assert "on 90 rows that no part of it had seen" in " ".join(finished.verdict.split())
    assert "judged from outside" in finished.report.read_text()
    assert finished.facts["seconds_by_stage"]["whole runs on outer folds"] > 0


def judged_from_outside(problem: Problem, path: Path, conduct: Any = pipeline._searched_within) -> verdict.Nested | None:
    """The outer runs alone, of linear models."""
    budget, guard = Budget(Effort.QUICK, None), Guard(path, HERE)
    with RunFolder(path) as folder:
        return Nesting.of(problem, path, effort=Effort.QUICK).carried_out(
            partial(conduct, budget=budget, guard=guard), left=lambda: math.inf, end=lambda: "", observer=Silent(), folder=folder
        )


def test_on_noise_the_nested_score_is_chance(tmp_path: Path) -> None:
    found = judged_from_outside(understand(plain(noise=True, seed=3), "y", settings=QUICK), tmp_path)
    assert found is not None
    assert found.low < 0.5 < found.high


def test_status_counts_outer_folds(finished: cupel.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(finished.folder)]) == 0
    assert "3 of 3 outer folds finished" in capsys.readouterr().out


def test_what_outer_runs_trained_is_not_kept(finished: cupel.Run) -> None:
    kept = {path.name for path in (finished.folder / "nested" / "1").iterdir()}
    assert {"run.json", "predictions.npy"} <= kept
    assert "units" not in kept


def test_an_interrupted_run_goes_on_and_repeats_no_finished_outer_fold(tmp_path: Path) -> None:
    begun: list[str] = []

    def counted(problem: Any, folder: Any, seconds: Any, observer: Any, **given: Any) -> Any:
        begun.append(folder.path.name)
        if begun == ["1", "2"]:
            raise KeyboardInterrupt
        return pipeline._searched_within(problem, folder, seconds, observer, **given)

    problem = understand(plain(), "y", settings=QUICK)
    with pytest.raises(KeyboardInterrupt):
        judged_from_outside(problem, tmp_path, counted)
    found = judged_from_outside(problem, tmp_path, counted)
    assert begun == ["1", "2", "2", "3"]
    assert found is not None
    assert [run.number for run in found.runs] == [1, 2, 3]
    assert judged_from_outside(problem, tmp_path, counted) == found
    assert begun == ["1", "2", "2", "3"]


def test_an_outer_fold_whose_folder_could_not_be_written_meanwhile_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, made = UnitMaker.execute, list[int]()

    def failing(self: Any, assignment: Any, **how: Any) -> Any:
        made.append(len(made))
        if len(made) == 2:
            raise StorageError("the disk was full for a moment; `cupel resume` goes on.")
        return execute(self, assignment, **how)

    monkeypatch.setattr(UnitMaker, "execute", failing)
    problem = understand(plain(), "y", settings=QUICK)
    first = judged_from_outside(problem, tmp_path)
    assert first is not None
    assert [run.number for run in first.runs] == [2, 3]
    assert first.missing == "The others are missing: the disk was full for a moment; `cupel resume` goes on."
    again = judged_from_outside(problem, tmp_path)
    assert again is not None
    assert {run.n_candidates for run in again.runs} == {first.runs[0].n_candidates}
    assert [run.number for run in again.runs] == [1, 2, 3]


def seconds_of(folds: Nesting) -> float:
    budget, deadline = folds.own_part(Budget(Effort.QUICK, 60.0), Deadline(60.0))
    assert budget.seconds == pytest.approx(deadline.remaining, abs=0.1)
    return deadline.remaining


def test_a_damaged_outer_fold_is_done_again_and_another_effort_is_another_run(finished: cupel.Run, tmp_path: Path) -> None:
    problem = understand(plain(), "y", settings=QUICK)
    known = Nesting.of(problem, finished.folder, effort=Effort.QUICK)
    assert known.waiting == []
    assert seconds_of(known) == pytest.approx(60.0, abs=0.1)
    assert len(Nesting.of(problem, finished.folder, effort=Effort.STANDARD).waiting) == N_OUTER
    empty = Nesting.of(problem, tmp_path, effort=Effort.QUICK)
    assert seconds_of(empty) == pytest.approx(15.0, abs=0.1)
    assert empty.own_part(Budget(Effort.QUICK, None), Deadline())[0].seconds is None
    for name, content in (("run.json", "{"), ("predictions.npy", "no")):
        place = tmp_path / "nested" / "1"
        place.mkdir(parents=True, exist_ok=True)
        for kept in ("run.json", "predictions.npy"):
            (place / kept).write_bytes((finished.folder / "nested" / "1" / kept).read_bytes())
        assert empty.kept(empty.folds[0]) is not None
        (place / name).write_text(content)
        assert empty.kept(empty.folds[0]) is None


def test_an_outer_fold_whose_score_is_not_defined_is_finished_all_the_same(finished: cupel.Run, tmp_path: Path) -> None:
    problem = understand(plain(), "y", settings=QUICK)
    done = Nesting.of(problem, finished.folder, effort=Effort.QUICK)
    nesting = Nesting.of(problem, tmp_path, effort=Effort.QUICK)
    (tmp_path / "nested" / "1").mkdir(parents=True)
    kept = done.kept(done.folds[0])
    assert kept is not None
    nesting.keep(nesting.folds[0], replace(kept, run=replace(kept.run, score=float("nan"))))
    again = nesting.kept(nesting.folds[0])
    assert again is not None
    assert np.isnan(again.run.score)


@pytest.mark.slow
def test_a_finished_run_may_be_asked_for_nested_afterwards(tmp_path: Path) -> None:
    given = {"effort": "quick", "out": tmp_path / "run", "limits": HERE}
    first = cupel.fit(plain(), "y", settings=Settings(families=("linear",), n_folds=2, ensemble="none"), **given)
    assert "nested" not in first.facts
    n_lines = len(list(Journal(first.folder / "journal" / "journal.jsonl").read()))
    settings = Settings(families=("linear",), n_folds=2, ensemble="none", nested=2)
    second = cupel.fit(plain(), "y", settings=settings, **given)
    assert second.facts["nested"]["asked"] == 2
    events = [record["event"] for record in list(Journal(first.folder / "journal" / "journal.jsonl").read())[n_lines:]]
    assert events.count("outer fold") == 2
    assert "started" not in events


def test_what_follows_is_told_with_its_time() -> None:
    assert nesting._announced(5, of=5, seconds=math.inf) == "now the same without each of 5 outer folds"
    told = nesting._announced(2, of=5, seconds=12.3)
    assert "2 of 5 outer folds; the others are done, about 12 s each" in told
    assert "give more --time" in told
    assert "give more" not in nesting._announced(2, of=5, seconds=90.0)


def test_when_it_must_end_the_outer_folds_that_are_missing_are_said(tmp_path: Path) -> None:
    problem = understand(plain(), "y", settings=QUICK)
    done = Nesting.of(problem, tmp_path, effort=Effort.QUICK)
    nothing = done.carried_out(None, left=lambda: 0.0, end=lambda: "", observer=Silent(), folder=None)  # type: ignore[arg-type]
    assert nothing is None


def test_words_say_whether_the_promise_held() -> None:
    run = cupel_run(score=0.70, expected=0.80)
    found = found_of(run, estimate=0.70, low=0.65, high=0.75, missing="The others are missing: time was up.")
    words = found.words("ROC-AUC", higher_is_better=True)
    assert "without each of 3 outer folds (1 of them so far)" in words
    assert "more than it held" in words
    assert words.endswith("time was up.")
    assert "held more" in found_of(run, estimate=0.9, low=0.85, high=0.95).words("ROC-AUC", higher_is_better=True)
    assert "held more" in found_of(run, estimate=0.7, low=0.65, high=0.75).words("RMSE", higher_is_better=False)
    assert "which held" in found_of(run, estimate=0.8, low=0.75, high=0.85).words("RMSE", higher_is_better=False)
    assert json.dumps(found.to_json())


def test_what_is_held_against_the_promise_is_what_would_be_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise is that of the packed mean, not of its models one by one, and answers are given by its threshold."""
    problem = understand(table(noise=True), "y", settings=Settings(nested=2, metric="accuracy"))
    outer = Nesting.of(problem, tmp_path, effort=Effort.QUICK)
    fold = outer.folds[0]
    right = np.where(problem.target[fold.judged, None] == [0, 1], 0.9, 0.1)
    packed = {"estimate": 0.84, "low": 0.7, "high": 0.9}
    told = SimpleNamespace(expected=verdict.Score(**packed), n_candidates=2, pick=SimpleNamespace(name="linear-1"))
    found = SimpleNamespace(verdict=told, pick=None, uncertainty=Uncertainty(decision=Decision(0.95)))
    monkeypatch.setattr(nesting, "proven", lambda *_, **__: found)
    monkeypatch.setattr(nesting, "packed_model", lambda *_, **__: b"")
    monkeypatch.setattr(nesting.unsealing, "said_of", lambda *_, **__: right)
    conduct: Any = lambda *_: []  # noqa: E731
    outer._carry_out(fold, conduct, seconds=math.inf, end=lambda: "", observer=Silent())
    done = outer.kept(fold)
    assert done is not None
    assert (done.run.expected, done.run.low, done.run.high) == (0.84, 0.7, 0.9)
    assert done.run.score == pytest.approx((problem.target[fold.judged] == 0).mean())


def cupel_run(*, score: float, expected: float) -> Any:
    return verdict.OuterRun(
        number=1, n_learned=60, n_judged=30, pick="linear-1", n_candidates=2, expected=expected, low=0.6, high=0.9, score=score,
        seconds=1.0,
    )  # fmt: skip


def found_of(run: Any, *, estimate: float, low: float, high: float, missing: str = "") -> Any:
    return verdict.Nested(estimate=estimate, low=low, high=high, n_rows=30, n_asked=3, runs=(run,), missing=missing)


def test_the_options_and_what_the_plan_says() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_nested(parser)
    for given, n_folds in (([], 0), (["--nested"], 5), (["--outer-folds", "3"], 3), (["--nested", "--outer-folds", "4"], 4)):
        assert with_nested(Settings(), parser.parse_args(given)).nested == n_folds
    assert "6 times" in nested_words(5, total=20.0, shared=None)
    assert "2 min in all" in nested_words(5, total=20.0, shared=None)
    assert "fewer --outer-folds" in nested_words(5, total=20.0, shared=10.0)
    assert "fewer" not in nested_words(5, total=20.0, shared=100.0)


def test_outer_folds_teach_one_another_but_for_those_over_time() -> None:
    assert nesting._teach_one_another(folds_of(asked(split="stratified")))
    assert not nesting._teach_one_another(folds_of(asked(split="time", time="day")))
    assert not nesting._teach_one_another(folds_of(asked(split="stratified"))[:1])


def test_the_nested_interval_is_wider_where_folds_taught_one_another() -> None:
    problem, generator = understand(table(noise=True), "y", settings=Settings(nested=2)), np.random.default_rng(0)
    said = generator.random(N_ROWS)
    judged = [(rows, np.column_stack([1 - said[rows], said[rows]])) for rows in (np.arange(0, 45), np.arange(45, 90))]
    runs = [cupel_run(score=0.5, expected=0.5)] * 2
    alone, mutual = (
        verdict.nested_of(
            problem.task, runs, judged=judged, target=problem.target, groups=None, asked=(2, ""), is_mutual=is_mutual
        )
        for is_mutual in (False, True)
    )
    assert alone is not None
    assert mutual is not None
    assert mutual.estimate == alone.estimate
    assert mutual.high - mutual.low == pytest.approx(evaluation.STRETCH * (alone.high - alone.low), rel=0.05)
