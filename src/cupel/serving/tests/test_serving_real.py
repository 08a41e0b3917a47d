"""A model found on true data, packed, and asked for rows that it had not seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pytest

import cupel

DATA = Path(os.environ.get("CUPEL_DATA", Path(__file__).parents[5] / "shared" / "data"))
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def credit(tmp_path_factory):
    frame = polars.read_csv(DATA / "german_credit" / "german_credit.csv.gz", infer_schema_length=None)
    frame = frame.sample(fraction=1.0, shuffle=True, seed=0)
    folder = tmp_path_factory.mktemp("credit")
    frame[:800].write_csv(folder / "train.csv")
    frame[800:].drop("credit_risk").write_csv(folder / "new.csv")
    settings = cupel.Settings(families=("linear", "lightgbm"))
    run = cupel.fit(folder / "train.csv", "credit_risk", effort="quick", out=folder / "run", settings=settings)
    return run, folder / "new.csv", frame[800:]


def test_unseen_rows_are_predicted_as_well_as_was_promised(credit):
    run, path, truth = credit
    predictor = run.predictor
    target = truth["credit_risk"].cast(polars.String).to_numpy() == predictor.classes[-1]
    scores = predictor.predict_proba(path)[:, 1]
    wins = scores[target][:, None] - scores[~target][None]
    roc_auc = (wins > 0).mean() + 0.5 * (wins == 0).mean()
    assert roc_auc == pytest.approx(0.78, abs=0.08)


def test_every_form_of_the_rows_gives_the_same(credit):
    run, path, _ = credit
    frame = polars.read_csv(path, infer_schema_length=None)
    expected = run.predictor.predict_proba(path)
    for form in (frame, frame.to_pandas(), frame.to_dict(as_series=False), frame.to_dicts(), frame.to_arrow()):
        np.testing.assert_array_equal(run.predictor.predict_proba(form), expected)


MEASURE = """
import json, sys, time
from cupel.serving import load
predictor, row = load(sys.argv[1]), json.loads(sys.argv[2])
feeds = predictor.feeds([row])
def fastest(work):
    seconds = []
    for _ in range(200):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
print(fastest(lambda: predictor.predict(row)) - fastest(lambda: predictor._session.run(feeds)))
"""


def test_one_row_costs_less_than_a_millisecond_beside_the_model(credit):
    run, path, _ = credit
    row = polars.read_csv(path, infer_schema_length=None).row(0, named=True)
    # In a process of its own: here every call is slowed by the checking of shapes.
    command = [sys.executable, "-I", "-c", MEASURE, str(run.artifact), json.dumps(row)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.001
