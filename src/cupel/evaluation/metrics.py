"""Every metric there is, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from cupel.core.errors import UsageError
from cupel.core.task import Task, TaskKind
from cupel.evaluation import label_scorers, mask_scores, scorers
from cupel.evaluation.metric import Array, Metric, Prepare, Scorer

_BINARY = frozenset({TaskKind.BINARY})
_MULTICLASS = frozenset({TaskKind.MULTICLASS})
_CLASSES = _BINARY | _MULTICLASS
_MULTILABEL = frozenset({TaskKind.MULTILABEL})
_ANY_CLASSES = _CLASSES | _MULTILABEL
_REGRESSION = frozenset({TaskKind.REGRESSION})
_MASKS = frozenset({TaskKind.SEGMENTATION})
_Ranks = Callable[[Array, Array], Scorer]


def _of_labels(name: str, label: str, prepare: Prepare, tasks: frozenset[TaskKind] = _CLASSES) -> Metric:
    return Metric(name=name, label=label, higher_is_better=True, tasks=tasks, needs="labels", prepare=prepare, worst=0.0)


def _of_probabilities(
    name: str, label: str, prepare: Prepare, *, tasks: frozenset[TaskKind], higher_is_better: bool, per_class: bool = False
) -> Metric:
    return Metric(
        name=name,
        label=label,
        higher_is_better=higher_is_better,
        tasks=tasks,
        needs="probabilities",
        prepare=prepare,
        worst=0.0 if higher_is_better else math.inf,
        per_class=per_class,
    )


def _of_values(name: str, label: str, prepare: Prepare, *, higher_is_better: bool = False) -> Metric:
    return Metric(
        name=name,
        label=label,
        higher_is_better=higher_is_better,
        tasks=_REGRESSION,
        needs="values",
        prepare=prepare,
        worst=-math.inf if higher_is_better else math.inf,
    )


def _of_masks(name: str, label: str, prepare: Prepare) -> Metric:
    return Metric(name=name, label=label, higher_is_better=True, tasks=_MASKS, needs="masks", prepare=prepare, worst=0.0)


def _averaged(kind: str, label: str) -> list[Metric]:
    averages = {
        "macro": (scorers.macro, label_scorers.macro),
        "micro": (scorers.micro, label_scorers.micro),
        "weighted": (scorers.weighted, label_scorers.weighted),
    }
    prepares = {
        name: label_scorers.by_form(scorers.confusion_of(of_classes(kind)), label_scorers.counted(of_labels(kind)))
        for name, (of_classes, of_labels) in averages.items()
    }
    return [_of_labels(f"{kind}_{name}", f"{label} ({name})", prepare, _ANY_CLASSES) for name, prepare in prepares.items()]


def _rank(name: str, label: str, prepare: Prepare, *, tasks: frozenset[TaskKind], linear: Prepare | None = None) -> Metric:
    found = _of_probabilities(name, label, prepare, tasks=tasks, higher_is_better=True, per_class=tasks != _BINARY)
    return replace(found, prepare_linear=linear, ranks=True)


def _areas(
    name: str,
    label: str,
    against: Callable[[_Ranks], Prepare],
    tasks: frozenset[TaskKind],
    *,
    bind: Callable[[Callable[..., Scorer], Array], Prepare] | None = None,
) -> Metric:
    """ROC-AUC, exact and to first order, of all rows and within parts; `bind` makes a ranking of rows one that knows parts."""

    def within(ranks: Callable[..., Scorer], parts: Array) -> Prepare:
        return against(partial(ranks, parts=parts)) if bind is None else bind(ranks, parts)

    def compared_within(parts: Array) -> tuple[Prepare, Prepare]:
        return within(scorers.area_under_roc_within, parts), within(scorers.linear_area_under_roc_within, parts)

    linear = against(scorers.linear_area_under_roc)
    found = _rank(name, label, against(scorers.area_under_roc), tasks=tasks, linear=linear)
    return replace(found, compared_within=compared_within)


def _of_several_labels() -> list[Metric]:
    ranks = {
        "pr_auc_macro": ("mean average precision (macro)", label_scorers.label_by_label(scorers.average_precision)),
        "pr_auc_micro": ("average precision (micro)", label_scorers.all_as_one(scorers.average_precision)),
    }
    wrongness = label_scorers.cell_by_cell(label_scorers.wrongness)
    return [
        _areas(
            "roc_auc_macro",
            "ROC-AUC (macro)",
            label_scorers.label_by_label,
            _MULTILABEL,
            bind=label_scorers.label_by_label,
        ),
        *(_rank(name, label, prepare, tasks=_MULTILABEL) for name, (label, prepare) in ranks.items()),
        _of_labels("subset_accuracy", "subset accuracy", scorers.mean_of(label_scorers.is_right), _MULTILABEL),
        replace(_of_labels("hamming_loss", "Hamming loss", wrongness, _MULTILABEL), higher_is_better=False, worst=1.0),
    ]


_LOG_LOSS = label_scorers.by_form(scorers.mean_of(scorers.surprise), label_scorers.cell_by_cell(label_scorers.surprise))
_BRIER = label_scorers.by_form(
    scorers.mean_of(scorers.squared_distance), label_scorers.cell_by_cell(label_scorers.squared_distance)
)

_ALL = (
    _of_labels("accuracy", "accuracy", scorers.mean_of(scorers.is_correct)),
    _of_labels("balanced_accuracy", "balanced accuracy", scorers.confusion_of(scorers.balanced_accuracy)),
    _of_labels("precision", "precision", scorers.confusion_of(scorers.positive("precision")), _BINARY),
    _of_labels("recall", "recall", scorers.confusion_of(scorers.positive("recall")), _BINARY),
    _of_labels("f1", "F1", scorers.confusion_of(scorers.positive("f1")), _BINARY),
    *_averaged("precision", "precision"),
    *_averaged("recall", "recall"),
    *_averaged("f1", "F1"),
    replace(_of_labels("mcc", "Matthews correlation", scorers.confusion_of(scorers.matthews)), worst=-1.0),
    _areas("roc_auc", "ROC-AUC", scorers.ranking_of, _BINARY),
    _areas("roc_auc_ovr", "ROC-AUC (one versus rest)", scorers.one_versus_rest, _MULTICLASS),
    _rank("pr_auc", "average precision", scorers.ranking_of(scorers.average_precision), tasks=_BINARY),
    _rank("pr_auc_ovr", "average precision (macro)", scorers.one_versus_rest(scorers.average_precision), tasks=_MULTICLASS),
    *_of_several_labels(),
    _of_probabilities("log_loss", "log loss", _LOG_LOSS, tasks=_ANY_CLASSES, higher_is_better=False),
    _of_probabilities("brier", "Brier score", _BRIER, tasks=_ANY_CLASSES, higher_is_better=False),
    replace(
        _of_probabilities(
            "calibration_error", "calibration error", scorers.prepare_calibration_error, tasks=_CLASSES, higher_is_better=False
        ),
        worst=1.0,
    ),
    _of_values("rmse", "RMSE", scorers.mean_of(scorers.squared_error, np.sqrt)),
    _of_values("mae", "MAE", scorers.mean_of(scorers.absolute_error)),
    _of_values("r2", "R²", scorers.prepare_r2, higher_is_better=True),
    _of_values("mape", "mean absolute percentage error", scorers.mean_of(scorers.relative_error)),
    _of_values("median_absolute_error", "median absolute error", scorers.prepare_median_absolute_error),
    _of_values("pinball_10", "pinball loss at 10%", scorers.mean_of(scorers.quantile_loss(0.1))),
    _of_values("pinball_50", "pinball loss at 50%", scorers.mean_of(scorers.quantile_loss(0.5))),
    _of_values("pinball_90", "pinball loss at 90%", scorers.mean_of(scorers.quantile_loss(0.9))),
    _of_masks("dice", "Dice", mask_scores.pooled(mask_scores.overlap("dice"))),
    _of_masks("iou", "IoU", mask_scores.pooled(mask_scores.overlap("iou"))),
    _of_masks("dice_by_picture", "Dice (mean over pictures)", mask_scores.by_picture(mask_scores.overlap("dice"))),
    _of_masks("iou_by_picture", "IoU (mean over pictures)", mask_scores.by_picture(mask_scores.overlap("iou"))),
    _of_masks("foreground_dice", "Dice of all but the first class", mask_scores.pooled(mask_scores.foreground("dice"))),
    _of_masks("foreground_iou", "IoU of all but the first class", mask_scores.pooled(mask_scores.foreground("iou"))),
    _of_masks("pixel_accuracy", "accuracy of pixels", mask_scores.pooled(mask_scores.accuracy)),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""All metrics by name. Those of one task: `fitting(task.kind)`."""


def fitting(kind: TaskKind) -> tuple[Metric, ...]:
    """The metrics that can judge a task of that kind."""
    return tuple(metric for metric in METRICS.values() if kind in metric.tasks)


def metric_named(name: str, task: Task) -> Metric:
    """The metric of that name.

    Raises:
        UsageError: there is none, or it does not fit the task; names those that do.
    """
    metric = METRICS.get(name)
    if metric is None or task.kind not in metric.tasks:
        wrong = "is unknown" if metric is None else f"does not fit a {task.kind.value} task"
        raise UsageError(f"metric {name!r} {wrong}; choose one of {', '.join(m.name for m in fitting(task.kind))}.")
    return metric
