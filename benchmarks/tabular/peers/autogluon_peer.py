"""AutoGluon, `best_quality`."""

import time
from pathlib import Path

from common import arguments, finish, read

NAMES = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "root_mean_squared_error"}


def main() -> None:
    given = arguments()
    import pandas
    from autogluon.tabular import TabularPredictor

    features, target, test = read(given)
    train = pandas.concat([features, target.rename(given.target)], axis=1)
    folder = Path(given.out) / "model"
    is_regression = given.metric == "rmse"
    kind = "regression" if is_regression else None
    predictor = TabularPredictor(
        label=given.target, eval_metric=NAMES[given.metric], problem_type=kind, path=str(folder), verbosity=1
    )
    predictor.fit(train, presets="best_quality", time_limit=given.seconds, num_cpus=given.cores, num_gpus=0)
    fitted = time.monotonic()
    predictor = TabularPredictor.load(str(folder), verbosity=0)
    classes = None if is_regression else list(predictor.class_labels)
    predict = predictor.predict if is_regression else lambda rows: predictor.predict_proba(rows)[classes].to_numpy()
    finish(given, test, predict=predict, classes=classes, fitted=fitted, folder=folder)


if __name__ == "__main__":
    main()
