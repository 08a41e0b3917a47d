"""The only place that computes a score; intervals, paired tests, correction for selection and curves beside it.

Every metric is computed for many weightings of the same rows at once, so that a bootstrap costs little more than a score.
"""

from cupel.evaluation.class_scores import ClassScore, class_scores, share_interval, worth_of_classes
from cupel.evaluation.comparison import STRETCH, Comparison, Luck, stretch_of, tie_groups
from cupel.evaluation.conformal import Held, coverage_of, held, silence_of
from cupel.evaluation.curves import (
    CalibrationCurve,
    Curve,
    Residuals,
    calibration_curve,
    confusion_matrix,
    pr_curve,
    residuals,
    roc_curve,
)
from cupel.evaluation.decisions import decision_for_costs, decision_for_precision, decision_for_recall
from cupel.evaluation.doubts import DOUBTS, doubtful_targets, rehearsed_doubts
from cupel.evaluation.effects import with_effects
from cupel.evaluation.folds_test import FoldsTest, corrected_resampled_t
from cupel.evaluation.importance import N_SHUFFLES, Importance, permutation_importance
from cupel.evaluation.intervals import Difference, Interval, interval, paired_difference
from cupel.evaluation.label_scores import LabelScore, co_occurrence, label_scores
from cupel.evaluation.learning_curve import FEWEST_SIZES, Doubling, doubling
from cupel.evaluation.mean_gain import gain_of_mean
from cupel.evaluation.metric import Metric
from cupel.evaluation.metrics import METRICS, fitting, metric_named
from cupel.evaluation.occlusion import Occlusion, occluded
from cupel.evaluation.outer_folds import interval_over_folds
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import score
from cupel.evaluation.selection import Corrected, corrected_for_selection, select_best
from cupel.evaluation.thresholds import best_thresholds, cross_fitted_decisions, thresholds_for
from cupel.evaluation.whole_masks import ClassOverlap, WholeMasks, whole_masks
from cupel.evaluation.wrong_labels import WrongLabels, likely_wrong_labels
from cupel.evaluation.wrong_values import WrongValues, likely_wrong_values

__all__ = [
    "DOUBTS",
    "FEWEST_SIZES",
    "METRICS",
    "N_SHUFFLES",
    "STRETCH",
    "CalibrationCurve",
    "ClassOverlap",
    "ClassScore",
    "Comparison",
    "Corrected",
    "Curve",
    "Difference",
    "Doubling",
    "FoldsTest",
    "Held",
    "Importance",
    "Interval",
    "LabelScore",
    "Luck",
    "Metric",
    "Occlusion",
    "Resamples",
    "Residuals",
    "WholeMasks",
    "WrongLabels",
    "WrongValues",
    "best_thresholds",
    "calibration_curve",
    "class_scores",
    "co_occurrence",
    "confusion_matrix",
    "corrected_for_selection",
    "corrected_resampled_t",
    "coverage_of",
    "cross_fitted_decisions",
    "decision_for_costs",
    "decision_for_precision",
    "decision_for_recall",
    "doubling",
    "doubtful_targets",
    "fitting",
    "gain_of_mean",
    "held",
    "interval",
    "interval_over_folds",
    "label_scores",
    "likely_wrong_labels",
    "likely_wrong_values",
    "metric_named",
    "occluded",
    "paired_difference",
    "permutation_importance",
    "pr_curve",
    "rehearsed_doubts",
    "residuals",
    "roc_curve",
    "score",
    "select_best",
    "share_interval",
    "silence_of",
    "stretch_of",
    "thresholds_for",
    "tie_groups",
    "whole_masks",
    "with_effects",
    "worth_of_classes",
]
