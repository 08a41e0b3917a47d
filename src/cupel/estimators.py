"""Cupel as scikit-learn estimators: for pipelines, cross-validation and everything else that speaks that interface."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, MissingDependencyError, UsageError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_array, check_consistent_length, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover
    raise MissingDependencyError(
        'scikit-learn is not installed; it is needed for CupelClassifier and CupelRegressor. Run: pip install "cupel[fit]"'
    ) from error

if TYPE_CHECKING:
    import polars

    from cupel.serving import Predictor

Array = NDArray[Any]


class _CupelEstimator(BaseEstimator):
    """What the classifier and the regressor share: columns in, a run, a packed predictor out.

    A fitted estimator holds the packed predictor as bytes and nothing that was trained with, so that what is pickled
    is small, and predicts without any training library.
    """

    artifact_: bytes
    verdict_: str
    leaderboard_: polars.DataFrame
    n_features_in_: int
    feature_names_in_: Array

    def __init__(
        self,
        effort: str = "quick",
        time: str | float | None = None,
        metric: str | None = None,
        families: tuple[str, ...] | list[str] | None = None,
        search: str = "auto",
        space: Mapping[str, Mapping[str, Any]] | None = None,
        racing: bool = True,
        ensemble: str = "auto",
        backbones: tuple[str, ...] | list[str] | None = None,
        out: str | Path | None = None,
        seed: int = 0,
        verbose: bool = False,
    ) -> None:
        self.effort = effort
        self.time = time
        self.metric = metric
        self.families = families
        self.search = search
        self.space = space
        self.racing = racing
        self.ensemble = ensemble
        self.backbones = backbones
        self.out = out
        self.seed = seed
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_predictor", None)  # an ONNX session cannot leave its process
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "artifact_" in state:
            self._predictor = _load(self.artifact_)

    @property
    def predictor_(self) -> Predictor:
        """The packed predictor, which takes tables with column names."""
        check_is_fitted(self, "artifact_")
        predictor: Predictor = self._predictor
        return predictor

    def _columns(self, X: Any, *, reset: bool) -> dict[str, Array]:
        """Features by name: a frame's own names, else x0, x1, …; frames keep each column's type."""
        if _is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            series = [_cells(X, position) for position in range(X.shape[1])]
            _demand_rows(X, at_least=2 if reset else 0)
        else:
            table = _checked_array(self, X, reset=reset)
            series = [table[:, position] for position in range(table.shape[1])]
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{position}" for position in range(len(series))]
        return dict(zip((str(name) for name in names), series, strict=True))

    def _run(self, columns: dict[str, Array], target: Array, *, task: str, positive: str | None) -> None:
        from cupel import pipeline
        from cupel.core.settings import Settings

        name = "target"
        while name in columns:
            name += "_"
        settings = Settings(
            task=task,
            metric=self.metric,
            positive=positive,
            families=tuple(self.families or ()),
            search=self.search,
            space={} if self.space is None else self.space,
            racing=self.racing,
            ensemble=self.ensemble,
            backbones=tuple(self.backbones or ()),
            kinds={column: "number" for column, cells in columns.items() if cells.dtype.kind in "fiu"},
            seed=self.seed,
        )
        with tempfile.TemporaryDirectory(prefix="cupel-") as scratch:
            out = Path(scratch) / "run" if self.out is None else self.out
            run = pipeline.fit(
                {**columns, name: target},
                name,
                effort=self.effort,
                time=self.time,
                out=out,
                settings=settings,
                progress="plain" if self.verbose else "none",
            )
            self.artifact_ = run.artifact.read_bytes()
            self.verdict_ = run.verdict
            self.leaderboard_ = run.leaderboard
        self._predictor = _load(self.artifact_)


class CupelClassifier(ClassifierMixin, _CupelEstimator):
    """Finds the best model for classes, within `effort` and `time`.

    `X` is an array or a data frame; a frame's text columns are categories, and missing cells are allowed. `effort`, `time` and
    `metric` are as in `cupel.fit`; `families` restricts what is tried. As in `Settings`, `search` is how candidates are chosen,
    `space` narrows, fixes or extends what may be chosen, `racing` drops who is clearly worse on the first fold, and `ensemble`
    names how they are combined. `out` keeps the run folder (report, leaderboard). Only a `verbose` one says what it is doing.

    After fitting: `classes_`, `verdict_` (in words), `leaderboard_`, `artifact_` (the bytes of `model.cupel`).

    ```python
    model = CupelClassifier(effort="quick", time="2min").fit(X, y)
    model.predict_proba(X)
    CupelClassifier(search="random", space={"LightGBM": {"num_leaves": [7, 31]}}, ensemble="none").fit(X, y)
    ```
    """

    classes_: Array

    def fit(self, X: Any, y: Any) -> Self:
        """Find, prove and pack the best model.

        Raises:
            ValueError: the data cannot be learned from; says why.
        """
        columns = self._columns(X, reset=True)
        labels = _checked_target(y, len(next(iter(columns.values()))), is_numeric=False)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise UsageError(
                f"the target has one class only ({self.classes_[0]!r}); a classifier needs at least two classes. "
                f"Add rows of another class."
            )
        self._labels = [f"class {label}" for label in self.classes_]
        target = np.array(self._labels, dtype=object)[indices]
        is_binary = len(self.classes_) == 2
        self._run(columns, target, task="binary" if is_binary else "multiclass", positive=self._labels[1] if is_binary else None)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities, shape (rows, classes), columns in the order of `classes_`."""
        check_is_fitted(self, "artifact_")
        columns = self._columns(X, reset=False)
        probabilities = self._predictor.predict_proba(columns)
        order = [list(self._predictor.classes).index(label) for label in self._labels]
        ordered: NDArray[np.float64] = np.asarray(probabilities, dtype=np.float64)[:, order]
        return ordered

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        chosen: Array = np.asarray(self.predict_proba(X)).argmax(axis=1)
        labels: Array = self.classes_[chosen]
        return labels


