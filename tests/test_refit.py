import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import cupel
from cupel import execution, pipeline, tuning
from cupel.cli.main import main
from cupel.conclusion import conclude
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.errors import ArtifactError, DataError, RunConflictError, UsageError
from cupel.core.observer import Silent
from cupel.core.stopwatch import Stopwatch
from cupel.problem import understand

SETTINGS = cupel.Settings(families=("MLP",), n_folds=2, racing=False, metric="log_loss", ensemble="none")
pytestmark = pytest.mark.slow


def table(n_rows, *, seed, shift=0.0):
    """Two classes that a line divides; `shift` moves the line."""
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(2, n_rows))
    noise = generator.normal(size=n_rows) * 0.3
    label = np.where(2 * a + (1 - shift) * b + noise > 0, "yes", "no")
    return {"a": a, "b": b, "one": ["same"] * n_rows, "label": label.tolist()}


def write(path, columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [list(columns), *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refit")
    source = write(folder / "old.csv", table(240, seed=0))
    problem, budget = understand(source, "label", settings=SETTINGS), Budget(Effort.QUICK, None)
    family = next(family for family in problem.families if family.name == "MLP")
    first = family.portfolio(problem.task)[0]
    small = replace(first, config=replace(first.config, width=64, depth=1), recipe=replace(first.recipe, epochs=30))
    candidate = tuning.Namer("tabular").candidate(family, small)
    strategy = tuning.Given((tuning.Proposal(candidate=candidate, family=family),))
    how = {"deadline": Deadline(), "observer": Silent(), "stopwatch": Stopwatch()}
    with execution.RunFolder(folder / "run") as opened:
        opened.settle_question(pipeline.question(problem, source, budget=budget))
        tried = pipeline.search(problem, opened, strategy, budget=budget, **how)
        return conclude(problem, opened, [each.trial for each in tried], **how)


def test_on_data_that_changed_the_new_model_is_better_and_packed(run, tmp_path):
    source = write(tmp_path / "new.csv", table(400, seed=1, shift=3.0))
    made = run.refit(source, out=tmp_path / "out")
    assert made.comparison.is_better
    assert made.comparison.n_rows == 400
    assert made.comparison.probability_worse < 0.01
    assert set(made.starts.values()) == {"cold"}
    assert made.run is not None
    new = table(500, seed=2, shift=3.0)
    right = {name: (np.array(p.predict(new)) == np.array(new["label"])).mean() for name, p in
             (("old", run.predictor), ("new", made.run.predictor))}  # fmt: skip
    assert right["new"] > right["old"] + 0.1
    written = json.loads((tmp_path / "out" / "refit.json").read_text())
    assert written["is_better"]
    assert written["n_rows"] == 400


def test_on_the_same_data_it_is_judged_out_of_fold_and_not_packed(run, tmp_path):
    source = run.folder.parent / "old.csv"
    made = run.refit(source, out=tmp_path / "out")
    assert made.comparison.n_rows == 240
    assert "folds that had not seen" in made.comparison.rows
    assert made.comparison.before.estimate == pytest.approx(made.comparison.after.estimate)
    assert not made.comparison.is_better
    assert made.run is None
    assert not (tmp_path / "out" / "model.cupel").exists()
    moved = shutil.copytree(run.folder, tmp_path / "moved")
    assert cupel.refit(moved, source, out=tmp_path / "out").comparison == made.comparison


def test_the_models_of_each_old_fold_speak_alone_and_together_say_what_is_packed(run):
    from cupel.refitting import _OldModels

    problem = understand(run.folder.parent / "old.csv", "label", settings=SETTINGS)
    old = _OldModels(run.folder, run.predictor, execution.read_pick(run.folder))
    rows = np.arange(50)
    apart = old.said_apart(problem, rows)
    assert len(apart) == 2
    assert not np.allclose(apart[0], apart[1])
    assert np.allclose(np.mean(apart, axis=0), old.said_together(problem, rows), atol=0.05)  # calibrated before or after the mean
    assert (old.judges[problem.splits.folds[1].valid, 0] == 1).all()
    rule = (run.folder / "rule.onnx").read_bytes()
    (run.folder / "rule.onnx").unlink()
    try:
        assert old.said_apart(problem, rows) == ()
    finally:
        (run.folder / "rule.onnx").write_bytes(rule)


def test_a_warm_start_is_judged_by_new_rows_alone(run, tmp_path):
    old, new = table(240, seed=0), table(120, seed=3)
    source = write(tmp_path / "more.csv", {name: [*old[name], *new[name]] for name in old})
    made = run.refit(source, warm=True, out=tmp_path / "out", pack="always")
    assert made.comparison.n_rows == 120
    assert "warm" in made.starts.values()
    assert made.run is not None
    assert made.run.facts["n_judged"] == 120
    again = run.refit(source, warm=True, out=tmp_path / "out", pack="never")
    assert again.comparison == made.comparison
    with pytest.raises(RunConflictError, match="warm was True, is False"):
        run.refit(source, out=tmp_path / "out")
    with pytest.raises(UsageError, match="is a refit"):
        cupel.resume(tmp_path / "out")


def test_a_warm_start_without_new_rows_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="only 0 of 240 rows are new"):
        run.refit(run.folder.parent / "old.csv", warm=True, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("a"), "without 'a'"),
        (lambda t: t.pop("label"), "without 'label'"),
        (lambda t: t.update(c=t["a"]), "with 'c' more"),
        (lambda t: t.update(label=["maybe", *t["label"][1:]]), "maybe"),
        (lambda t: t.update(label=["yes"] * 100), "label"),
        (lambda t: t.update(a=["x"] * 100), "'a'"),
    ],
)
def test_other_columns_or_classes_are_refused_and_named(run, tmp_path, change, named):
    columns = table(100, seed=4)
    change(columns)
    with pytest.raises((DataError, UsageError), match=named):
        run.refit(write(tmp_path / "new.csv", columns), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_columns_may_stand_in_another_order_and_constants_be_gone(run, tmp_path):
    columns = table(100, seed=5)
    source = write(tmp_path / "new.csv", {name: columns[name] for name in ("label", "b", "a")})
    made = run.refit(source, out=tmp_path / "out", pack="never")
    assert made.comparison.n_rows == 100
    probabilities = run.predictor.predict_proba(source)
    of_label = probabilities[np.arange(100), [run.predictor.classes.index(label) for label in columns["label"]]]
    together = -np.log(of_label).mean()
    assert together < made.comparison.before.estimate < 1.2 * together  # the mean of models is better than each of them


def test_the_command_says_what_came_of_it(run, tmp_path, capsys):
    source = write(tmp_path / "new.csv", table(200, seed=1, shift=2.0))
    assert main(["refit", str(run.folder), str(source), "--out", str(tmp_path / "out"), "--progress", "none"]) == 0
    said = capsys.readouterr().out
    assert "judged on 200 rows: those that the old model had not learned from" in said
    assert "the new model is better" in said
    assert (tmp_path / "out" / "model.cupel").exists()


def test_wrong_use_is_refused_before_any_work(run, tmp_path):
    with pytest.raises(UsageError, match="pack is 'maybe'"):
        run.refit("absent.csv", pack="maybe")
    with pytest.raises(UsageError, match="folder of the run itself"):
        run.refit("absent.csv", out=run.folder)
    with pytest.raises(DataError, match="no run in"):
        cupel.refit(tmp_path, "absent.csv")


def test_a_run_that_lost_what_it_packed_says_what_to_do(run, tmp_path):
    source = run.folder.parent / "old.csv"
    for name, error in (("pick.json", DataError), ("rows.npy", DataError), ("model.cupel", ArtifactError)):
        kept = (run.folder / name).read_bytes()
        (run.folder / name).unlink()
        try:
            with pytest.raises(error):
                run.refit(source, out=tmp_path / "out")
        finally:
            (run.folder / name).write_bytes(kept)


@pytest.mark.parametrize("field", ["config", "preparation", "recipe", "family", "modality"])
def test_a_candidate_that_a_stranger_wrote_is_refused(run, tmp_path, field):
    path = run.folder / "pick.json"
    kept = path.read_text()
    plain = json.loads(kept)
    strange = {"code": "import os"} if field in ("config", "preparation", "recipe") else "os.system"
    plain["members"][0]["candidate"][field] = strange
    path.write_text(json.dumps(plain))
    try:
        with pytest.raises((DataError, UsageError)):
            run.refit(run.folder.parent / "old.csv", out=tmp_path / "out")
    finally:
        path.write_text(kept)
    assert not (tmp_path / "out").exists()
