"""mljar-supervised, mode "Compete"."""

import time
from pathlib import Path

from common import STARTED, arguments, finish, read

NAMES = {"roc_auc": "auc", "log_loss": "logloss", "rmse": "rmse"}


def main() -> None:
    given = arguments()
    from supervised.automl import AutoML

    features, target, test = read(given)
    is_regression = given.metric == "rmse"
    task = "regression" if is_regression else "binary_classification" if target.nunique() == 2 else "multiclass_classification"
    folder = Path(given.out) / "model"
    model = AutoML(
        mode="Compete",
        results_path=str(folder),
        total_time_limit=int(given.seconds - (time.monotonic() - STARTED)),
        eval_metric=NAMES[given.metric],
        ml_task=task,
        n_jobs=given.cores,
        random_state=0,
        verbose=0,
    )
    model.fit(features, target)
    fitted = time.monotonic()
    classes = None if is_regression else sorted(target.unique())
    columns = [f"prediction_{label}" for label in classes or ()]
    predict = model.predict if is_regression else lambda rows: model.predict_all(rows)[columns].to_numpy()
    finish(given, test, predict=predict, classes=classes, fitted=fitted, folder=folder)


if __name__ == "__main__":
    main()
