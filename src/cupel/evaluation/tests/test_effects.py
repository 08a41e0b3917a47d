"""What mending does is measured: much where the fault is, nothing where there is none; doubtful targets are the wrong ones."""

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.mending import Mending
from cupel.data.reading import read
from cupel.data.rehearsal import Rehearsal
from cupel.data.tests.making_datasets import make_dataset
from cupel.evaluation import doubtful_targets, likely_wrong_values, rehearsed_doubts, with_effects

N = 600


def columns(*, n_classes: int = 2) -> dict:
    generator = np.random.default_rng(0)
    signal = generator.normal(size=N)
    target = signal if n_classes == 0 else np.digitize(signal, np.quantile(signal, np.arange(1, n_classes) / n_classes))
    return {f"x{i}": signal + (i + 1) * generator.normal(size=N) for i in range(4)} | {"y": target}


def measured(dataset, fix: Fix, **options) -> Finding:
    finding = Finding(code="some", severity=Severity.WARNING, where="x", what="Something.", action="Nothing.", fix=fix)
    return with_effects([finding], dataset, **options)[0]


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_leaving_out_a_leak_costs_what_it_gave(n_classes):
    table = columns(n_classes=n_classes)
    table["later"] = 2.0 * table["y"]
    finding = measured(make_dataset(table), Fix(kind=FixKind.DROP_COLUMN, columns=("later",)))
    assert finding.effect.high < 0
    assert finding.effect.is_sure
    assert "Measured by a small forest on 600 rows" in finding.what


def test_leaving_out_noise_changes_nothing_beyond_chance():
    table = columns() | {"noise": np.random.default_rng(9).normal(size=N)}
    finding = measured(make_dataset(table), Fix(kind=FixKind.DROP_COLUMN, columns=("noise",)))
    assert not finding.effect.is_sure


def test_copies_make_no_effect_surer():
    table = columns() | {"noise": np.random.default_rng(9).normal(size=N)}
    fix = Fix(kind=FixKind.DROP_COLUMN, columns=("x0",))
    once, thrice = (
        measured(make_dataset({name: np.repeat(values, times) for name, values in table.items()}), fix).effect for times in (1, 3)
    )
    assert thrice.high - thrice.low > 0.75 * (once.high - once.low)


def test_groups_that_matter_stay_a_warning_and_others_become_a_note():
    generator = np.random.default_rng(1)
    things = np.repeat(np.arange(120), 5)
    table = {f"x{i}": generator.normal(size=120)[things] + 0.05 * generator.normal(size=N) for i in range(4)}
    table |= {"thing": [f"t{t}" for t in things], "y": generator.integers(0, 2, 120)[things]}
    fix = Fix(kind=FixKind.GROUP, columns=("thing",))
    assert measured(make_dataset(table), fix).severity is Severity.WARNING
    table = columns() | {"thing": [f"t{t}" for t in generator.permutation(things)]}
    assert measured(make_dataset(table), fix).severity is Severity.NOTE


def test_an_order_that_matters_is_measured_along_its_stretches():
    generator = np.random.default_rng(2)
    walk = np.cumsum(generator.normal(size=N))
    table = {"x": np.arange(N) + generator.normal(size=N), "noise": generator.normal(size=N), "y": walk}
    assert measured(make_dataset(table), Fix(kind=FixKind.ORDER)).effect.high < 0


def test_mending_a_unit_helps():
    generator = np.random.default_rng(3)
    x = generator.uniform(50, 100, N)
    off = generator.random(N) < 0.3
    table = {"x": np.where(off, x * 1000, x), "noise": generator.normal(size=N), "y": x + generator.normal(size=N)}
    fix = Fix(kind=FixKind.MEND_CELLS, columns=("x",), mending=Mending(scales=((1e4, 1e6, 0.001),)))
    assert measured(make_dataset(table), fix).effect.mended < measured(make_dataset(table), fix).effect.as_is