class CupelRegressor(RegressorMixin, _CupelEstimator):
    """Finds the best model for numbers, within `effort` and `time`; arguments as for `CupelClassifier`.

    ```python
    model = CupelRegressor(effort="quick", time="2min").fit(X, y)
    model.predict(X)
    ```
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Find, prove and pack the best model.

        Raises:
            ValueError: the data cannot be learned from; says why.
        """
        columns = self._columns(X, reset=True)
        target = _checked_target(y, len(next(iter(columns.values()))), is_numeric=True)
        self._run(columns, target.astype(np.float64), task="regression", positive=None)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted value of each row."""
        check_is_fitted(self, "artifact_")
        values: NDArray[np.float64] = np.asarray(self._predictor.predict(self._columns(X, reset=False)), dtype=np.float64)
        return values


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "shape") and (hasattr(X, "iloc") or hasattr(X, "get_column"))


def _demand_rows(frame: Any, *, at_least: int) -> None:
    n_rows, n_columns = frame.shape
    if n_rows < at_least or n_columns < 1:
        raise DataError(
            f"the frame has {n_rows} samples of {n_columns} columns; expected at least {at_least} samples and one column. "
            f"Give more rows."
        )


def _cells(frame: Any, position: int) -> Array:
    series = frame.iloc[:, position] if hasattr(frame, "iloc") else frame[:, position]
    cells = np.asarray(series)
    if cells.dtype.kind == "c":
        raise ValueError("Complex data not supported; give real numbers.")
    if cells.dtype.kind == "f":
        check_array(cells.reshape(-1, 1), ensure_all_finite="allow-nan", ensure_min_samples=0)
    return cells


def _checked_array(estimator: _CupelEstimator, X: Any, *, reset: bool) -> Array:
    """A two-dimensional array of numbers; of texts where the caller gave texts."""
    table: Array = validate_data(
        estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=1 + reset
    )
    if table.dtype.kind in "OUS":
        try:
            table = table.astype(np.float64)
        except (TypeError, ValueError):
            return table.astype(object)
    if table.dtype.kind == "f" and np.isinf(table).any():
        raise ValueError("Input X contains infinity or a value too large for float64; leave the cell empty (NaN) instead.")
    return table


def _checked_target(y: Any, n_rows: int, *, is_numeric: bool) -> Array:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None; give one target per row.")
    target: Array = column_or_1d(y, warn=True)
    if target.dtype.kind == "O" and not all(isinstance(value, str) for value in target):
        target = _numbers_or_texts(target, is_numeric=is_numeric)
    if is_numeric:
        target = check_array(target, ensure_2d=False, dtype="numeric", input_name="y", ensure_min_samples=0)
    elif target.dtype.kind == "f":
        check_array(target, ensure_2d=False, input_name="y", ensure_min_samples=0)
    if n_rows != len(target):
        check_consistent_length(np.empty((n_rows, 1)), target)
    if not is_numeric and type_of_target(target, input_name="y") == "unknown":
        raise ValueError("Unknown label type: unknown; give labels of one type.")
    return target


def _numbers_or_texts(target: Array, *, is_numeric: bool) -> Array:
    """Labels of dtype object as numbers if all are, else as they are."""
    try:
        return target.astype(np.float64) if is_numeric else np.array(target.tolist())
    except (TypeError, ValueError) as error:
        raise ValueError(f"y holds values that are neither numbers nor labels ({error}); give one label per row.") from error


def _load(artifact: bytes) -> Predictor:
    from cupel.serving import Predictor

    with tempfile.TemporaryDirectory(prefix="cupel-") as scratch:
        path = Path(scratch) / "model.cupel"
        path.write_bytes(artifact)
        return Predictor.load(path)
