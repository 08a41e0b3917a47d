"""The only place that computes a score; intervals, paired tests, correction for selection and curves beside it.

Every metric is computed for many weightings of the same rows at once, so that a bootstrap costs little more than a score.
"""

from cupel.evaluation.intervals import Difference, Interval, interval, paired_difference, table
from cupel.evaluation.metric import Metric
from cupel.evaluation.metrics import METRICS, fitting, metric_named
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import score
from cupel.evaluation.selection import Corrected, corrected_for_selection, select_best
from cupel.evaluation.ties import holm, tie_groups

__all__ = [
    "METRICS",
    "Corrected",
    "Difference",
    "Interval",
    "Metric",
    "Resamples",
    "corrected_for_selection",
    "fitting",
    "holm",
    "interval",
    "metric_named",
    "paired_difference",
    "score",
    "select_best",
    "table",
    "tie_groups",
]
