import contextlib
from dataclasses import replace

import numpy as np
import pytest

from cupel.core import keeping
from cupel.core.budget import Deadline
from cupel.core.family import UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.space import check
from cupel.core.task import Task, TaskKind
from cupel.learners import linear as learned_linear
from cupel.learners.kept_forests import arrays_of, put_back
from cupel.modalities.tabular.models import constant, extra_trees, knn, lightgbm, linear

SPECS = [constant.spec, linear.spec, knn.spec, extra_trees.spec, lightgbm.spec]
TAKES_MISSING = {"LightGBM", "ExtraTrees"}
TASKS = [
    Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("n", "y")),
    Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=("a", "b", "c")),
    Task(kind=TaskKind.REGRESSION, target="y", metric="rmse"),
]


def inputs_of(numeric, binary):
    blocks = {
        "numeric": numeric.astype(np.float32),
        "binary": binary.astype(np.float32),
        "codes": np.zeros((len(numeric), 0), np.int64),
    }
    return Inputs(blocks, {"codes": ()})


def unit_for(task, *, n=300, seed=0, missing=False):
    generator = np.random.default_rng(seed)
    numeric, binary = generator.normal(size=(n, 4)) * 1e3, generator.integers(0, 2, (n, 2))
    signal = numeric[:, 0] / 1e3 + binary[:, 0] + 0.3 * generator.normal(size=n)
    if missing:
        numeric[generator.random((n, 4)) < 0.2] = np.nan
    target = signal * 1e5 if task.kind is TaskKind.REGRESSION else np.digitize(signal, [0.0, 1.0][: task.n_outputs - 1])
    parts = [slice(0, n // 2), slice(n // 2, 3 * n // 4), slice(3 * n // 4, n)]
    train, stop, valid = (inputs_of(numeric[part], binary[part]) for part in parts)
    unit = UnitData(
        fold=0, seed=1, train=train, train_target=target[parts[0]], stop=stop, stop_target=target[parts[1]], valid=valid
    )
    return unit, target[parts[2]]


def fitted(spec, task, unit, **config):
    return spec.fit([unit], config=spec.config(**config), task=task, threads=1, deadline=Deadline())[0]


def exported(model, inputs, task):
    import onnxruntime

    graph = Graph()
    blocks = {
        name: graph.input(name, block.dtype, width=block.shape[1]) for name, block in inputs.blocks.items() if block.shape[1]
    }
    graph.output("prediction", graph.cast(model.emit(graph, blocks), np.float64), np.float64, width=task.n_outputs)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString())
    return session.run(None, {name: inputs.blocks[name] for name in blocks})[0]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind.value)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("missing", [False, True])
def test_the_exported_model_predicts_the_same(spec, task, missing):
    if missing and spec.name not in TAKES_MISSING:
        pytest.skip("only trees take missing values themselves")
    unit, _ = unit_for(task, missing=missing)
    model = fitted(spec, task, unit).model
    predicted = model.predict(unit.valid)
    assert predicted.shape == (unit.valid.n_samples, task.n_outputs)
    scale = 1e5 if task.kind is TaskKind.REGRESSION else 1.0
    assert np.abs(exported(model, unit.valid, task) - predicted).max() <= 1e-5 * scale
    one = inputs_of(unit.valid.blocks["numeric"][:1], unit.valid.blocks["binary"][:1])
    assert np.abs(exported(model, one, task) - predicted[:1]).max() <= 1e-5 * scale


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind.value)
@pytest.mark.parametrize("spec", SPECS[1:], ids=lambda spec: spec.name)
def test_a_family_learns_what_is_there(spec, task):
    unit, target = unit_for(task, n=1200)
    predicted = fitted(spec, task, unit).predictions
    if task.kind is TaskKind.REGRESSION:
        assert np.mean((predicted[:, 0] - target) ** 2) < 0.5 * np.var(target)
    else:
        assert np.allclose(predicted.sum(axis=1), 1)
        least = 0.6 if spec.name == "kNN" else 0.7  # nothing has scaled these columns for it
        assert np.mean(predicted.argmax(axis=1) == target) > least


