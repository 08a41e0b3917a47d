"""A fix plan from the look at a table to the packed model; and a run on shuffled targets that falls to chance."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

import cupel
from cupel.cli.main import main
from cupel.core.errors import DataError, UsageError
from cupel.core.settings import Settings
from cupel.data.fixes import FixPlan, data_key
from cupel.problem import read, understand
from cupel.refitting import _settings, _without_strange_rows

N = 240


def table(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    city = generator.choice(["New York", "new york", "Boston"], N, p=[0.4, 0.1, 0.5])
    height = generator.normal(170, 9, N)
    is_metres = generator.random(N) < 0.1
    is_yes = (height + 12 * (city != "Boston") + 8 * generator.normal(size=N)) > 176
    written = np.where(is_metres, height / 100, height)
    rows = [f"{c},{h:.4f},{'yes' if y else 'no'}" for c, h, y in zip(city, written, is_yes, strict=True)]
    path = folder / "people.csv"
    path.write_text("city,height,answer\n" + "\n".join(rows) + "\n")
    return path


def planned(path: Path, capsys) -> dict:
    plan = path.with_name("fixes.yaml")
    assert main(["look", str(path), "--target", "answer", "--fixes", str(plan)]) == 0
    assert f"fixes     {plan}" in capsys.readouterr().out
    return yaml.safe_load(plan.read_text())


def test_a_look_writes_a_plan_that_names_spellings_and_units(tmp_path, capsys):
    plan = planned(table(tmp_path), capsys)
    by_column = {entry["columns"][0]: entry for entry in plan["fixes"] if entry["fix"] == "mend-cells"}
    assert by_column["city"]["spellings"] == {"new york": "New York"}
    assert by_column["city"]["apply"] is True
    ((low, high, factor),) = by_column["height"]["scales"]
    assert (low < 1.7, high < 2.2, factor) == (True, True, pytest.approx(100))
    assert "Measured by a small forest" in by_column["height"]["why"]


def test_a_plan_that_cannot_be_read_is_refused_before_any_work(tmp_path, capsys):
    broken = tmp_path / "broken.yaml"
    broken.write_text("fixes: [{fix: burn, apply: true}]\n")
    assert main(["fit", str(table(tmp_path)), "--target", "answer", "--fixes", str(broken)]) == 2
    assert "burn" in capsys.readouterr().err
    assert main(["fit", str(table(tmp_path)), "--target", "answer", "--fixes", str(tmp_path / "none.yaml")]) == 2


def test_a_plan_that_leaves_one_class_to_train_is_refused(tmp_path):
    path = table(tmp_path)
    yes = [number for number, line in enumerate(path.read_text().splitlines()) if line.endswith("yes")]
    plan = {"data": data_key(read(path, "answer", settings=Settings())), "fixes": []}
    plan["fixes"].append({"fix": "leave-out-rows", "apply": True, "rows": yes})
    with pytest.raises(DataError, match=r"all rows to train on are of class 'no'.*leave fewer rows out"):
        understand(path, "answer", settings=Settings(fixes=plan))


def test_rows_that_are_relabelled_are_told_of_as_they_judge_too(tmp_path):
    path = table(tmp_path)
    plan = {"data": data_key(read(path, "answer", settings=Settings())), "fixes": []}
    plan["fixes"].append({"fix": "relabel-rows", "apply": True, "labels": {3: "yes", 17: "no"}})
    (told,) = [f for f in read(path, "answer", settings=Settings(fixes=plan)).findings if f.code == "relabelled-rows"]
    assert told.what.startswith("2 rows have another target than in the file")


def test_a_column_of_groups_may_be_dropped_from_what_is_learned_and_one_of_times_not(tmp_path):
    path = table(tmp_path)
    grouped = read(path, "answer", settings=Settings(group="city", drop=("city",)))
    assert (grouped.schema.group, [column.name for column in grouped.schema.features]) == ("city", ["height"])
    with pytest.raises(UsageError, match="'height' cannot be dropped: it orders the rows"):
        read(path, "answer", settings=Settings(time="height", drop=("height",)))


def test_a_refit_does_what_the_plan_says_of_columns_and_of_rows_only_where_they_are_the_same(tmp_path):
    path = table(tmp_path)
    plan = {"data": data_key(read(path, "answer", settings=Settings())), "fixes": []}
    plan["fixes"] += [
        {"fix": "drop-column", "apply": True, "columns": ["height"]},
        {"fix": "mend-cells", "apply": True, "columns": ["city"], "spellings": {"new york": "New York"}},
        {"fix": "leave-out-rows", "apply": True, "rows": [3, 17]},
    ]
    run = read(path, "answer", settings=Settings(fixes=plan))
    old: Any = SimpleNamespace(schema=run.schema, task=run.task)
    more = tmp_path / "more.csv"
    more.write_text(path.read_text() + "Boston,150,no\n")
    without = tmp_path / "without.csv"
    without.write_text("\n".join(",".join(line.split(",")[::2]) for line in path.read_text().splitlines()) + "\n")
    for source, n_left_out in ((path, 2), (more, 0), (without, 2)):
        settings, told = _without_strange_rows(_settings(Settings(fixes=plan), old, source), "answer", source)
        problem = understand(source, "answer", settings=settings)
        assert [column.name for column in problem.dataset.schema.features] == ["city"]
        assert problem.dataset.schema["city"].levels == ("Boston", "New York")
        assert len(FixPlan.of(settings.fixes).spared(problem.dataset)) == n_left_out
        assert [finding.code for finding in told] == ([] if n_left_out else ["fixes-of-other-rows"])


@pytest.mark.slow
def test_what_is_mended_in_training_is_mended_by_the_packed_model(tmp_path, capsys):
    path = table(tmp_path)
    plan = planned(path, capsys)
    plan["fixes"] = [entry | {"apply": True} for entry in plan["fixes"] if entry["fix"] == "mend-cells"]
    plan["fixes"].append({"fix": "leave-out-rows", "apply": True, "rows": [3, 17]})
    settings = Settings(families=("linear",), fixes=plan)
    run = cupel.fit(path, "answer", effort="quick", out=tmp_path / "run", settings=settings)
    predictor = cupel.load(run.artifact)
    assert predictor.check()
    rows = {"city": ["New York", "new york", "New York"], "height": [181.0, 181.0, 1.81]}
    first, spelled, scaled = predictor.predict_proba(rows)
    np.testing.assert_allclose(first, spelled)
    np.testing.assert_allclose(first, scaled)
    np.testing.assert_allclose(predictor.predict_proba({"city": "new york", "height": 1.81})[0], first)
    assert "train nothing" in str((tmp_path / "run" / "run.yaml").read_text())


@pytest.mark.slow
def test_a_run_on_shuffled_targets_falls_to_chance_and_says_so(tmp_path, capsys):
    arguments = ["fit", str(table(tmp_path)), "--target", "answer", "--effort", "quick", "--families", "linear,lightgbm"]
    assert main([*arguments, "--shuffle-check", "--out", str(tmp_path / "shuffled"), "--progress", "none"]) == 0
    assert "That is chance" in capsys.readouterr().out


def test_better_than_chance_on_shuffled_targets_ends_with_code_3(capsys):
    from cupel.cli.fit import show_shuffled

    score = {"estimate": 0.71, "low": 0.66, "high": 0.75}
    facts = {"pick": {"name": "m", "score": score}, "constant": {"score": {"estimate": 0.5}}, "metric": "roc_auc"}
    assert show_shuffled({**facts, "higher_is_better": True}) == 3
    assert "better than chance" in capsys.readouterr().out
    error = {"estimate": 1.0, "low": 0.9, "high": 1.1}
    facts |= {"pick": {"name": "m", "score": error}, "constant": {"score": {"estimate": 0.98}}, "metric": "rmse"}
    assert show_shuffled({**facts, "higher_is_better": False}) == 0
