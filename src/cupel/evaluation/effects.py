"""What mending a finding does to the score: measured on the same rows with and without, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Effect, Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.labels import is_several
from cupel.data.dealing import compact
from cupel.data.fixes import mended, positions_of
from cupel.data.rehearsal import Rehearsal, can_rehearse
from cupel.data.splitting import independent_units
from cupel.evaluation.intervals import paired_difference
from cupel.evaluation.metrics import metric_named
from cupel.evaluation.scoring import score

Array = NDArray[Any]

MAX_MEASURED = 8
N_RESAMPLES = 200
MIN_ROWS = 60
ROWS_IN_A_STRETCH = 50
_WORSE_SEVERITY = {FixKind.GROUP, FixKind.ORDER, FixKind.KEEP_TOGETHER}
"""What matters only as far as it makes the score look better than it is."""
_MENDED_WORDS = {
    FixKind.DROP_COLUMN: "without",
    FixKind.GROUP: "with its groups kept whole",
    FixKind.ORDER: "where whole stretches are judged",
    FixKind.KEEP_TOGETHER: "kept in one fold",
    FixKind.MEND_CELLS: "mended",
    FixKind.LEAVE_OUT_ROWS: "when they train nothing",
    FixKind.RELABEL_ROWS: "relabelled",
}
_AS_IS_WORDS = {FixKind.KEEP_TOGETHER: "torn apart", FixKind.DROP_COLUMN: "with"}


def with_effects(findings: Sequence[Finding], dataset: Dataset, *, units: Array | None = None, seed: int = 0) -> list[Finding]:
    """The same findings, the gravest eight that have a fix with what it does to the score.

    A forest predicts a sample of rows out of fold, once as they are and once mended; the same rows are judged by the task's
    metric, and the difference gets its interval from paired resamples, of what counts once (`independent_units`). Groups, order
    and near copies (`units`) that change nothing beyond chance become notes. Of several labels nothing is measured.
    """
    if is_several(dataset.task) or not can_rehearse(dataset, min_rows=MIN_ROWS):
        return list(findings)
    order = (Severity.SERIOUS, Severity.WARNING, Severity.NOTE)
    ranked = sorted((f for f in findings if f.fix is not None), key=lambda finding: order.index(finding.severity))
    chosen = {id(finding) for finding in ranked[:MAX_MEASURED]}
    scales = _Scales(dataset, twins=units, seed=seed)
    return [_measured(finding, scales) if id(finding) in chosen else finding for finding in findings]


def _measured(finding: Finding, scales: _Scales) -> Finding:
    assert finding.fix is not None, "only what can be mended is measured"
    effect = scales.effect_of(finding.fix)
    if effect is None:
        return finding
    kind = finding.fix.kind
    metric = metric_named(effect.metric, scales.task)
    gain = effect.mended - effect.as_is if metric.higher_is_better else effect.as_is - effect.mended
    what = (
        f"{finding.what} Measured by a small forest on {effect.n_rows:,} rows: {metric.label} {effect.as_is:.4g} "
        f"{_AS_IS_WORDS.get(kind, 'as it is')}, {effect.mended:.4g} {_MENDED_WORDS[kind]} ({gain:+.3g}, 95% interval "
        f"{effect.low:+.3g} to {effect.high:+.3g}; more is better)."
    )
    is_harmless = kind in _WORSE_SEVERITY and effect.high >= 0
    severity = Severity.NOTE if is_harmless and finding.severity is Severity.WARNING else finding.severity
    return replace(finding, what=what, effect=effect, severity=severity)


@dataclass(frozen=True, eq=False)
class _Plain:
    """Rows as they are, how they are dealt, what is predicted of them, and which of them count once."""

    rehearsal: Rehearsal
    parts: Array
    as_is: Array
    groups: Array | None


class _Scales:
    """Weighs fixes on one dataset; what several of them need is predicted once."""

    def __init__(self, dataset: Dataset, *, twins: Array | None, seed: int) -> None:
        assert dataset.task is not None, "effects need a task"
        self.dataset, self.task, self._twins, self._seed = dataset, dataset.task, twins, seed
        self._plain: _Plain | None = None

    def effect_of(self, fix: Fix) -> Effect | None:
        """None where it cannot be measured: nothing would be left to learn from, or to judge."""
        match fix.kind:
            case FixKind.DROP_COLUMN:
                return self._of_columns(fix)
            case FixKind.GROUP:
                return self._of_units(compact(_comparable(self.dataset.columns[fix.columns[0]])), without=fix.columns)
            case FixKind.KEEP_TOGETHER:
                return None if self._twins is None else self._of_units(self._twins, without=())
            case FixKind.ORDER:
                return self._of_order(fix)
            case FixKind.MEND_CELLS | FixKind.RELABEL_ROWS:
                return self._of_change(fix)
            case FixKind.LEAVE_OUT_ROWS:
                return self._of_rows(fix)

    def _baseline(self) -> _Plain:
        """Groups, stretches of time and copies are kept whole, and resampled whole, as a run does."""
        if self._plain is None:
            units = independent_units(self.dataset, twins=self._twins)
            is_grouped = self.dataset.schema.group is not None
            rehearsal = Rehearsal(self.dataset, units=units if is_grouped else None, seed=self._seed)
            parts = rehearsal.parts(units)
            groups = None if units is None else units[rehearsal.rows]
            self._plain = _Plain(rehearsal, parts, rehearsal.predictions(parts), groups)
        return self._plain

    def _of_columns(self, fix: Fix) -> Effect | None:
        plain = self._baseline()
        rest = [name for name in plain.rehearsal.names if name not in fix.columns]
        if not rest:
            return None
        after = plain.rehearsal.predictions(plain.parts, names=rest)
        return self._compared(plain.rehearsal.target, plain.as_is, after, groups=plain.groups)

    def _of_units(self, units: Array, *, without: Sequence[str]) -> Effect | None:
        rehearsal = Rehearsal(self.dataset, units=units, seed=self._seed)
        names = [name for name in rehearsal.names if name not in without]
        whole = rehearsal.parts(units)
        if not names or len(np.unique(whole)) < 2:
            return None
        as_is = rehearsal.predictions(rehearsal.parts(), names=names)
        groups = units[rehearsal.rows]
        return self._compared(rehearsal.target, as_is, rehearsal.predictions(whole, names=names), groups=groups)

    def _of_order(self, fix: Fix) -> Effect | None:
        values = self.dataset.columns[fix.columns[0]] if fix.columns else np.arange(self.dataset.n_samples, dtype=np.float64)
        ranks = np.empty(len(values), np.int64)
        ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
        stretches = ranks // ROWS_IN_A_STRETCH
        rehearsal = Rehearsal(self.dataset, units=stretches, seed=self._seed)
        as_is = rehearsal.predictions(rehearsal.parts())
        along = rehearsal.predictions(rehearsal.stretches(ranks))
        return self._compared(rehearsal.target, as_is, along, groups=stretches[rehearsal.rows])

    def _of_change(self, fix: Fix) -> Effect | None:
        plain = self._baseline()
        changed = Rehearsal(mended(self.dataset, [fix]), rows=plain.rehearsal.rows, seed=self._seed)
        return self._compared(plain.rehearsal.target, plain.as_is, changed.predictions(plain.parts), groups=plain.groups)

    def _of_rows(self, fix: Fix) -> Effect | None:
        """Judged on all rows, those that are left out too: the others agree with the model because of how they were chosen."""
        plain = self._baseline()
        spared = np.isin(plain.rehearsal.rows, positions_of(self.dataset, fix.rows))
        if not spared.any() or spared.all():
            return None
        after = plain.rehearsal.predictions(plain.parts, spared=spared)
        return self._compared(plain.rehearsal.target, plain.as_is, after, groups=plain.groups)

    def _compared(self, target: Array, as_is: Array, after: Array, *, groups: Array | None = None) -> Effect | None:
        metric = metric_named(self.task.metric, self.task)
        if self.task.is_classification and (np.bincount(target, minlength=self.task.n_outputs) == 0).any():
            return None  # ranking metrics are not defined without a class
        found = paired_difference(metric, target, after, as_is, groups=groups, seed=self._seed, n_resamples=N_RESAMPLES)
        scores = [score(metric, target, predictions) for predictions in (as_is, after)]
        if not np.isfinite([*scores, found.low, found.high]).all():
            return None
        return Effect(metric=metric.name, as_is=scores[0], mended=scores[1], low=found.low, high=found.high, n_rows=len(target))


def _comparable(values: Array) -> Array:
    return np.array(["" if cell is None else cell for cell in values.tolist()]) if values.dtype == object else values