@pytest.mark.parametrize("spec", SPECS[1:], ids=lambda spec: spec.name)
def test_a_class_that_the_fold_lacks_gets_next_to_no_probability(spec):
    unit, _ = unit_for(TASKS[0])
    task = TASKS[1]
    predicted = fitted(spec, task, unit).predictions
    assert predicted.shape[1] == 3
    assert predicted[:, 2].max() < 0.05


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_same_seed_gives_the_same_predictions(spec):
    unit, _ = unit_for(TASKS[0])
    assert np.array_equal(fitted(spec, TASKS[0], unit).predictions, fitted(spec, TASKS[0], unit).predictions)


@pytest.mark.parametrize(("metric", "quantile"), [("mae", 0.5), ("pinball_10", 0.1), ("pinball_90", 0.9)])
def test_the_constant_is_the_best_one_for_the_metric(metric, quantile):
    task = Task(kind=TaskKind.REGRESSION, target="y", metric=metric)
    unit, _ = unit_for(task)
    known = np.concatenate([unit.train_target, unit.stop_target])
    assert fitted(constant.spec, task, unit).predictions[0, 0] == pytest.approx(np.quantile(known, quantile))


def test_lightgbm_ends_when_time_is_up_with_what_it_has():
    unit, _ = unit_for(TASKS[0], n=20_000)
    config = lightgbm.Config(learning_rate=0.01, max_rounds=3000, num_leaves=255)
    result = lightgbm.spec.fit([unit], config=config, task=TASKS[0], threads=1, deadline=Deadline(0.3))[0]
    assert result.cut_short
    assert result.seconds < 2


def test_lightgbm_takes_larger_steps_where_its_rounds_would_not_fit_into_the_time():
    unit, _ = unit_for(TASKS[0], n=20_000)
    config = lightgbm.Config(learning_rate=0.01, max_rounds=3000, num_leaves=63)
    hurried, slow = (
        lightgbm.spec.fit([unit], config=replace(config, max_rounds=n_rounds), task=TASKS[0], threads=1, deadline=until)[0]
        for n_rounds, until in ((3000, Deadline(1.0)), (60, Deadline()))
    )
    assert hurried.cut_short
    assert not slow.cut_short
    assert hurried.curve["stop_loss"][40] < slow.curve["stop_loss"][40]
    assert hurried.curve["stop_loss"][:5] == slow.curve["stop_loss"][:5]


def test_early_stopping_keeps_the_best_round():
    unit, _ = unit_for(TASKS[0])
    result = fitted(lightgbm.spec, TASKS[0], unit, learning_rate=0.2)
    assert result.best_epoch == int(np.argmin(result.curve["stop_loss"]))
    assert len(result.curve["stop_loss"]) > result.best_epoch + 1


def test_an_unlearnable_target_gets_a_heavily_penalised_linear_model():
    generator = np.random.default_rng(0)
    inputs = [inputs_of(generator.normal(size=(100, 4)), np.zeros((100, 2))) for _ in range(3)]
    targets = [generator.integers(0, 2, 100) for _ in range(2)]
    unit = UnitData(
        fold=0, seed=0, train=inputs[0], train_target=targets[0], stop=inputs[1], stop_target=targets[1], valid=inputs[2]
    )
    predicted = fitted(linear.spec, TASKS[0], unit).predictions
    assert np.abs(predicted - np.concatenate(targets).mean()).min(axis=1).max() < 0.25


def test_linear_models_end_when_time_is_up_with_what_they_have():
    unit, _ = unit_for(TASKS[1])
    result = linear.spec.fit([unit], config=linear.Config(), task=TASKS[1], threads=1, deadline=Deadline(1e-6))[0]
    assert result.cut_short
    assert len(result.curve["stop_loss"]) == 1
    assert np.allclose(result.predictions.sum(axis=1), 1)


def test_wide_tables_are_solved_without_newtons_steps():
    generator = np.random.default_rng(0)
    blocks = [inputs_of(generator.normal(size=(60, 400)), np.zeros((60, 1))) for _ in range(3)]
    targets = [(inputs.blocks["numeric"][:, :5].sum(axis=1) > 0).astype(np.int64) for inputs in blocks]
    unit = UnitData(
        fold=0, seed=0, train=blocks[0], train_target=targets[0], stop=blocks[1], stop_target=targets[1], valid=blocks[2]
    )
    predicted = fitted(linear.spec, TASKS[0], unit).predictions
    assert np.isfinite(predicted).all()