def test_what_cannot_be_measured_is_left_as_it_is():
    few = make_dataset({"x": np.arange(20.0), "y": [0, 1] * 10})
    assert measured(few, Fix(kind=FixKind.DROP_COLUMN, columns=("x",))).effect is None
    assert measured(make_dataset(columns()), Fix(kind=FixKind.KEEP_TOGETHER)).effect is None
    only = make_dataset({"x": np.arange(float(N)), "y": [0, 1] * (N // 2)})
    assert measured(only, Fix(kind=FixKind.DROP_COLUMN, columns=("x",))).effect is None


@pytest.mark.wrong_shapes
def test_values_without_predictions_are_refused():
    with pytest.raises(DataError, match="equally many"):
        likely_wrong_values(np.arange(3.0), np.arange(2.0))


def test_wrong_values_stand_out_from_residuals_that_grow_with_the_value():
    generator = np.random.default_rng(4)
    truth = generator.uniform(1, 100, 1000)
    target = truth * (1 + 0.1 * generator.normal(size=1000))
    target[:10] = target[:10] + np.where(truth[:10] > 50, -1, 1) * 60
    wrong = likely_wrong_values(target, truth[:, None])
    assert set(wrong.rows.tolist()) >= set(np.flatnonzero(truth[:10] < 30).tolist())
    assert len(wrong.rows) <= 12
    assert (np.diff(wrong.deviations) <= 0).all()


def test_flipped_labels_are_named_by_their_row_and_left_out_only_if_asked():
    generator = np.random.default_rng(5)
    x = generator.normal(size=(N, 4))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    sure = np.flatnonzero(np.abs(x[:, 0] + x[:, 1]) > 1.5)[:12]
    y[sure] = 1 - y[sure]
    dataset = make_dataset({f"x{i}": x[:, i] for i in range(4)} | {"y": y})
    (finding,) = rehearsed_doubts(dataset)
    named = np.array(finding.fix.rows) - 1
    assert np.isin(sure, named).mean() >= 0.7
    assert finding.fix.kind is FixKind.LEAVE_OUT_ROWS
    assert not finding.fix.is_safe
    assert f"row {int(named[0]) + 1}" in finding.what


def test_doubts_need_rows_and_a_sure_model_of_right_labels_raises_none():
    dataset = make_dataset(columns())
    rehearsal = Rehearsal(dataset)
    assert doubtful_targets(dataset, np.eye(2)[dataset.target], rows=np.arange(N), by="an oracle") == []
    assert doubtful_targets(dataset, np.eye(2)[dataset.target[:20]], rows=np.arange(20), by="an oracle") == []
    parts = rehearsal.parts()
    np.testing.assert_array_equal(rehearsal.predictions(parts), rehearsal.predictions(parts))


def several(*, flips: int) -> tuple[Dataset, np.ndarray]:
    """Two labels that two numbers tell, some of the first flipped where it is plain, and of the second many unknown."""
    generator = np.random.default_rng(5)
    x = generator.normal(size=(N, 4))
    told = np.stack([x[:, 0] + x[:, 1] > 0, x[:, 2] > 0], axis=1).astype(float)
    sure = np.flatnonzero(np.abs(x[:, 0] + x[:, 1]) > 1.5)[:flips]
    told[sure, 0] = 1 - told[sure, 0]
    told[::3, 1] = np.nan
    columns = {f"x{i}": x[:, i] for i in range(4)} | {
        name: np.array([None if np.isnan(cell) else int(cell) for cell in told[:, label]], dtype=object)
        for label, name in enumerate(("red", "round"))
    }
    return read(columns, target=["red", "round"]), sure


def test_labels_of_several_that_are_flipped_are_named_by_their_row_and_what_they_seem():
    dataset, sure = several(flips=12)
    (finding,) = rehearsed_doubts(dataset)
    named = np.array(finding.fix.rows) - 1
    assert np.isin(sure, named).mean() >= 0.7
    assert np.isin(named, sure).mean() >= 0.5
    assert finding.fix.kind is FixKind.LEAVE_OUT_ROWS
    assert "'red'" in finding.what
    first = finding.what.partition("; the surest: ")[2]
    held = dataset.target[named[0], 0] == 1
    assert first.startswith(f"row {named[0] + 1} ({'labelled ' if held else 'seems '}'red'")
    assert "another label" not in finding.action


def test_an_oracle_doubts_no_label_of_several_and_nothing_that_is_unknown():
    dataset, _ = several(flips=0)
    sure = np.where(np.isnan(dataset.target), 0.9, np.nan_to_num(dataset.target))
    assert doubtful_targets(dataset, sure, rows=np.arange(N), by="an oracle") == []
