"""Pairs of categories are chosen where they say more together, out of fold, and in a number that no fold changes."""

import dataclasses

import numpy as np
import pytest

from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import TaskKind
from cupel.modalities.tabular.preparation import FOR_TREES, TabularPreparation
from cupel.modalities.tabular.preparation.crossing import MAX_CELLS, fit_crosses

N_LEVELS = [4, 6, 5, 3]
CROSSED = dataclasses.replace(FOR_TREES, crossed_pairs=4)


def drawn(seed, *, n_rows=6_000):
    """Indices of four columns, and folds."""
    generator = np.random.default_rng(seed)
    indices = np.stack([generator.integers(1, size + 1, n_rows) for size in N_LEVELS], axis=1)
    return indices, generator.integers(0, 5, n_rows), generator


def fitted(indices, target, folds, *, n_wanted=2, n_levels=N_LEVELS):
    sizes = [size + 1 for size in n_levels]
    return fit_crosses(
        n_wanted, indices, sizes=sizes, n_levels=n_levels, outcomes=np.asarray(target, float)[:, None], folds=folds
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_pair_that_says_more_together_is_found_and_alone(seed):
    indices, folds, generator = drawn(seed)
    together = np.where((indices[:, 1] + indices[:, 3]) % 2, 1.0, -1.0)
    crosses, encoded = fitted(indices, together + generator.normal(size=len(indices)), folds)
    assert list(zip(crosses.firsts.tolist(), crosses.seconds.tolist(), strict=True)) == [(1, 3), (0, 0)]
    assert encoded.shape == (len(indices), crosses.width) == (len(indices), 2)
    assert np.corrcoef(encoded[:, 0], together)[0, 1] > 0.95
    assert not encoded[:, 1].any()
    assert not crosses.apply(indices)[:, 1].any()


def test_columns_that_only_add_up_are_not_crossed():
    found = 0
    for seed in range(20):
        indices, folds, generator = drawn(seed)
        target = indices[:, 0] - 0.5 * indices[:, 1] + 2.0 * (indices[:, 2] == 3) + generator.normal(size=len(indices))
        crosses, _ = fitted(indices, target, folds)
        found += int(crosses.strides.any())
    assert found <= 1


def test_noise_is_not_crossed():
    found = 0
    for seed in range(20):
        indices, folds, generator = drawn(seed, n_rows=500)
        crosses, _ = fitted(indices, generator.normal(size=500), folds)
        found += int(crosses.strides.any())
    assert found <= 1


def test_training_rows_are_encoded_without_their_own_answers():
    indices, folds, generator = drawn(0, n_rows=2_000)
    indices = generator.integers(1, 41, (2_000, 2))
    together = np.where((indices[:, 0] * indices[:, 1]) % 3 == 0, 1.0, -1.0)
    target = together + 3 * generator.normal(size=2_000)
    _, encoded = fitted(indices, target, folds, n_wanted=1, n_levels=[40, 40])
    noise = target - together
    if encoded.any():
        assert abs(np.corrcoef(encoded[:, 0], noise)[0, 1]) < 0.1


def test_a_table_too_large_is_no_pair():
    large = int(MAX_CELLS**0.5) + 1
    indices, folds, generator = drawn(0)
    crosses, encoded = fitted(indices[:, :2], generator.normal(size=len(indices)), folds, n_levels=[large, large])
    assert crosses is None
    assert encoded.shape == (len(indices), 0)


def crossed_table(make_dataset, *, n_rows=3_000):
    """Two columns whose parity together is the answer, on which neither alone says anything."""
    generator = np.random.default_rng(1)
    cells = {name: generator.integers(0, 4, n_rows).astype(np.int32) for name in ("a", "b", "c")}
    target = ((cells["a"] + cells["b"]) % 2).astype(np.int64)
    columns = [Column(name=name, kind=ColumnKind.CATEGORY, levels=tuple("wxyz")) for name in cells]
    schema = Schema((*columns, Column(name="y", kind=ColumnKind.NUMBER)), target="y")
    original = make_dataset(n_rows=3, task=TaskKind.BINARY)
    return dataclasses.replace(original, schema=schema, columns={**cells, "y": target.astype(float)}, target=target)


@pytest.mark.parametrize("choices", [CROSSED, TabularPreparation(crossed_pairs=4)], ids=["trees", "one-hot"])
def test_a_preparation_gives_the_pair_as_a_number_beside_its_columns(choices, make_dataset):
    dataset = crossed_table(make_dataset)
    without = dataclasses.replace(choices, crossed_pairs=0).fit(dataset, np.arange(2_000), seed=0)
    prepared = choices.fit(dataset, np.arange(2_000), seed=0)
    added = prepared.inputs.widths["numeric"] - without.inputs.widths["numeric"]
    assert added == 3  # four were wanted, and there are three pairs
    unseen = prepared.fitted.transform(dataset, np.arange(2_000, 3_000)).blocks["numeric"]
    assert np.corrcoef(unseen[:, -3], dataset.target[2_000:])[0, 1] > 0.99
    assert not unseen[:, -2:].std(axis=0).any()


def test_folds_agree_on_the_number_of_columns(make_dataset):
    dataset = make_dataset()
    widths = {
        CROSSED.fit(dataset, rows, seed=0).inputs.widths["numeric"]
        for rows in (np.arange(5), np.arange(150), np.arange(0, 300, 2))
    }
    assert len(widths) == 1


def test_more_classes_than_can_be_columns_are_not_crossed(make_dataset):
    dataset = make_dataset(task=TaskKind.MULTICLASS, n_classes=12)
    widths = [choices.fit(dataset, np.arange(200), seed=0).inputs.widths for choices in (CROSSED, FOR_TREES)]
    assert widths[0] == widths[1]
