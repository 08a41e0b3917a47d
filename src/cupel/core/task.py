"""What is asked of a model: decides splits, loss, metrics and the form of a prediction."""

from __future__ import annotations

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


DEFAULT_METRIC: Mapping[TaskKind, str] = {
    TaskKind.BINARY: "roc_auc",
    TaskKind.MULTICLASS: "log_loss",
    TaskKind.MULTILABEL: "roc_auc_macro",
    TaskKind.REGRESSION: "rmse",
}
"""The metric by which a task is judged unless another is asked for."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """The question: which column, of what kind, judged by which metric.

    For classification, `classes` are the class labels as text; class k of a prediction is `classes[k]`, and the
    last class of a binary task is the positive one. For regression `classes` is empty. Where several labels may hold together
    `classes` are these labels, and `thresholds` the probability from which each is said to hold: those of a packed model, empty
    before.
    """

    kind: TaskKind
    target: str
    metric: str
    classes: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

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
        """Width of a prediction: number of classes (2 for binary) or of labels, 1 for regression."""
        return len(self.classes) if self.form.has_probabilities else 1

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`; without thresholds where there are none."""
        plain = asdict(self)
        if not self.thresholds:
            del plain["thresholds"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Task:
        """Read what `to_json` wrote."""
        return cls(
            kind=TaskKind(plain["kind"]),
            target=str(plain["target"]),
            metric=str(plain["metric"]),
            classes=tuple(str(label) for label in plain["classes"]),
            thresholds=tuple(float(threshold) for threshold in plain.get("thresholds", ())),
        )


_FORMS: Mapping[TaskKind, Form] = {
    TaskKind.BINARY: Form.CLASSES,
    TaskKind.MULTICLASS: Form.CLASSES,
    TaskKind.MULTILABEL: Form.LABELS,
    TaskKind.REGRESSION: Form.VALUES,
}
