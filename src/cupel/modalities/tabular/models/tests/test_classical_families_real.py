"""The classical bar stands where the literature has it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars
import pytest

from cupel import data
from cupel.core.budget import Deadline
from cupel.core.family import UnitData
from cupel.evaluation import score
from cupel.modalities.tabular.models import lightgbm, linear

FOLDER = Path(os.environ.get("CUPEL_DATA", Path(__file__).resolve().parents[7] / "shared" / "data"))

pytestmark = pytest.mark.real


def measured(spec, dataset, n_train, metric):
    """The score on the rows after the first `n_train`, of the family's first preset."""
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(n_train)
    stop, train = np.sort(shuffled[: n_train // 8]), np.sort(shuffled[n_train // 8 :])
    test = np.arange(n_train, dataset.n_samples)
    preset = spec.portfolio(dataset.task)[0]
    prepared = preset.preparation.fit(dataset, train, seed=0)
    unit = UnitData(
        fold=0,
        seed=0,
        train=prepared.inputs,
        train_target=dataset.target[prepared.rows],
        stop=prepared.fitted.transform(dataset, stop),
        stop_target=dataset.target[stop],
        valid=prepared.fitted.transform(dataset, test),
    )
    result = spec.fit([unit], config=preset.config, task=dataset.task, threads=1, deadline=Deadline())[0]
    return score(metric, dataset.target[test], result.predictions)


@pytest.mark.parametrize(("spec", "auc"), [(lightgbm.spec, 0.926), (linear.spec, 0.905)], ids=["LightGBM", "linear"])
def test_adult_auc_is_that_of_the_literature(spec, auc):
    frames = [polars.read_csv(FOLDER / "adult" / f"{part}.csv.gz", infer_schema=False) for part in ("train", "test")]
    dataset = data.read(polars.concat(frames), target="income")
    assert measured(spec, dataset, len(frames[0]), "roc_auc") == pytest.approx(auc, abs=0.003)


@pytest.mark.parametrize(("spec", "rmse"), [(lightgbm.spec, 46_500), (linear.spec, 68_500)], ids=["LightGBM", "linear"])
def test_california_error_is_that_of_the_literature(spec, rmse):
    frame = polars.read_csv(FOLDER / "california_housing" / "housing.csv.gz", infer_schema=False)
    dataset = data.read(frame[np.random.default_rng(0).permutation(len(frame))], target="median_house_value")
    assert measured(spec, dataset, len(frame) * 4 // 5, "rmse") == pytest.approx(rmse, rel=0.04)
