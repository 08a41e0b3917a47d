"""A table that is searched on some of its rows: what is said of all rows, who saw which, and what is packed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import cupel
from cupel import all_rows, finishing, making, packing
from cupel.core.budget import Deadline
from cupel.core.errors import UsageError
from cupel.core.feeds import feeds_of
from cupel.core.limits import Limits
from cupel.core.settings import Settings
from cupel.core.trial import Status
from cupel.execution import Assignment, RunFolder
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


@pytest.mark.parametrize("wish", [{"seal": 0.1}, {"task": "multilabel"}])
def test_what_needs_all_rows_is_refused(table: Path, wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="too large for --"):
        asked(table, **wish)


def finished(problem: Problem, folder: Path) -> dict[str, Any]:
    """A final fit in this process."""
    family = next(family for family in problem.families if family.fit_stored)
    preset = family.portfolio(problem.task)[0]
    config = replace(preset.config, max_rounds=30, learning_rate=0.1)
    candidate = SimpleNamespace(config=config, recipe=None, preparation=preset.preparation, key="k", name="LightGBM-1")
    given = making.handover(problem, units=folder / "units", kept_bytes=0.0)
    assignment = Assignment(candidate=candidate, family=family, folds=())  # type: ignore[arg-type]
    return finishing.fitted(given, assignment, folder=folder / all_rows.FOLDER, deadline=Deadline(), progress=lambda _: None)


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


def test_without_a_final_fit_the_reason_is_told(table: Path, tmp_path: Path) -> None:
    problem = asked(table)
    told = all_rows.settled(problem, tmp_path, model=b"model")
    assert told.model == b"model"
    assert told.expected is None
    assert "there is no fit on all rows" in told.promises["words"][0]


def test_a_candidate_that_cannot_is_told(table: Path, tmp_path: Path) -> None:
    problem = asked(table)
    proposal = SimpleNamespace(family=SimpleNamespace(fit_stored=None))
    tried = SimpleNamespace(score=1.0, trial=SimpleNamespace(status=Status.DONE), proposal=proposal)
    with RunFolder(tmp_path) as folder:
        runner = SimpleNamespace(folder=folder)
        all_rows.fit_final(problem, [tried], runner=runner, deadline=Deadline())  # type: ignore[list-item, arg-type]
    assert "cannot" in str(all_rows.settled(problem, tmp_path, model=b"").promises["words"]) or "can learn" in str(
        all_rows.settled(problem, tmp_path, model=b"").promises["words"]
    )


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
