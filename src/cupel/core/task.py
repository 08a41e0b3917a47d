"""What is asked of a model: decides splits, loss, metrics and the form of a prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from cupel.core.form import Form


class TaskKind(StrEnum):
    """The kinds of question that Cupel answers."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    SEGMENTATION = "segmentation"


ROW_KINDS = frozenset(TaskKind) - {TaskKind.SEGMENTATION}
"""Kinds that ask one thing of a whole row; segmentation asks it of every pixel."""

DEFAULT_METRIC: Mapping[TaskKind, str] = {
    TaskKind.BINARY: "roc_auc",
    TaskKind.MULTICLASS: "log_loss",
    TaskKind.MULTILABEL: "roc_auc_macro",
    TaskKind.REGRESSION: "rmse",
    TaskKind.SEGMENTATION: "dice",
}
"""The metric by which a task is judged unless another is asked for."""

METRICS_OF_QUANTITIES = frozenset(
    {"mae", "mape", "median_absolute_error", "pinball_10", "pinball_50", "pinball_90", "r2", "rmse"}
)
"""Metrics that judge numbers alone: whoever asks for one asks for regression."""
METRICS_OF_CLASSES = frozenset(
    {"accuracy", "balanced_accuracy", "brier", "calibration_error", "log_loss", "mcc"}
    | {"pr_auc", "pr_auc_ovr", "roc_auc", "roc_auc_ovr", "f1", "precision", "recall"}
    | {f"{name}_{mean}" for name in ("f1", "precision", "recall") for mean in ("macro", "micro", "weighted")}
)
"""Metrics that judge classes, and never numbers."""

MOST_JUDGED = 4096
"""Pixels of a mask by which it is judged while models are tried: a lattice of them, so that what is kept of hundreds of pictures
and a dozen candidates fits into memory. The share of a class is known from so many points to within a percent."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """The question: which column, of what kind, judged by which metric.

    For classification, `classes` are the class labels as text; class k of a prediction is `classes[k]`, and the
    last class of a binary task is the positive one. For regression `classes` is empty. Where several labels may hold together
    `classes` are these labels, and `thresholds` the probability from which each is said to hold: those of a packed model, empty
    before. For segmentation `classes` are those of pixels, and `grid` is the height and width at which masks are learned; it is
    empty for all others.
    """

    kind: TaskKind
    target: str
    metric: str
    classes: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    grid: tuple[int, ...] = ()

    @property
    def form(self) -> Form:
        """What the numbers of a prediction are."""
        return _FORMS[self.kind]

    @property
    def is_classification(self) -> bool:
        """Whether predictions are probabilities of classes, of which a row has one."""
        return self.form is Form.CLASSES

    @property
    def n_outputs(self) -> int:
        """Width of a prediction: number of classes (2 for binary) or of labels, of every pixel of the grid for masks; else 1."""
        return len(self.classes) * math.prod(self.grid) if self.form.has_probabilities else 1

    @property
    def n_judged(self) -> int:
        """Width of an out-of-fold prediction: of masks, only some pixels are judged (`core.masks`)."""
        return len(self.classes) * math.prod(len(places) for places in self.lattice) if self.grid else self.n_outputs

    @property
    def lattice(self) -> tuple[range, ...]:
        """Rows and columns of the grid at whose crossings a mask is judged."""
        step = max(1, math.ceil(math.sqrt(math.prod(self.grid) / MOST_JUDGED)))
        return tuple(range(step // 2, side, step) for side in self.grid)

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`; without thresholds or a grid where there are none."""
        return {name: value for name, value in asdict(self).items() if name not in ("thresholds", "grid") or value}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Task:
        """Read what `to_json` wrote."""
        return cls(
            kind=TaskKind(plain["kind"]),
            target=str(plain["target"]),
            metric=str(plain["metric"]),
            classes=tuple(str(label) for label in plain["classes"]),
            thresholds=tuple(float(threshold) for threshold in plain.get("thresholds", ())),
            grid=tuple(int(side) for side in plain.get("grid", ())),
        )


_FORMS: Mapping[TaskKind, Form] = {
    TaskKind.BINARY: Form.CLASSES,
    TaskKind.MULTICLASS: Form.CLASSES,
    TaskKind.MULTILABEL: Form.LABELS,
    TaskKind.REGRESSION: Form.VALUES,
    TaskKind.SEGMENTATION: Form.MASKS,
}
