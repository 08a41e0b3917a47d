"""RealMLP or TabM as pytabkit ships them (`--option RealMLP_TD` or `TabM_D`), five folds averaged; it knows no time limit.

It refuses missing numbers, so they are replaced by the training rows' median.
"""

import pickle
import time
from pathlib import Path

from common import arguments, finish, read, with_categories


def main() -> None:
    given = arguments()
    import pytabkit

    features, target, test = read(given)
    features, test = with_categories(features, test)
    medians = features.median(numeric_only=True)
    features, test = features.fillna(medians), test.fillna(medians)
    is_regression = given.metric == "rmse"
    kind = getattr(pytabkit, f"{given.option}_{'Regressor' if is_regression else 'Classifier'}")
    options = {"n_cv": 5, "n_refit": 0, "device": "cpu", "random_state": 0, "n_threads": given.cores}
    if not is_regression:
        options["val_metric_name"] = "cross_entropy"
    model = kind(**options).fit(features, target.to_numpy())
    fitted = time.monotonic()
    path = Path(given.out) / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    classes = None if is_regression else [str(label) for label in model.classes_]
    predict = model.predict if is_regression else model.predict_proba
    finish(given, test, predict=predict, classes=classes, fitted=fitted, folder=path)


if __name__ == "__main__":
    main()
