"""What is asked of a model: decides splits, loss, metrics and the form of a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class TaskKind(StrEnum):
    """The kinds of question that Cupel answers."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


DEFAULT_METRIC: Mapping[TaskKind, str] = {
    TaskKind.BINARY: "roc_auc",
    TaskKind.MULTICLASS: "log_loss",
    TaskKind.REGRESSION: "rmse",
}
"""The metric by which a task is judged unless another is asked for."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """The question: which column, of what kind, judged by which metric.

    For classification, `classes` are the class labels as text; class k of a prediction is `classes[k]`, and the
    last class of a binary task is the positive one. For regression `classes` is empty.
    """

    kind: TaskKind
    target: str
    metric: str
    classes: tuple[str, ...] = ()

    @property
    def is_classification(self) -> bool:
        """Whether predictions are probabilities of classes."""
        return self.kind is not TaskKind.REGRESSION

    @property
    def n_outputs(self) -> int:
        """Width of a prediction: number of classes (2 for binary), 1 for regression."""
        return len(self.classes) if self.is_classification else 1

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Task:
        """Read what `to_json` wrote."""
        return cls(
            kind=TaskKind(plain["kind"]),
            target=str(plain["target"]),
            metric=str(plain["metric"]),
            classes=tuple(str(label) for label in plain["classes"]),
        )
