"""LightGBM: with its defaults (`--option default`), or tuned by Optuna on five folds whose boosters are then averaged."""

import pickle
import time
from pathlib import Path

from common import STARTED, arguments, finish, read, with_categories

MARGIN = 3.0
"""Seconds kept back for predicting and writing."""


def main() -> None:
    given = arguments()
    features, target, test = read(given)
    features, test = with_categories(features, test)
    models = _default(given, features, target) if given.option == "default" else _tuned(given, features, target)
    fitted = time.monotonic()
    is_regression = given.metric == "rmse"
    path = Path(given.out) / "model.pkl"
    path.write_bytes(pickle.dumps(models))

    def predict(rows):
        made = [model.predict(rows) if is_regression else model.predict_proba(rows) for model in models]
        return sum(made) / len(made)

    classes = None if is_regression else list(models[0].classes_)
    finish(given, test, predict=predict, classes=classes, fitted=fitted, folder=path)


def _kind(given):
    import lightgbm

    return lightgbm.LGBMRegressor if given.metric == "rmse" else lightgbm.LGBMClassifier


def _default(given, features, target):
    return [_kind(given)(n_jobs=given.cores, verbosity=-1, random_state=0).fit(features, target)]


def _tuned(given, features, target):
    import lightgbm
    import numpy as np
    import optuna
    from sklearn.metrics import log_loss, root_mean_squared_error
    from sklearn.model_selection import KFold, StratifiedKFold

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    is_regression = given.metric == "rmse"
    kind = KFold if is_regression else StratifiedKFold
    folds = list(kind(5, shuffle=True, random_state=0).split(features, target))
    best = {"loss": np.inf, "models": None}

    def objective(trial: optuna.Trial) -> float:
        parameters = {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 4, 256, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", 1, 100, log=True),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "reg_alpha": trial.suggest_float("reg_alpha", 1e-8, 10.0, log=True),
            "reg_lambda": trial.suggest_float("reg_lambda", 1e-8, 10.0, log=True),
        }
        models, losses = [], []
        for train, valid in folds:
            model = _kind(given)(
                n_estimators=2000, subsample_freq=1, n_jobs=given.cores, verbosity=-1, random_state=0, **parameters
            )
            held = (features.iloc[valid], target.iloc[valid])
            stop = lightgbm.early_stopping(50, verbose=False)
            model.fit(features.iloc[train], target.iloc[train], eval_set=[held], callbacks=[stop])
            models.append(model)
            if is_regression:
                losses.append(root_mean_squared_error(held[1], model.predict(held[0])))
            else:
                losses.append(log_loss(held[1], model.predict_proba(held[0]), labels=model.classes_))
            if best["models"] and time.monotonic() - STARTED > given.seconds - MARGIN:
                raise optuna.TrialPruned
        if np.mean(losses) < best["loss"]:
            best.update(loss=np.mean(losses), models=models)
        return float(np.mean(losses))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, timeout=max(given.seconds - MARGIN - (time.monotonic() - STARTED), 1))
    return best["models"]


if __name__ == "__main__":
    main()
