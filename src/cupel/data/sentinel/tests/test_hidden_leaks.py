"""Leaks that no single column shows, planted one kind at a time, and that honest tables are left alone."""

import numpy as np
import pytest

from cupel.core.finding import Finding
from cupel.core.fix import FixKind
from cupel.data.leaks import find_leaks
from cupel.data.profiling import profile
from cupel.data.sentinel import copies_finding, find_hidden_leaks, near_copies
from cupel.data.tests.making_datasets import make_dataset

N = 800


def honest(n: int = N, *, seed: int = 0, n_classes: int = 2) -> dict:
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=n)
    target = signal if n_classes == 0 else np.digitize(signal, np.quantile(signal, np.arange(1, n_classes) / n_classes))
    columns = {f"x{i}": signal + (i + 1) * generator.normal(size=n) for i in range(5)}
    return {**columns, "c": generator.choice(["red", "green", "blue"], n), "y": target}


def found(columns: dict, **options) -> dict[str, Finding]:
    dataset = make_dataset(columns, **options)
    alone = find_leaks(dataset, profile(dataset))
    return {finding.code: finding for finding in find_hidden_leaks(dataset, alone)}


@pytest.mark.parametrize("n_classes", [0, 2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_found_in_honest_tables(n_classes, seed):
    generator = np.random.default_rng(seed + 50)
    columns = honest(seed=seed, n_classes=n_classes)
    columns |= {"key": [f"k{i}" for i in generator.permutation(N)], "day": 1e9 + 86400 * generator.permutation(N).astype(float)}
    columns["shop"] = [f"s{i}" for i in generator.integers(0, 40, N)]
    assert found(columns, kinds={"key": "identifier", "day": "datetime"}) == {}
    assert near_copies(make_dataset(columns, kinds={"key": "identifier", "day": "datetime"})) is None


def test_an_exclusive_or_of_two_columns_is_found():
    columns = honest()
    mask = np.random.default_rng(1).integers(0, 2, N)
    columns |= {"a": mask.astype(float), "b": (mask ^ columns["y"]).astype(float)}
    assert found(columns)["pair-leak"].where == "a, b"


@pytest.mark.parametrize("n_classes", [0, 2])
def test_a_difference_of_two_columns_is_found_though_a_little_noise_is_on_it(n_classes):
    columns = honest(n_classes=n_classes)
    generator = np.random.default_rng(1)
    base = 20 * generator.normal(size=N)
    columns |= {"a": base, "b": base + columns["y"] + 0.02 * generator.normal(size=N)}
    finding = found(columns)["pair-leak"]
    assert finding.where == "a, b"
    assert finding.fix.command == "--drop a --drop b"


def test_a_product_is_found_with_its_formula():
    columns = honest(n_classes=0)
    generator = np.random.default_rng(1)
    columns["y"] = np.exp(columns["y"])
    columns["rate"] = generator.gamma(3, 1, N)
    columns["amount"] = columns["y"] / columns["rate"]
    assert "proportional to rate × amount" in found(columns)["pair-leak"].what


@pytest.mark.parametrize("weight", [0.0, 15.0])
def test_mean_targets_of_all_rows_are_found_without_their_category(weight):
    columns = honest(n_classes=0)
    codes = np.random.default_rng(1).integers(0, 60, N)
    sums, counts = np.bincount(codes, columns["y"]), np.bincount(codes)
    columns["rate"] = ((sums + weight * columns["y"].mean()) / (counts + weight))[codes]
    finding = found(columns)["target-encoding"]
    assert finding.where == "rate"
    assert ("smoothed" in finding.what) is (weight > 0)


def test_mean_targets_that_leave_the_own_row_out_are_found_beside_their_category():
    columns = honest()
    codes = np.random.default_rng(1).integers(0, 60, N)
    sums, counts = np.bincount(codes, columns["y"]), np.bincount(codes)
    columns |= {"rate": (sums[codes] - columns["y"]) / (counts[codes] - 1), "branch": [f"b{code}" for code in codes]}
    assert found(columns)["target-encoding"].where == "rate"


def test_mean_targets_of_other_rows_are_honest():
    columns = honest()
    generator = np.random.default_rng(1)
    codes, is_past = generator.integers(0, 60, N), generator.random(N) < 0.5
    sums, counts = np.bincount(codes[is_past], columns["y"][is_past], 60), np.bincount(codes[is_past], minlength=60)
    columns |= {"rate": (sums / np.maximum(counts, 1))[codes]}
    columns = {name: np.asarray(cells)[~is_past] for name, cells in columns.items()}
    assert "target-encoding" not in found(columns)


IDENTIFIERS = {
    "prefix": lambda y, serial: [f"{'AC' if up else 'BD'}-{number}" for up, number in zip(y, serial, strict=True)],
    "parity": lambda y, serial: [f"X{2 * number + up}" for up, number in zip(y, serial, strict=True)],
    "ranges": lambda y, serial: [f"T{10_000 + 1000 * up + number}" for up, number in zip(y, serial, strict=True)],
}


@pytest.mark.parametrize("how", IDENTIFIERS)
def test_an_identifier_that_carries_the_outcome_is_found(how):
    columns = honest()
    columns["key"] = IDENTIFIERS[how](columns["y"], np.random.default_rng(2).permutation(N))
    finding = found(columns, kinds={"key": "identifier"})["telling-identifier"]
    assert finding.where == "key"
    assert finding.action.startswith("It is not used, so that no score rests on it.")


def test_rows_in_an_order_that_tells_are_found_and_sorted_ones_are_called_so():
    columns = honest()
    noise = np.random.default_rng(3).normal(size=N)
    for spread, code in ((1.0, "row-order"), (0.0, "sorted-by-target")):
        order = np.argsort(columns["y"] + spread * noise, kind="stable")
        assert code in found({name: cells[order] for name, cells in columns.items()})


def test_classes_that_stand_together_are_sorted_rows_however_few_of_each_there_are():
    columns = honest(n_classes=12)
    order = np.argsort(columns["y"], kind="stable")
    together = order[np.unique(columns["y"][order], return_index=True)[1][:, None] + np.arange(6)].ravel()
    findings = found({name: cells[together] for name, cells in columns.items()})
    assert "sorted-by-target" in findings
    assert "row-order" not in findings


def test_targets_that_drift_with_a_date_ask_for_an_order():
    columns = honest()
    generator = np.random.default_rng(3)
    columns["day"] = 1e9 + 86400.0 * np.argsort(np.argsort(columns["y"] + generator.normal(size=N)))
    finding = found(columns, kinds={"day": "datetime"})["time-leak"]
    assert finding.fix.command == "--order day"
    assert found(columns, kinds={"day": "datetime"}, time="day") == {}


@pytest.mark.parametrize("how", ["next", "centred", "previous"])
def test_columns_made_of_later_targets_are_found_and_lagged_ones_are_not(how):
    columns = honest(n_classes=0)
    y = columns["y"]
    centred = np.convolve(y, np.ones(3) / 3, "same")
    columns["signal"] = {"next": np.roll(y, -1), "centred": centred, "previous": np.roll(y, 1)}[how]
    assert ("future-column" in found(columns)) is (how != "previous")


def test_a_date_after_the_outcome_is_found():
    columns = honest()
    generator = np.random.default_rng(4)
    opened = 1e9 + 86400.0 * generator.permutation(N)
    closed = opened + 86400.0 * np.where(columns["y"] == 1, 5, 30) * (0.5 + generator.random(N))
    columns |= {"opened": opened, "closed": closed}
    assert found(columns, kinds={"opened": "datetime", "closed": "datetime"})["late-date"].where == "closed"


def test_things_of_several_rows_ask_for_groups_and_a_place_does_not():
    base = honest(160)
    things = np.repeat(np.arange(160), 5)
    generator = np.random.default_rng(6)
    columns = {
        name: cells[things] if cells.dtype.kind != "f" else cells[things] + 0.3 * generator.normal(size=N)
        for name, cells in base.items()
    }
    columns = {"patient": [f"p{thing}" for thing in things], **columns}
    order = generator.permutation(N)
    columns = {name: np.asarray(cells)[order] for name, cells in columns.items()}
    finding = found(columns)["group-leak"]
    assert finding.where == "patient"
    assert finding.fix.kind is FixKind.GROUP
    assert finding.probability > 0.99
    assert found(columns, group="patient") == {}


@pytest.mark.parametrize(("share", "times", "noise"), [(0.1, 1, 0.001), (0.2, 1, 0.02), (0.1, 2, 0.005)])
def test_copies_with_a_little_noise_are_found_and_stay_together(share, times, noise):
    columns = honest()
    generator = np.random.default_rng(7)
    chosen = generator.choice(N, int(share * N), replace=False)
    rows = np.concatenate([np.arange(N), *[chosen] * times])
    noisy = {name: np.asarray(cells)[rows] for name, cells in columns.items()}
    for name in (name for name, cells in noisy.items() if cells.dtype.kind == "f"):
        noisy[name][N:] += noise * generator.normal(size=len(rows) - N)
    copies = near_copies(make_dataset(noisy))
    assert copies is not None
    together = copies.units[N : N + len(chosen)] == copies.units[chosen]
    assert together.mean() > 0.9
    assert len(np.unique(copies.units)) > 0.9 * N
    finding = copies_finding(copies, make_dataset(noisy))
    assert "always in the same fold" in finding.action


def test_too_few_rows_or_columns_have_no_near_copies():
    assert near_copies(make_dataset({"a": np.arange(50.0), "b": np.arange(50.0), "c": np.arange(50.0), "y": [0, 1] * 25})) is None
    assert near_copies(make_dataset({"a": np.arange(500.0), "y": [0, 1] * 250})) is None
