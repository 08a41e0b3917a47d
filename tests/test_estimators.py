"""Cupel behaves as scikit-learn's own estimators do."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from cupel import CupelClassifier, CupelRegressor
from cupel.core.errors import UsageError

CHEAP = {"effort": "quick", "families": ("linear",)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([CupelClassifier(**CHEAP), CupelRegressor(**CHEAP)])
def test_scikit_learn_is_content_with(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    size, colour = generator.normal(size=120), generator.choice(["red", "green", "blue"], 120)
    size[::9] = np.nan
    return pd.DataFrame({"size": size, "colour": colour, "count": generator.integers(0, 9, 120)})


@pytest.fixture(scope="module")
def classifier(frame: pd.DataFrame) -> CupelClassifier:
    labels = np.where((frame["colour"] == "red") ^ (frame["size"].fillna(0) > 1), "yes", "no")
    return CupelClassifier(**CHEAP).fit(frame, labels)


def test_a_frame_with_texts_and_missing_cells_is_learned_from(classifier: CupelClassifier, frame: pd.DataFrame) -> None:
    assert list(classifier.classes_) == ["no", "yes"]
    assert list(classifier.feature_names_in_) == ["size", "colour", "count"]
    labels = np.where((frame["colour"] == "red") ^ (frame["size"].fillna(0) > 1), "yes", "no")
    assert classifier.score(frame, labels) > 0.75


def test_probabilities_are_in_the_order_of_the_classes(classifier: CupelClassifier, frame: pd.DataFrame) -> None:
    probabilities = classifier.predict_proba(frame)
    assert probabilities.shape == (120, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (classifier.classes_[probabilities.argmax(axis=1)] == classifier.predict(frame)).all()


def test_the_order_of_columns_is_checked(classifier: CupelClassifier, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame[["count", "size", "colour"]])


def test_it_tells_its_verdict(classifier: CupelClassifier) -> None:
    assert "linear" in classifier.verdict_.lower()
    assert "linear" in classifier.leaderboard_["family"].to_list()


def test_it_survives_pickling_without_its_run(classifier: CupelClassifier, frame: pd.DataFrame) -> None:
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(frame), classifier.predict_proba(frame))
    assert "_predictor" not in classifier.__getstate__()


def test_a_clone_has_the_settings_and_nothing_learned(classifier: CupelClassifier) -> None:
    assert clone(classifier).get_params() == classifier.get_params()
    assert not hasattr(clone(classifier), "artifact_")


def test_one_class_is_refused_in_words(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="one class only"):
        CupelClassifier(**CHEAP).fit(frame, np.zeros(len(frame), int))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"ensemble": "choir"}, "ensemble 'choir' is unknown; choose none, greedy"),
        ({"search": "lucky"}, "search 'lucky' is unknown; choose auto"),
        ({"space": {"linear": {"colour": [1, 2]}}}, "colour"),
        ({"space": {"Forest": {"depth": 3}}}, "names 'Forest', which is not tried"),
        ({"space": ["linear"]}, "does not name families with fields"),
        ({"space": {"linear": 0.1}}, "does not name families with fields"),
    ],
)
def test_a_setting_that_cannot_be_met_is_refused_before_a_folder_is_made(
    frame: pd.DataFrame, tmp_path: Path, setting: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        CupelClassifier(**CHEAP, **setting, out=tmp_path / "run").fit(frame, frame["count"] > 4)
    assert not (tmp_path / "run").exists()


def test_search_space_racing_and_ensemble_reach_the_run(frame: pd.DataFrame, tmp_path: Path) -> None:
    wishes = {"linear": {"strongest": 100.0, "n_strengths": [2, 3]}}
    asked = {"search": "random", "space": wishes, "racing": False, "ensemble": "soft-vote"}
    model = CupelClassifier(**CHEAP, **asked, out=tmp_path / "run").fit(frame, frame["count"] > 4)
    settings = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["settings"]
    assert {name: settings[name] for name in asked} == asked
    assert {name: model.get_params()[name] for name in asked} == asked
    assert all(name in ("constant", "linear") for name in model.leaderboard_["family"])


def test_sample_weights_are_not_taken() -> None:
    assert "sample_weight" not in inspect.signature(CupelClassifier.fit).parameters


def test_numbers_are_predicted_in_their_own_unit() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(80, 3))
    target = 1000 + features @ [30.0, 0.0, -20.0]
    model = CupelRegressor(**CHEAP).fit(features, target)
    assert model.predict(features).shape == (80,)
    assert model.score(features, target) > 0.9
