"""The main job from end to end, on small data made here."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars
import pytest

import cupel
from cupel.cli.main import main
from cupel.core.errors import DataError, RunConflictError, UsageError
from cupel.execution import Journal

QUICK = cupel.Settings(families=("linear", "lightgbm"), split="stratified", n_folds=3)


def table(n=240, *, seed=0, regression=False):
    generator = np.random.default_rng(seed)
    age, income = generator.integers(18, 80, n), generator.lognormal(10, 1, n).round()
    colour = generator.choice(["red", "green", "blue"], n)
    signal = (age - 45) / 20 + (colour == "red") + np.log(income) - 10 + generator.normal(size=n)
    frame = polars.DataFrame({"age": age, "income": income, "colour": colour})
    frame = frame.with_columns(
        polars.when(polars.int_range(n) % 11 == 0).then(None).otherwise(polars.col("income")).alias("income")
    )
    return frame.with_columns(polars.Series("y", signal if regression else np.where(signal > 0.5, "yes", "no")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return cupel.fit(table(), "y", effort="quick", out=folder / "run", settings=QUICK)


def test_a_run_leaves_every_file_of_its_folder(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert {"run.yaml", "journal", "units", "leaderboard.csv", "verdict.json", "report.html", "model.cupel"} <= names


def test_the_verdict_has_the_names_that_machines_read(finished):
    facts = json.loads((finished.folder / "verdict.json").read_text())
    names = (
        "metric higher_is_better pick best_single ensemble best_classical constant naive_score optimism tied findings failures"
    )
    assert set(names.split()) | {"n_candidates", "seconds", "latency_ms", "bytes"} <= set(facts)
    assert set(facts["pick"]["score"]) >= {"estimate", "low", "high"}
    assert facts["pick"]["score"]["estimate"] > 0.7


def test_where_the_time_went_stands_in_verdict_journal_and_report(finished, capsys):
    facts, stages = finished.facts, finished.facts["seconds_by_stage"]
    names = ("reading", "understanding", "preparing", "training", "exporting", "choosing", "proving", "packing", "reporting")
    assert set(names) <= set(stages)
    assert 0.9 * facts["seconds"] <= sum(stages.values()) <= 1.01 * facts["seconds"]
    assert "of it on candidates" in facts["words"]
    assert "training" in finished.report.read_text().partition("How it was measured")[2]
    assert main(["status", str(finished.folder)]) == 0
    assert "where the time went:" in capsys.readouterr().out


def test_a_pick_by_ranks_keeps_its_probabilities(finished):
    pick, constant = finished.facts["metrics"]["log_loss"]["estimate"], np.log(2)
    assert pick < constant - 0.05


def test_the_leaderboard_has_a_line_for_every_candidate(finished):
    board = finished.leaderboard
    asked = "name family score low high tie_group fit_seconds latency_ms bytes status reason"
    assert board.columns == [*asked.split(), "estimated_seconds", "p_bootstrap", "p_folds"]
    assert "constant-1" in board["name"].to_list()
    assert len(board) == finished.facts["n_candidates"]


def test_the_predictor_gives_labels_and_probabilities(finished):
    rows = table(20, seed=1).drop("y")
    predicted = finished.predictor.predict(rows)
    assert set(predicted) <= {"yes", "no"}
    assert np.allclose(finished.predictor.predict_proba(rows).sum(axis=1), 1, atol=1e-6)


def test_asking_again_trains_nothing_and_gives_the_same(finished):
    before = (finished.folder / "leaderboard.csv").read_text()
    n_started = (finished.folder / "journal" / "journal.jsonl").read_text().count("started")
    again = cupel.fit(table(), "y", effort="quick", out=finished.folder, settings=QUICK)
    assert (again.folder / "journal" / "journal.jsonl").read_text().count("started") == n_started
    scores = [
        polars.read_csv(text.encode()).drop("latency_ms", "bytes")
        for text in (before, (again.folder / "leaderboard.csv").read_text())
    ]
    assert scores[0].equals(scores[1])


def test_a_run_that_is_gone_on_with_tells_the_time_of_all_parts_and_every_stage(tmp_path, capsys):
    settings, out = replace(QUICK, families=("linear",)), tmp_path / "run"
    first = cupel.fit(table(), "y", effort="quick", out=out, settings=settings, progress="plain").facts
    said = capsys.readouterr().err
    assert "training candidates …" in said
    assert "[1/2] constant-1: " in said
    second = cupel.fit(table(), "y", effort="quick", out=out, settings=settings, progress="none").facts
    assert capsys.readouterr().err == ""
    assert (first["n_parts"], second["n_parts"]) == (1, 2)
    assert second["seconds"] > first["seconds"]
    assert all(second["seconds_by_stage"][stage] >= seconds for stage, seconds in first["seconds_by_stage"].items())
    assert "in 2 parts" in second["words"]
    stages = [record["name"] for record in Journal(out / "journal" / "journal.jsonl").read() if record["event"] == "stage"]
    assert stages == 2 * ["training candidates", "proving and packing the best"]


def test_another_question_in_the_same_folder_is_refused(finished):
    with pytest.raises(RunConflictError, match="metric"):
        cupel.fit(table(), "y", out=finished.folder, settings=replace(QUICK, metric="accuracy"))
    with pytest.raises(RunConflictError, match="data"):
        cupel.fit(table(seed=5), "y", out=finished.folder, settings=QUICK)


def test_the_same_seed_gives_the_same_out_of_fold_predictions(finished, tmp_path):
    other = cupel.fit(table(), "y", effort="quick", out=tmp_path / "other", settings=QUICK)
    keys = [sorted(path.name for path in (run.folder / "units").iterdir()) for run in (finished, other)]
    assert keys[0] == keys[1]
    for key in keys[0]:
        first, second = (np.load(run.folder / "units" / key / "predictions.npy") for run in (finished, other))
        assert np.array_equal(first, second)


def test_regression_ends_with_a_verdict(tmp_path):
    settings = cupel.Settings(families=("linear", "lightgbm"), n_folds=3)
    run = cupel.fit(table(regression=True), "y", effort="quick", out=tmp_path / "run", settings=settings)
    assert run.facts["metric"] == "rmse"
    assert run.facts["pick"]["score"]["estimate"] < run.facts["constant"]["score"]["estimate"]


@pytest.mark.parametrize("ensemble", ["none", "stack", "hard-vote"])
def test_the_ensemble_that_was_asked_for_is_judged_and_packed_beside_the_best_single(tmp_path, ensemble):
    settings = replace(QUICK, ensemble=ensemble, metric="log_loss" if ensemble == "stack" else "accuracy")
    run = cupel.fit(table(400), "y", effort="quick", out=tmp_path / "run", settings=settings)
    facts = run.facts
    assert facts["best_single"]["members"] == []
    assert set(facts["best_single"]) >= {"score", "latency_ms", "bytes", "fit_seconds"}
    if facts["ensemble"] is not None:
        assert facts["ensemble"]["name"].endswith(f"by {ensemble}")
        assert len(facts["ensemble"]["members"]) > 1
        assert facts["margin_over_single"]["against"] == facts["best_single"]["name"]
    assert (facts["ensemble"] is None) >= (ensemble == "none")
    assert run.predictor.predict_proba(table(5, seed=1).drop("y")).shape == (5, 2)


def test_cells_that_training_could_not_read_are_missing_at_prediction_too(tmp_path):
    frame = table(300).with_columns(polars.col("age").cast(polars.String))
    spoiled = with_text_in_every(frame, 40, column="age", text="20 - 30")
    run = cupel.fit(spoiled, "y", effort="quick", out=tmp_path / "run", settings=QUICK)
    rows = table(20, seed=1).drop("y").with_columns(polars.col("age").cast(polars.String))
    first, second = (with_text_in_every(rows, 10, column="age", text=text) for text in ("40 - 50", ""))
    predictor = run.predictor
    assert np.array_equal(predictor.predict_proba(first), predictor.predict_proba(second))
    predictor.predict(first)
    assert "age: 2 cells cannot be read and were taken as missing" in "\n".join(predictor.notes)
    with pytest.raises(DataError, match="income"):
        predictor.predict(rows.with_columns(polars.lit("much").alias("income")))


def with_text_in_every(frame, n, *, column, text):
    """The frame with this text in every n-th cell of a column."""
    every = polars.int_range(polars.len()) % n == 0
    return frame.with_columns(polars.when(every).then(polars.lit(text)).otherwise(polars.col(column)).alias(column))


def test_an_unknown_ensemble_is_refused_before_any_work(tmp_path):
    with pytest.raises(UsageError, match="ensemble 'magic' is unknown"):
        cupel.fit(table(), "y", out=tmp_path / "run", settings=replace(QUICK, ensemble="magic"))


@pytest.mark.slow
def test_the_command_line_tells_the_whole_story(tmp_path, capsys):
    path = tmp_path / "table.csv"
    table().write_csv(path)
    out = tmp_path / "run"
    assert main(["look", str(path), "--target", "y"]) == 0
    assert main(["plan", str(path), "--target", "y"]) == 0
    assert "lightgbm" in capsys.readouterr().out.lower()
    assert (
        main(["fit", str(path), "--target", "y", "--out", str(out), "--effort", "quick", "--time", "60s", "--progress", "plain"])
        == 0
    )
    assert "Expect" in capsys.readouterr().out
    assert main(["resume", str(out), "--progress", "none"]) == 0
    assert main(["report", str(out)]) == 0
    assert main(["status", str(out)]) == 0
    assert main(["check", str(out / "model.cupel")]) == 0
    table(15, seed=2).drop("y").write_csv(tmp_path / "new.csv")
    assert main(["predict", str(out / "model.cupel"), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    predicted = polars.read_csv(tmp_path / "out.csv")
    assert predicted.columns == ["prediction", "probability_no", "probability_yes"]
    assert len(predicted) == 15


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_stopped(tmp_path):
    path, out = tmp_path / "table.csv", tmp_path / "run"
    table(2000).write_csv(path)
    command = [sys.executable, "-m", "cupel.cli.main", "fit", str(path), "--target", "y", "--out", str(out), "--effort", "quick"]
    with subprocess.Popen([*command, "--progress", "plain"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "lightgbm-1:" in line:
                break
        process.kill()
    finished_units = {path.parent.name for path in (out / "units").glob("*/unit.json")}
    assert finished_units
    before = {key: (out / "units" / key / "unit.json").stat().st_mtime_ns for key in finished_units}
    assert subprocess.run([*command, "--progress", "none"], check=False).returncode == 0
    after = {key: (out / "units" / key / "unit.json").stat().st_mtime_ns for key in finished_units}
    assert before == after


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [5, 15])
def test_the_time_cap_holds_and_leaves_the_best_so_far(tmp_path, seconds):
    import time

    path, out = tmp_path / "table.csv", tmp_path / "run"
    table(20_000).write_csv(path)
    started = time.monotonic()
    options = ["--out", str(out), "--effort", "thorough", "--time", f"{seconds}s", "--progress", "none"]
    command = [sys.executable, "-m", "cupel.cli.main", "fit", str(path), "--target", "y", *options]
    assert subprocess.run(command, check=False).returncode == 0
    assert time.monotonic() - started <= seconds * 1.05 + 5
    assert (out / "model.cupel").exists()