def test_every_preset_lies_within_its_space():
    many = Task(kind=TaskKind.MULTICLASS, target="y", metric="accuracy", classes=tuple("abcdefghijkl"))
    for spec in SPECS:
        for task in [*TASKS, many]:
            presets = [*spec.portfolio(task), *(spec.space(task).sample(np.random.default_rng(seed)) for seed in range(20))]
            for preset in presets:
                check(preset.config)
                assert spec.cost(1000, InputShape({"numeric": 5}, {}), preset.config, preset.recipe, task).seconds > 0


def test_lightgbm_grows_the_same_trees_with_any_number_of_threads():
    unit, _ = unit_for(TASKS[1], n=1200)
    one, two = (lightgbm.spec.fit([unit], config=lightgbm.Config(), task=TASKS[1], threads=n)[0].predictions for n in (1, 2))
    assert np.array_equal(one, two)


def test_forests_stay_small_where_there_are_many_classes():
    many = Task(kind=TaskKind.MULTICLASS, target="y", metric="accuracy", classes=tuple("abcdefghijklmnopqrstuvwxyz"))
    generator = np.random.default_rng(0)
    inputs = [inputs_of(generator.normal(size=(n, 4)), np.zeros((n, 1))) for n in (2000, 200, 50)]
    targets = [generator.integers(0, 26, n) for n in (2000, 200)]
    unit = UnitData(
        fold=0, seed=0, train=inputs[0], train_target=targets[0], stop=inputs[1], stop_target=targets[1], valid=inputs[2]
    )
    trees = fitted(extra_trees.spec, many, unit).model.forest.estimators_
    assert sum(tree.get_n_leaves() for tree in trees) * 26 <= extra_trees.MAX_LEAF_VALUES


def test_forests_end_when_time_is_up_with_the_trees_they_have():
    unit, _ = unit_for(TASKS[0])
    result = extra_trees.spec.fit([unit], config=extra_trees.Config(), task=TASKS[0], threads=1, deadline=Deadline(0))[0]
    assert result.cut_short
    assert len(result.model.forest.estimators_) == extra_trees.N_AT_ONCE


def test_neighbours_that_are_equally_far_count_equally_whatever_the_rounding():
    rows = np.array([[0.0], [2.0], [2.0], [4.0], [9.0]], np.float32)
    answers = np.array([[10.0], [0.0], [30.0], [10.0], [99.0]])
    model = knn.Neighbours(rows, np.ones(1), answers, answers.mean(axis=0), 2)
    exact, shaken = (
        model.predict(inputs_of(np.array([[at]]), np.zeros((1, 0)))) for at in (2.0, np.nextafter(np.float32(2), np.float32(3)))
    )
    assert exact[0, 0] == pytest.approx(15.0)
    assert shaken[0, 0] == pytest.approx(15.0, abs=1e-3)


def test_neighbours_are_found_by_the_columns_that_explain_the_target():
    generator = np.random.default_rng(0)
    parts = [generator.normal(size=(n, 12)) for n in (400, 100, 200)]
    blocks = [inputs_of(part, np.zeros((len(part), 1))) for part in parts]
    targets = [np.sin(part[:, 0]) + part[:, 1] for part in parts]
    unit = UnitData(
        fold=0, seed=0, train=blocks[0], train_target=targets[0], stop=blocks[1], stop_target=targets[1], valid=blocks[2]
    )
    errors = {
        weighting: float(np.mean((fitted(knn.spec, TASKS[2], unit, weighting=weighting).predictions[:, 0] - targets[2]) ** 2))
        for weighting in ("plain", "explained", "choose")
    }
    assert errors["explained"] < 0.5 * errors["plain"]
    assert errors["choose"] == errors["explained"]


def test_stored_rows_are_bounded():
    unit, _ = unit_for(TASKS[0], n=12_000)
    assert len(fitted(knn.spec, TASKS[0], unit).model.rows) == knn.MOST_ROWS


def test_as_many_rows_are_stored_as_are_asked_for_however_wide_they_are(monkeypatch):
    unit, _ = unit_for(TASKS[0], n=600)
    monkeypatch.setattr(knn, "MAX_CELLS", 600)
    assert len(fitted(knn.spec, TASKS[0], unit).model.rows) == 600 // 6
    assert len(fitted(knn.spec, TASKS[0], unit, max_rows=200).model.rows) == 200


