"""FLAML with its own choice of estimators."""

import pickle
import time
from pathlib import Path

from common import STARTED, arguments, finish, read, with_categories


def main() -> None:
    given = arguments()
    from flaml import AutoML

    features, target, test = read(given)
    features, test = with_categories(features, test)
    is_regression = given.metric == "rmse"
    model = AutoML()
    model.fit(
        features,
        target,
        task="regression" if is_regression else "classification",
        metric=given.metric,
        time_budget=given.seconds - (time.monotonic() - STARTED),
        n_jobs=given.cores,
        seed=0,
        verbose=0,
        ensemble=True,
    )
    fitted = time.monotonic()
    path = Path(given.out) / "model.pkl"
    path.write_bytes(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
    classes = None if is_regression else [str(label) for label in model.classes_]
    predict = model.predict if is_regression else model.predict_proba
    finish(given, test, predict=predict, classes=classes, fitted=fitted, folder=path)


if __name__ == "__main__":
    main()
