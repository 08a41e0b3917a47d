"""A table that is searched on some of its rows: what is said of all rows, who saw which, and what is packed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import cupel
from cupel import all_rows, conclusion, data, execution, finishing, making, packing, refitting, row_files, trust
from cupel.cli import look
from cupel.cli.look_terminal import show
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.errors import DataError, InterruptedRunError, ParityError, ShortOfDiskError, TrainingError, UsageError
from cupel.core.feeds import feeds_of
from cupel.core.limits import Limits
from cupel.core.settings import Settings
from cupel.core.trial import Status
from cupel.data.streamed import Whole
from cupel.execution import Assignment, RunFolder, Runner
from cupel.execution.guard import LEAST_FREE_BYTES
from cupel.problem import Problem, understand

N_ROWS, N_SAMPLE = 3000, 500
QUICK = Settings(sample=N_SAMPLE, families=("LightGBM",), n_folds=2, racing=False)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    x, z = generator.normal(size=(2, N_ROWS)).round(3)
    level = generator.integers(0, 30, N_ROWS)
    answer = x + (level % 2) * z + generator.normal(0, 0.5, N_ROWS) > 0
    frame = pl.DataFrame(
        {
            "x": x,
            "z": [None if n % 9 == 0 else value for n, value in enumerate(z.tolist())],
            "level": [f"of {n}" for n in level],
            "who": [f"p{n}" for n in generator.integers(0, 500, N_ROWS)],
            "y": np.where(answer, "yes", "no"),
        }
    )
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    frame.write_csv(path)
    return path


@dataclass(frozen=True)
class SimpleVerdict:
    promises: dict[str, Any]


def said_with(target: np.ndarray, *, skill: float) -> np.ndarray:
    noise = np.random.default_rng(0).random(len(target))
    positive = skill * (0.2 + 0.6 * target) + (1 - skill) * noise
    return np.column_stack([1 - positive, positive])


def asked(table: Path, **settings: Any) -> Problem:
    given = {"sample": N_SAMPLE, "families": ("LightGBM",), "n_folds": 2, **settings}
    return understand(table, "y", settings=Settings(**given))


def test_a_sample_stands_for_all_rows(table: Path) -> None:
    problem = asked(table)
    assert problem.dataset.n_samples == N_SAMPLE
    assert problem.whole is not None
    assert problem.whole.n_rows == N_ROWS
    assert problem.whole.counts["z"]["missing"] == -(-N_ROWS // 9)
    assert problem.settings.sample == N_SAMPLE


def test_what_fits_is_read_whole_as_ever(table: Path) -> None:
    plain = understand(table, "y", settings=Settings())
    capped = understand(table, "y", settings=Settings(), limits=Limits(memory_bytes=4 * 10**9))
    assert capped.whole is None
    assert capped.dataset.fingerprint == plain.dataset.fingerprint
    assert capped.settings == plain.settings
    assert asked(table, sample=2 * N_ROWS).whole is None


def test_a_sample_that_cannot_be_drawn_is_refused(table: Path) -> None:
    with pytest.raises(UsageError, match="at least 100"):
        asked(table, sample=0)
    with pytest.raises(UsageError, match="Parquet, Arrow and CSV"):
        understand(pl.read_csv(table), "y", settings=QUICK, limits=Limits())


def test_what_does_not_fit_is_drawn_from(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.planning.SMALL_BYTES", 0)
    monkeypatch.setattr("cupel.data.streamed.planning.BYTES_OF_A_CELL", 1e6)
    problem = understand(table, "y", settings=Settings(), limits=Limits(memory_bytes=4 * 10**9), seconds=60.0)
    assert problem.whole is not None
    assert problem.dataset.n_samples == problem.settings.sample == 1000
    with pytest.raises(UsageError, match="are needed at least"):
        understand(table, "y", settings=Settings(), limits=Limits(memory_bytes=10**8))


@pytest.mark.parametrize("wish", [{"seal": 0.1}, {"task": "multilabel"}, {"nested": 3}])
def test_what_needs_all_rows_is_refused(table: Path, wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="too large for --"):
        asked(table, **wish)


def finished(problem: Problem, folder: Path, *, seconds: float | None = None, disk_bytes: int | None = None) -> dict[str, Any]:
    """A final fit in this process."""
    family = next(family for family in problem.families if not family.is_baseline)
    preset = family.portfolio(problem.task)[0]
    config = replace(preset.config, max_rounds=30, learning_rate=0.1) if family.name == "LightGBM" else preset.config
    candidate = SimpleNamespace(
        config=config, recipe=preset.recipe, preparation=preset.preparation, key="k", name=f"{family.name}-1"
    )
    folder.mkdir(exist_ok=True)
    given = making.handover(problem, units=folder / "units", kept_bytes=0.0, disk_bytes=disk_bytes)
    assignment = Assignment(candidate=candidate, family=family, folds=())  # type: ignore[arg-type]
    return finishing.fitted(
        given, assignment, folder=folder / all_rows.FOLDER, deadline=Deadline(seconds), progress=lambda _: None
    )


def test_the_final_fit_writes_no_more_than_the_run_may_hold(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.batches.MOST_ROWS_OF_A_BATCH", 300)
    problem, most = asked(table), LEAST_FREE_BYTES + 60_000
    with pytest.raises(TrainingError, match=r"more of the run folder than the search.*give more with --disk"):
        finished(problem, tmp_path, disk_bytes=most)
    assert 0 < execution.size_of(tmp_path) < 60_000


def test_the_final_fit_sees_all_rows_but_those_that_judge(table: Path, tmp_path: Path) -> None:
    problem = asked(table)
    facts = finished(problem, tmp_path)
    rows = facts["rows"]
    assert sum(rows.values()) == N_ROWS
    assert rows["judged"] == pytest.approx(0.1 * N_ROWS, rel=0.2)
    assert rows["stopped"] == pytest.approx(0.05 * N_ROWS, rel=0.3)
    pieces = list(all_rows._pieces(problem.dataset, tmp_path / all_rows.FOLDER, facts["n_pieces"]))
    judged = np.concatenate([piece.columns["x"] for piece, _ in pieces])
    assert len(judged) == rows["judged"]
    assert not (tmp_path / all_rows.FOLDER / "rows").exists()
    again = finished(problem, tmp_path)
    assert {**again, "seconds": 0, "seconds_to_train": 0} == {**facts, "seconds": 0, "seconds_to_train": 0}


def test_where_time_is_short_what_was_searched_on_trains_and_little_else(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "_affordable_share", lambda *_, **__: 0.01)
    for group in (None, "who"):
        problem = asked(table, group=group)
        rows = finished(problem, tmp_path / str(group))["rows"]
        assert N_SAMPLE <= rows["trained"] <= N_SAMPLE + 40
        assert rows["judged"] > 200


def test_a_fit_on_some_rows_is_renewed_with_much_more_time(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "_affordable_share", lambda *_, seconds, **__: 0.4 if seconds < 100 else 1.0)
    problem = asked(table)
    few = finished(problem, tmp_path, seconds=60.0)
    known = all_rows._facts(tmp_path / all_rows.FOLDER)
    assert 0.3 * N_ROWS < few["rows"]["trained"] < 0.4 * N_ROWS
    assert not all_rows._is_renewed(known, Deadline(60.0))
    assert all_rows._is_renewed(known, Deadline(200.0))
    whole = finished(problem, tmp_path, seconds=200.0)
    assert not all_rows._is_renewed(whole, Deadline(10_000.0))
    assert sum(whole["rows"].values()) == N_ROWS


def test_a_disk_that_is_full_is_told_and_is_nobodys_fault(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_files.StoredRows, "append", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*`cupel resume` prepares them anew"):
        finished(asked(table), tmp_path)


@pytest.mark.parametrize("seconds", [10.0, 100.0])
def test_a_network_takes_no_more_rows_than_it_can_learn_from_once(table: Path, seconds: float) -> None:
    problem = asked(table, families=("MLP",))
    (family,) = (family for family in problem.families if not family.is_baseline)
    preset = family.portfolio(problem.task)[0]
    rows = np.arange(N_SAMPLE)
    inputs = preset.preparation.fit(problem.dataset, rows, seed=0).inputs
    assignment = SimpleNamespace(family=family, candidate=preset)
    whole = SimpleNamespace(n_rows=50_000_000, seconds=0.0)
    given = (assignment, inputs, whole)
    share = finishing._affordable_share(*given, dataset=problem.dataset, seconds=seconds)  # type: ignore[arg-type]
    more = finishing._affordable_share(*given, dataset=problem.dataset, seconds=1e9)  # type: ignore[arg-type]
    assert 0 < share < seconds / 100
    assert more == 1.0
    with pytest.raises(TrainingError, match="500 were searched on"):
        finishing._affordable_share(*given, dataset=problem.dataset, seconds=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["MLP", "RealMLP"])
def test_a_network_too_is_fitted_on_all_rows(family: str, table: Path, tmp_path: Path) -> None:
    problem = asked(table, families=(family,))
    facts = finished(problem, tmp_path)
    rows = facts["rows"]
    assert sum(rows.values()) == N_ROWS
    told = all_rows.settled(problem, tmp_path, model=(tmp_path / all_rows.FOLDER / "model.onnx").read_bytes()).promises["rows"]
    assert told["candidate"] == f"{family}-1"
    assert told["scores"]["final"]["estimate"] > 0.8


def test_no_group_judges_that_was_learned_from(table: Path, tmp_path: Path) -> None:
    problem = asked(table, group="who")
    facts = finished(problem, tmp_path)
    frame = pl.read_csv(table)
    pieces = list(problem.whole.pieces(problem.dataset))  # type: ignore[union-attr]
    marks = np.concatenate([piece.marks for piece in pieces])
    judged = set(frame["who"].to_numpy()[marks >= 0.9])
    assert facts["rows"]["judged"] == int((marks >= 0.9).sum()) == int(frame["who"].is_in(list(judged)).sum())
    assert not judged & set(frame["who"].to_numpy()[problem.dataset.row_numbers])


def test_the_better_of_the_two_is_packed(table: Path, tmp_path: Path) -> None:
    problem = asked(table)
    facts = finished(problem, tmp_path)
    model = (tmp_path / all_rows.FOLDER / "model.onnx").read_bytes()
    equal = all_rows.settled(problem, tmp_path, model=model)
    told = equal.promises["rows"]
    assert told["is_packed"]
    assert (told["profile"], told["search"], told["final"]) == (N_ROWS, N_SAMPLE, facts["rows"]["trained"])
    assert told["scores"]["search"] == told["scores"]["final"]
    assert f"profile {N_ROWS:,}; search {N_SAMPLE:,}" in equal.promises["words"][0]
    feeds = feeds_of(problem.dataset, problem.golden_rows, problem.inputs)
    np.testing.assert_allclose(packing.run(packing.session(model), feeds), equal.expected, atol=1e-5)


@pytest.mark.parametrize("is_packed", [True, False])
def test_what_is_said_of_answers_is_of_what_is_packed(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_packed: bool
) -> None:
    problem, folder = asked(table, at_least={"recall": 0.8}), tmp_path / all_rows.FOLDER
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"final")
    np.save(folder / "golden.npy", np.zeros((2, 2)))
    counts = {"trained": 2000, "stopped": 100, "judged": N_SAMPLE}
    facts = {"rows": counts, "candidate": "LightGBM-1", "cut_short": False, "share": 1.0}
    weak, sharp = (said_with(problem.target, skill=skill) for skill in (0.1, 0.8))
    judged = all_rows._Judged(target=problem.target, said=(weak, sharp) if is_packed else (sharp, weak), groups=None)
    monkeypatch.setattr(all_rows, "_facts", lambda place: facts if place == folder else {})
    monkeypatch.setattr(all_rows, "_judged", lambda *_, **__: judged)
    monkeypatch.setattr(conclusion, "packed_model", lambda *_, **__: b"search")
    given: dict[str, Any] = {"target": problem.target, "said": said_with(problem.target, skill=0.5), "groups": None}
    searched = trust.uncertainty_of_rows(problem, **given)
    assert searched.decision is not None
    shown = searched.decision.threshold
    verdict = SimpleVerdict(promises={"shown_threshold": shown, "words": ["of more rows"]})
    made = trust.promises_of_rows(problem, searched, **given)
    proven = conclusion.Proven(pick=None, verdict=verdict, uncertainty=searched, promises=made)  # type: ignore[arg-type]
    packed = conclusion._with_final(problem, SimpleNamespace(path=tmp_path), proven, is_capped=False)[0]  # type: ignore[arg-type]
    told, known, final = packed.verdict.promises, packed.uncertainty, {**given, "said": sharp}
    assert (known is searched) == (not is_packed)
    assert known.decision is not None
    assert known.silence is not None
    assert known.silence.threshold == known.decision.threshold
    assert told["decision"] == {**known.decision.to_json(), "is_learned": True}
    assert told["abstaining"] == known.silence.to_json()
    assert told["coverage"] == trust.promises_of_rows(problem, known, **(final if is_packed else given))["coverage"]
    assert told["shown_threshold"] == shown
    assert (known.decision.threshold == shown) == (not is_packed)
    decisions = [words for words in told["words"] if words.startswith("Decisions:")]
    assert decisions == [f"Decisions: {known.decision.reason}"]
    assert "The better of the two was chosen on these rows" in str(told["words"])
    assert "of more rows" in told["words"]


def test_without_a_final_fit_the_reason_is_told(table: Path, tmp_path: Path) -> None:
    problem = asked(table)
    told = all_rows.settled(problem, tmp_path, model=b"model")
    assert told.model == b"model"
    assert told.expected is None
    assert "there is no fit on all rows" in told.promises["words"][0]


def test_a_candidate_that_cannot_is_told(table: Path, tmp_path: Path) -> None:
    problem = asked(table)
    proposal = SimpleNamespace(family=SimpleNamespace(learns_in_pieces=False))
    tried = SimpleNamespace(score=1.0, trial=SimpleNamespace(status=Status.DONE), proposal=proposal)
    with RunFolder(tmp_path) as folder:
        runner = SimpleNamespace(folder=folder)
        all_rows.fit_final(problem, [tried], runner=runner, deadline=Deadline())  # type: ignore[list-item, arg-type]
    assert "cannot" in str(all_rows.settled(problem, tmp_path, model=b"").promises["words"]) or "can learn" in str(
        all_rows.settled(problem, tmp_path, model=b"").promises["words"]
    )


def test_where_no_group_is_left_to_judge_nothing_is_trained(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = asked(table, group="who")
    monkeypatch.setattr(row_files, "SHARE_JUDGED", 0.0)
    with pytest.raises(TrainingError, match="left to judge by"):
        finished(problem, tmp_path)


def test_rare_rows_that_were_searched_on_train_whatever_their_mark(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    answers = ["rare" if n % 300 == 0 else "often" if n % 3 else "seldom" for n in range(N_ROWS)]
    pl.DataFrame({"x": generator.normal(size=N_ROWS), "y": answers}).write_csv(tmp_path / "t.csv")
    problem = asked(tmp_path / "t.csv", sample=200)
    assert isinstance(problem.whole, Whole)
    pieces = list(problem.whole.pieces(problem.dataset))
    marks = np.concatenate([piece.marks for piece in pieces])
    assert (marks[problem.dataset.row_numbers] >= 0.85).any()
    assert sum(finished(problem, tmp_path)["rows"].values()) == N_ROWS


def test_a_damaged_final_fit_counts_as_none(table: Path, tmp_path: Path) -> None:
    problem, folder = asked(table), tmp_path / all_rows.FOLDER
    facts = finished(problem, tmp_path)
    assert all_rows._facts(folder)["key"] == facts["key"]
    unjudged = {"rows": {**facts["rows"], "judged": 0}}
    judged = folder / "judged-0-numbers.npy"
    content = judged.read_bytes()
    judged.write_bytes(content[:-8] + b"\x00\x00\x80\x3f" * 2)
    assert all_rows._facts(folder) == {}
    judged.write_bytes(content)
    assert all_rows._facts(folder)["key"] == facts["key"]
    for harm in ({"n_pieces": "many"}, {"n_pieces": 10**400}, {"rows": 5}, unjudged, {"share": None}, {"given": 10**400}):
        (folder / "facts.json").write_text(json.dumps({**facts, **harm}))
        assert all_rows.settled(problem, tmp_path, model=b"model").model == b"model"


@pytest.mark.parametrize("error", [ParityError("differs"), DataError("has changed"), OSError(28, "full"), RuntimeError("odd")])
def test_what_goes_wrong_ends_the_final_fit_alone(table: Path, tmp_path: Path, error: Exception) -> None:
    told = str(refusal_of(table, tmp_path, error)["reason"])
    assert str(error) in told


def test_stored_rows_stay_where_the_run_goes_on_with_them_and_go_where_the_disk_is_short(table: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        refusal_of(table, tmp_path / "ended", KeyboardInterrupt())
    assert refusal_of(table, tmp_path / "interrupted", InterruptedRunError("enough"))["reason"] == "enough"
    assert refusal_of(table, tmp_path / "full", ShortOfDiskError("no more"))["reason"] == "no more"
    kept = [(tmp_path / run / all_rows.NEXT / "rows").exists() for run in ("ended", "interrupted", "full")]
    assert kept == [True, True, False]


@pytest.mark.parametrize("error", [TrainingError("time was up"), MemoryError("80 GB"), InterruptedRunError("enough")])
def test_a_newer_final_fit_that_does_not_come_to_its_end_leaves_the_one_before_it(
    table: Path, tmp_path: Path, error: Exception
) -> None:
    facts = finished(asked(table), tmp_path)
    refusal_of(table, tmp_path, error)
    assert all_rows._facts(tmp_path / all_rows.FOLDER)["sha256"] == facts["sha256"]
    model = (tmp_path / all_rows.FOLDER / "model.onnx").read_bytes()
    words = all_rows.settled(asked(table), tmp_path, model=model).promises["words"]
    assert any("did not come to its end" in sentence and str(error) in sentence for sentence in words)


@pytest.mark.parametrize("ended_at", ["", "shutil.rmtree", "move"])
def test_a_newer_final_fit_that_is_whole_takes_the_place_of_the_one_before_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_at: str
) -> None:
    def ending(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    problem, older, newer = asked(table), tmp_path / all_rows.FOLDER, tmp_path / all_rows.NEXT
    finished(problem, tmp_path)
    older.rename(newer)
    (newer / "rows").mkdir()
    older.mkdir()
    (older / "judged-9-numbers.npy").write_bytes(b"of the one before")
    if ended_at:
        with monkeypatch.context() as patch:
            patch.setattr(f"cupel.all_rows.{ended_at}", ending)
            with pytest.raises(KeyboardInterrupt):
                all_rows._take_up(older)
    told = all_rows.settled(problem, tmp_path, model=(newer / "model.onnx").read_bytes()).promises["rows"]
    assert told["is_packed"]
    assert not newer.exists()
    assert not (older / "rows").exists()
    assert not (older / "judged-9-numbers.npy").exists()


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_final_fit_that_was_ended_goes_on_with_the_rows_that_are_prepared(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_damaged: bool
) -> None:
    monkeypatch.setattr("cupel.data.streamed.batches.MOST_ROWS_OF_A_BATCH", 500)
    problem = asked(table)
    whole = finished(problem, tmp_path / "whole")
    add, added = row_files.RowFiles.add, list[int]()

    def ending(files: row_files.RowFiles, piece: Any) -> None:
        if len(added) == 4:
            files._stores["train"].append(files._preparation.transform(piece.dataset, np.arange(3)))  # half of a piece
            added.append(-1)
            raise KeyboardInterrupt
        added.append(files.n_pieces)
        add(files, piece)

    monkeypatch.setattr(row_files.RowFiles, "add", ending)
    with pytest.raises(KeyboardInterrupt):
        finished(problem, tmp_path / "ended")
    rows = tmp_path / "ended" / all_rows.FOLDER / "rows"
    if is_damaged:
        stored = rows / "train" / "numeric.rows"
        content = stored.read_bytes()
        stored.write_bytes(content[:4] + bytes(4) + content[8:])
    facts = finished(problem, tmp_path / "ended")
    assert added == [0, 1, 2, 3, -1, *([0, 1, 2, 3] if is_damaged else []), 4, 5]
    assert facts["sha256"] == whole["sha256"]
    assert not rows.exists()
    assert facts["rows"] == whole["rows"]


def refusal_of(table: Path, run: Path, error: BaseException) -> dict[str, Any]:
    """What the run folder says after a final fit that ended so."""

    def finish(assignment: Assignment, folder: Path, **how: Any) -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "rows").mkdir(parents=True)
        raise error

    candidate = SimpleNamespace(key="another", name="LightGBM-1", recipe=None)
    proposal = SimpleNamespace(family=SimpleNamespace(learns_in_pieces=True), candidate=candidate)
    tried = SimpleNamespace(score=1.0, trial=SimpleNamespace(status=Status.DONE, candidate=candidate), proposal=proposal)
    with RunFolder(run) as folder:
        problem, executor = asked(table), SimpleNamespace(finish=finish)
        runner = Runner(problem.dataset, problem.splits, folder, executor)
        all_rows.fit_final(problem, [tried], runner=runner, deadline=Deadline())  # type: ignore[list-item]
    told: dict[str, Any] = json.loads((run / all_rows.FOLDER / "refused.json").read_text())
    return told


def test_where_memory_does_not_do_batches_are_smaller_and_what_was_fitted_so_is_kept(table: Path, tmp_path: Path) -> None:
    problem, asked_for = asked(table, families=["MLP"]), list[Candidate]()
    family = next(family for family in problem.families if not family.is_baseline)
    preset = family.portfolio(problem.task)[0]
    how = {"config": preset.config, "preparation": preset.preparation, "recipe": replace(preset.recipe, batch_size=128)}
    candidate = Candidate(name="MLP-1", modality=problem.modality.name, family="MLP", **how)

    def finish(assignment: Assignment, folder: Path, **how: Any) -> dict[str, Any]:
        asked_for.append(assignment.candidate)
        if len(asked_for) == 1:
            raise MemoryError("80 GB")
        facts = finished(problem, tmp_path)
        key = finishing.key_of(problem.dataset, assignment.candidate.key, seed=problem.settings.seed)
        (folder.parent / all_rows.FOLDER / finishing.FACTS).write_text(json.dumps({**facts, "key": key}))
        return facts

    trial = SimpleNamespace(status=Status.DONE, candidate=candidate)
    tried = SimpleNamespace(score=1.0, trial=trial, proposal=SimpleNamespace(family=family, candidate=candidate))
    for _ in range(2):
        with RunFolder(tmp_path) as folder:
            runner = Runner(problem.dataset, problem.splits, folder, SimpleNamespace(finish=finish))
            all_rows.fit_final(problem, [tried], runner=runner, deadline=Deadline())  # type: ignore[list-item]
    assert [given.recipe.batch_size for given in asked_for if given.recipe] == [128, 32]
    assert not (tmp_path / all_rows.FOLDER / "refused.json").exists()


def test_a_later_process_knows_that_batches_were_too_large_for_all_rows(table: Path, tmp_path: Path) -> None:
    problem, asked_for = asked(table, families=["MLP"]), list[int]()
    family = next(family for family in problem.families if not family.is_baseline)
    preset = family.portfolio(problem.task)[0]
    how = {"config": preset.config, "preparation": preset.preparation, "recipe": replace(preset.recipe, batch_size=128)}
    candidate = Candidate(name="MLP-1", modality=problem.modality.name, family="MLP", **how)

    def finish(assignment: Assignment, folder: Path, **how: Any) -> dict[str, Any]:
        recipe = assignment.candidate.recipe
        asked_for.append(recipe.batch_size if recipe else 0)
        raise MemoryError("80 GB") if asked_for[-1] > 32 else InterruptedRunError("it was ended meanwhile")

    def process() -> list[int]:
        asked_for.clear()
        with RunFolder(tmp_path) as folder:
            runner = Runner(problem.dataset, problem.splits, folder, SimpleNamespace(finish=finish))
            given = Assignment(candidate=candidate, family=family, folds=())
            with pytest.raises(InterruptedRunError):
                runner.finish(given, tmp_path / "next", deadline=Deadline(), progress=lambda _: None)
        return list(asked_for)

    assert [process(), process()] == [[128, 32], [32]]
    with RunFolder(tmp_path) as folder:
        folder.journal.append("retried")
    assert process() == [128, 32]


def test_a_refit_of_what_saw_all_rows_is_refused(tmp_path: Path) -> None:
    for is_packed in (False, True):
        facts = {"words": "", "metric": "rmse", "higher_is_better": False, "fingerprint": "", "pick": {}}
        (tmp_path / "verdict.json").write_text(json.dumps({**facts, "promises": {"rows": {"is_packed": is_packed}}}))
        if is_packed:
            with pytest.raises(UsageError, match="larger than memory"):
                refitting._demand_known_rows(tmp_path)
        else:
            refitting._demand_known_rows(tmp_path)


def test_a_refit_of_a_sampled_run_learns_from_all_new_rows(table: Path) -> None:
    problem = asked(table)
    old = SimpleNamespace(schema=problem.dataset.schema, task=problem.task)
    settings = refitting._settings(problem.settings, old, table)  # type: ignore[arg-type]
    assert problem.settings.sample == N_SAMPLE
    whole = understand(table, "y", settings=settings)
    assert whole.dataset.n_samples == N_ROWS
    seen = data.seen_before(data.row_hashes(whole.dataset), data.row_hashes(problem.dataset))
    assert seen[problem.dataset.row_numbers].all()


@pytest.mark.slow
def test_a_whole_run_packs_what_saw_all_rows_and_goes_on(table: Path, tmp_path: Path) -> None:
    run = cupel.fit(table, "y", effort="quick", out=tmp_path / "run", settings=QUICK)
    rows = run.facts["promises"]["rows"]
    assert rows["profile"] == N_ROWS
    assert rows["search"] == N_SAMPLE
    assert "final fit" in run.verdict
    assert run.predictor.predict(pl.read_csv(table).head(5).drop("y")).shape == (5,)
    again = cupel.resume(tmp_path / "run")
    assert again.facts["promises"]["rows"] == rows
    assert again.facts["pick"]["score"] == run.facts["pick"]["score"]


def test_a_look_counts_all_rows_and_shows_some(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = look.look(str(table), "y", settings=Settings(sample=N_SAMPLE))
    assert dict(found.facts)["all rows"] == f"{N_ROWS:,}; what is shown is of {N_SAMPLE:,} drawn from them"
    told = found.to_json()["all_rows"]
    assert told["n_rows"] == N_ROWS
    assert told["columns"]["z"]["missing"] == -(-N_ROWS // 9)
    show(found)
    assert f"{N_SAMPLE:,} rows" in capsys.readouterr().out
    assert "all_rows" not in look.look(str(table), "y", settings=Settings()).to_json()


def test_a_look_within_little_memory_counts(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.planning.SMALL_BYTES", 0)
    monkeypatch.setattr("cupel.data.streamed.planning.BYTES_OF_A_CELL", 1e6)
    found = look.look(str(table), "y", settings=Settings(), limits=Limits(memory_bytes=4 * 10**9))
    assert found.counts["n_rows"] == N_ROWS
    with pytest.raises(UsageError, match="name its column with --target"):
        look.look(str(table), None, settings=Settings(), limits=Limits(memory_bytes=4 * 10**9))


def test_what_needs_all_rows_of_a_table_that_does_not_fit_is_refused_before_it_is_read(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look.look(str(table), "y", settings=Settings(), against=str(table)).counts == {}
    monkeypatch.setattr("cupel.core.machine.usable_memory_bytes", lambda: 10**6)
    monkeypatch.setattr("cupel.data.streamed.planning.SMALL_BYTES", 0)
    monkeypatch.setattr(data, "read_table", lambda *_, **__: pytest.fail("it was read"))
    (tmp_path / "run").mkdir()
    for name, given in (("read_run", {"settings": {}}), ("read_pick", None)):
        monkeypatch.setattr(execution, name, lambda folder, given=given: given)
    monkeypatch.setattr(refitting, "Predictor", SimpleNamespace(load=lambda path: None))
    monkeypatch.setattr(refitting, "_demand_known_rows", lambda folder: None)
    with pytest.raises(UsageError, match="it is read whole by a refit"):
        refitting._planned(tmp_path / "run", str(table), warm=False, limits=None, observer=None, stopwatch=None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="it is compared whole"):
        look.look(str(table), "y", settings=Settings(sample=N_SAMPLE), against=str(table))