class Kept:
    """Checkpoints in memory; after so many the process is stopped."""

    def __init__(self, n_until_stop):
        self.contents, self.n_left = {}, n_until_stop

    def save(self, name, content):
        if self.n_left == 0:
            raise InterruptedError
        self.n_left -= 1
        self.contents[name] = content

    def load(self, name):
        return self.contents.get(name)


@pytest.fixture
def kept_at_every_step(monkeypatch):
    for name in ("SHORTEST_SECONDS", "LONGEST_SECONDS", "SECONDS_WORTH_KEEPING"):
        monkeypatch.setattr(keeping, name, 0.0)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind.value)
@pytest.mark.parametrize("spec", [linear.spec, extra_trees.spec], ids=lambda spec: spec.name)
@pytest.mark.parametrize("n_until_stop", [1, 2])
def test_classical_models_go_on_where_they_were_ended_to_the_same_model(
    spec, task, n_until_stop, kept_at_every_step, monkeypatch
):
    home = extra_trees if spec is extra_trees.spec else learned_linear
    n_done, read = [], home._kept

    def counted(*given, **named):
        found = read(*given, **named)
        n_done.append(found if home is extra_trees else len(found[0]))
        return found

    monkeypatch.setattr(home, "_kept", counted)
    config = {"n_trees": 25, "max_leaves": 64} if spec is extra_trees.spec else {}
    unit, _ = unit_for(task, missing=spec is extra_trees.spec)
    whole = fitted(spec, task, unit, **config)
    kept = Kept(n_until_stop)
    with contextlib.suppress(InterruptedError):
        fitted(spec, task, replace(unit, checkpoints=kept), **config)
    kept.n_left = 100
    again = fitted(spec, task, replace(unit, checkpoints=kept), **config)
    assert np.array_equal(again.predictions, whole.predictions)
    assert again.curve == whole.curve
    assert n_done[-1] == n_until_stop * (extra_trees.N_AT_ONCE if home is extra_trees else 1)
    assert np.array_equal(exported(again.model, unit.valid, task), exported(whole.model, unit.valid, task))


@pytest.mark.parametrize("spec", [linear.spec, extra_trees.spec], ids=lambda spec: spec.name)
def test_a_checkpoint_of_something_else_is_as_good_as_none(spec, kept_at_every_step):
    unit, other = unit_for(TASKS[0])[0], unit_for(TASKS[1])[0]
    kept = Kept(100)
    fitted(spec, TASKS[1], replace(other, checkpoints=kept))
    assert kept.contents
    whole = fitted(spec, TASKS[0], unit)
    assert np.array_equal(fitted(spec, TASKS[0], replace(unit, checkpoints=kept)).predictions, whole.predictions)


@pytest.mark.parametrize(("field", "value"), [("left_child", 10**6), ("right_child", 0), ("feature", 77), ("feature", -9)])
def test_trees_that_nobody_grew_are_refused(field, value):
    unit, _ = unit_for(TASKS[0])
    forest = fitted(extra_trees.spec, TASKS[0], unit, n_trees=20).model.forest
    arrays = arrays_of(forest)
    dtype = forest.estimators_[0].tree_.__getstate__()["nodes"].dtype
    nodes = arrays["nodes"].copy().view(dtype)
    nodes[field][0] = value
    with pytest.raises(ValueError, match="a branch"):
        put_back(forest, {**arrays, "nodes": nodes.view(np.uint8)})
    with pytest.raises(ValueError, match="as many"):
        put_back(forest, {**arrays, "nodes": arrays["nodes"][:-1]})


def test_neighbours_of_a_sorted_table_are_stored_from_its_beginning_to_its_end():
    """And the stop rows, which come last, with them."""
    unit, _ = unit_for(TASKS[0], n=6000)
    order = np.argsort(unit.train_target, kind="stable")
    train = replace(unit.train, blocks={name: block[order] for name, block in unit.train.blocks.items()})
    model = fitted(knn.spec, TASKS[0], replace(unit, train=train, train_target=unit.train_target[order]), max_rows=600).model
    share = np.concatenate([unit.train_target, unit.stop_target]).mean()
    assert abs(model.prior[1] - share) < 0.1
    stored = {row.tobytes() for row in model.rows}
    assert any(row.tobytes() in stored for row in unit.stop.matrix())
