"""What a packed model promises beside its predictions is applied as it was stored, and refused where it cannot be."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import packed_examples as examples
from cupel.core.errors import ArtifactError, UsageError
from cupel.core.uncertainty import Coverage, Decision, Distribution, Silence, Uncertainty
from cupel.packing.pack import _contents, _zipped
from cupel.serving import load


def distribution(*values: float) -> Distribution:
    return Distribution(np.array(values), np.arange(1, len(values) + 1) / len(values), float(len(values)))


CLASSES = Uncertainty(
    coverage=Coverage(distribution(*np.linspace(0.05, 0.95, 19))),
    silence=Silence((0.4, 0.8, 0.9), (0.5, 0.7, 0.9), (1.0, 0.5, 0.2)),
)
BINARY = replace(CLASSES, silence=replace(CLASSES.silence, threshold=0.2), decision=Decision(0.2, "so it was asked"))
VALUES = Uncertainty(coverage=Coverage(distribution(*range(1, 40)), distribution(*range(2, 41))))


def opened(kind, uncertainty):
    package = replace(examples.package(kind), uncertainty=uncertainty)
    return load(_zipped(package, _contents(package)))


@pytest.fixture(scope="module")
def predictors():
    promised = {"binary": BINARY, "multiclass": CLASSES, "regression": VALUES}
    return {kind: opened(kind, uncertainty.to_json()) for kind, uncertainty in promised.items()}


def test_the_threshold_decides(predictors):
    predictor = predictors["binary"]
    given = predictor.predict_columns(examples.GOLDEN)
    positive = given[f"probability_{predictor.classes[1]}"]
    expected = [predictor.classes[int(share > 0.2)] for share in positive]
    assert given["prediction"].tolist() == expected
    assert ((positive > 0.2) & (positive < 0.5)).any() or len(set(expected)) == 2


def test_ranges_and_sets_are_those_of_the_stored_errors(predictors):
    low, high = predictors["regression"].predict_interval(examples.GOLDEN, coverage=0.9)
    said = predictors["regression"].predict(examples.GOLDEN)
    np.testing.assert_allclose(high - said, 38)  # the 38th of 39
    np.testing.assert_allclose(said - low, 39)
    columns = predictors["regression"].predict_columns(examples.GOLDEN, coverage=0.9)
    np.testing.assert_array_equal(columns["low"], low)
    np.testing.assert_array_equal(columns["high"], high)
    members = predictors["multiclass"].predict_set(examples.GOLDEN, coverage=0.9)
    assert members.any(axis=1).all()
    sets = predictors["multiclass"].predict_columns(examples.GOLDEN, coverage=0.9)["set"]
    assert [len(json.loads(text)) for text in sets] == members.sum(axis=1).tolist()


def test_who_is_not_sure_enough_keeps_silent(predictors):
    given = predictors["multiclass"].predict_columns(examples.GOLDEN, abstain=0.7)
    sure = predictors["multiclass"].predict_proba(examples.GOLDEN).max(axis=1) >= 0.8
    assert [answer is not None for answer in given["prediction"]] == sure.tolist()
    nobody = predictors["multiclass"].predict_columns(examples.GOLDEN, abstain=0.99)
    assert all(answer is None for answer in nobody["prediction"])


@pytest.mark.parametrize(
    ("kind", "ask", "message"),
    [
        ("regression", lambda p: p.predict_set(examples.GOLDEN), "call predict_interval"),
        ("binary", lambda p: p.predict_interval(examples.GOLDEN), "call predict_set"),
        ("regression", lambda p: p.predict_interval(examples.GOLDEN, coverage=0.99), "cannot be promised"),
        ("regression", lambda p: p.predict_columns(examples.GOLDEN, abstain=0.9), "keep silent"),
        ("binary", lambda p: p.predict_columns(examples.GOLDEN, abstain=90), "between 0 and 1"),
        ("binary", lambda p: p.predict_columns(examples.GOLDEN, coverage=2), "between 0 and 1"),
    ],
)
def test_what_cannot_be_promised_is_refused(predictors, kind, ask, message):
    with pytest.raises(UsageError, match=message):
        ask(predictors[kind])


def test_a_model_packed_without_promises_says_so():
    with pytest.raises(UsageError, match="packed without what ranges and sets need"):
        opened("regression", {}).predict_interval(examples.GOLDEN)


def test_what_is_answered_decides_how_sure_an_answer_is(predictors):
    positive = predictors["binary"].predict_proba(examples.GOLDEN)[:, 1]
    always = Decision(positive.min() / 2, "yes to all")
    known = replace(BINARY, silence=replace(CLASSES.silence, threshold=always.threshold), decision=always)
    answers = opened("binary", known.to_json()).predict_columns(examples.GOLDEN, abstain=0.5)["prediction"]
    assert [answer is None for answer in answers] == (positive < 0.4).tolist()
    assert 0 < (positive < 0.4).sum() < len(positive)


def test_silence_that_was_learned_without_the_threshold_of_answers_is_refused():
    old = opened("binary", replace(BINARY, silence=CLASSES.silence).to_json())
    assert old.predict(examples.GOLDEN).tolist() == opened("binary", BINARY.to_json()).predict(examples.GOLDEN).tolist()
    with pytest.raises(UsageError, match=r"says yes by a threshold.*Pack it anew"):
        old.predict_columns(examples.GOLDEN, abstain=0.7)
    without = opened("binary", CLASSES.to_json()).predict_columns(examples.GOLDEN, abstain=0.7)["prediction"]
    assert any(answer is not None for answer in without)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("binary", {"decision": {"threshold": 2, "reason": ""}}),
        ("binary", {"coverage": {"above": 1}}),
        ("binary", {"silence": {}}),
        ("multiclass", {"decision": {"threshold": 0.5, "reason": ""}}),
        ("binary", replace(BINARY, decision=None).to_json()),
        ("binary", replace(BINARY, decision=Decision(0.3)).to_json()),
        ("regression", {"silence": {"confidences": [0.5], "accuracies": [0.5], "answered": [0.5]}}),
    ],
)
def test_promises_that_cannot_be_true_are_refused(kind, wrong):
    with pytest.raises(ArtifactError):
        opened(kind, wrong)
