"""What mending a finding does to the score: measured on the same rows with and without, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Contrast, Effect, Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.form import Form
from cupel.data.dealing import compact
from cupel.data.fixes import mended, positions_of
from cupel.data.rehearsal import N_POINTS, Describe, Rehearsal, rows_rehearsed, why_not_rehearsed
from cupel.data.splitting import independent_units
from cupel.evaluation.intervals import paired_difference
from cupel.evaluation.metrics import metric_named
from cupel.evaluation.scoring import score

Array = NDArray[Any]

MAX_MEASURED = 8
N_RESAMPLES = 200
MIN_ROWS = 60
ROWS_IN_A_STRETCH, FEWEST_IN_A_STRETCH, N_STRETCHES = 50, 5, 12
_ORDER = (Severity.SERIOUS, Severity.WARNING, Severity.NOTE)
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
_UNREAD = "models do not read it"
_AS_IS_WORDS = {FixKind.KEEP_TOGETHER: "torn apart", FixKind.DROP_COLUMN: "with"}


def with_effects(
    findings: Sequence[Finding],
    dataset: Dataset,
    *,
    units: Array | None = None,
    describe: Describe | None = None,
    obstacle: str = "",
    seed: int = 0,
) -> list[Finding]:
    """The same findings, the gravest eight that have a fix or a contrast with what it does to the score.

    A forest predicts a sample of rows out of fold, once as they are and once mended; the same rows are judged by the task's
    metric, and the difference gets its interval from paired resamples, of what counts once (`independent_units`). Groups, order
    and near copies (`units`) that change nothing beyond chance become notes. `describe` tells what pictures look like
    (`Inspection`). Where nothing is measured the finding says why: for an `obstacle`, the end of a sentence, or another.
    """
    asked = [finding for finding in findings if finding.fix is not None or finding.contrast is not None]
    if not asked or dataset.task is None:
        return list(findings)
    obstacle = obstacle or why_not_rehearsed(dataset, min_rows=MIN_ROWS, describe=describe)
    if obstacle:
        told = {id(finding): _unmeasured(finding, obstacle) for finding in asked}
    else:
        scales = _Scales(dataset, twins=units, describe=describe, seed=seed)
        ranked = sorted(asked, key=lambda finding: _ORDER.index(finding.severity))
        told = {id(finding): _measured(finding, scales) for finding in ranked[:MAX_MEASURED]}
        rest = f"the {MAX_MEASURED} gravest that can be mended were"
        told |= {id(finding): _unmeasured(finding, rest) for finding in ranked[MAX_MEASURED:]}
    return [told.get(id(finding), finding) for finding in findings]


def _unmeasured(finding: Finding, why: str) -> Finding:
    return replace(finding, what=f"{finding.what} What this does to the score was not measured: {why}.", contrast=None)


def _measured(finding: Finding, scales: _Scales) -> Finding:
    effect = scales.effect_of(finding)
    if isinstance(effect, str):
        return _unmeasured(finding, effect)
    metric = metric_named(effect.metric, scales.task)
    gain = effect.mended - effect.as_is if metric.higher_is_better else effect.as_is - effect.mended
    kind = FixKind.GROUP if finding.fix is None else finding.fix.kind
    as_is, after = _AS_IS_WORDS.get(kind, "as it is"), _MENDED_WORDS[kind]
    is_told = finding.contrast is not None and finding.contrast.states is not None
    if is_told:
        as_is, after = "where the forest is told of it", "where it is not"
    what = (
        f"{finding.what} Measured by a small forest on {_judged_words(effect, scales)}: {metric.label} {effect.as_is:.4g} "
        f"{as_is}, {effect.mended:.4g} {after} ({gain:+.3g}, 95% interval "
        f"{effect.low:+.3g} to {effect.high:+.3g}; more is better)."
    )
    is_harmless = kind in _WORSE_SEVERITY and not is_told and effect.high >= 0
    severity = Severity.NOTE if is_harmless and finding.severity is Severity.WARNING else finding.severity
    return replace(finding, what=what, effect=effect, severity=severity, contrast=None)


def _judged_words(effect: Effect, scales: _Scales) -> str:
    if scales.task.form is Form.MASKS:
        return f"{N_POINTS} points in each of {effect.n_rows:,} masks"
    return f"{effect.n_rows:,} rows"


@dataclass(frozen=True, eq=False)
class _Plain:
    """Rows as they are, how they are dealt, what is predicted of them, and which of them count once."""

    rehearsal: Rehearsal
    parts: Array
    as_is: Array
    groups: Array | None


class _Scales:
    """Weighs findings on one dataset; what several of them need is predicted once.

    What cannot be measured gives the reason, as the end of a sentence.
    """

    def __init__(self, dataset: Dataset, *, twins: Array | None, describe: Describe | None, seed: int) -> None:
        assert dataset.task is not None, "effects need a task"
        self.dataset, self.task, self._twins, self._seed = dataset, dataset.task, twins, seed
        self._rehearse = partial(Rehearsal, describe=describe, seed=seed)

    def effect_of(self, finding: Finding) -> Effect | str:
        """By the contrast where the finding has one, else by its fix."""
        if finding.contrast is not None:
            return self._of_contrast(finding.contrast)
        fix = finding.fix
        assert fix is not None, "only what can be mended is measured"
        match fix.kind:
            case FixKind.DROP_COLUMN:
                return self._of_columns(fix)
            case FixKind.GROUP:
                return self._of_units(compact(_comparable(self.dataset.columns[fix.columns[0]])), without=fix.columns)
            case FixKind.KEEP_TOGETHER:
                return self._of_twins
            case FixKind.ORDER:
                return self._of_order(fix)
            case FixKind.MEND_CELLS | FixKind.RELABEL_ROWS:
                return self._of_change(fix)
            case FixKind.LEAVE_OUT_ROWS:
                return self._of_rows(fix)

    @cached_property
    def _units(self) -> Array | None:
        """What counts once: groups, stretches of time and copies are kept whole, and resampled whole, as a run does."""
        return independent_units(self.dataset.unasked, twins=self._twins)

    @cached_property
    def _plain(self) -> _Plain:
        units, is_grouped = self._units, self.dataset.schema.group is not None
        rehearsal = self._rehearse(self.dataset, units=units if is_grouped else None)
        parts = rehearsal.parts(units)
        return _Plain(rehearsal, parts, rehearsal.predictions(parts), None if units is None else units[rehearsal.rows])

    def _of_columns(self, fix: Fix) -> Effect | str:
        plain = self._plain
        if not set(fix.columns) & set(plain.rehearsal.names):
            return _UNREAD
        rest = [name for name in plain.rehearsal.names if name not in fix.columns]
        if not rest and not plain.rehearsal.is_described:
            return "no other column is left to learn from"
        after = plain.rehearsal.predictions(plain.parts, names=rest)
        return self._compared(plain.rehearsal.target, plain.as_is, after, groups=plain.groups)

    @cached_property
    def _of_twins(self) -> Effect | str:
        return "no rows are kept together" if self._twins is None else self._of_units(self._twins)

    def _of_units(self, units: Array, *, without: Sequence[str] = ()) -> Effect | str:
        rehearsal = self._rehearse(self.dataset, units=units)
        names = [name for name in rehearsal.names if name not in without]
        whole = rehearsal.parts(units)
        if not names and not rehearsal.is_described:
            return "no other column is left to learn from"
        if len(np.unique(whole)) < 2:
            return "all rows would be in one fold"
        as_is = rehearsal.predictions(rehearsal.parts(), names=names)
        groups = units[rehearsal.rows]
        return self._compared(rehearsal.target, as_is, rehearsal.predictions(whole, names=names), groups=groups)

    def _of_contrast(self, contrast: Contrast) -> Effect | str:
        if contrast.units is not None:
            together = np.arange(self.dataset.n_samples) + len(contrast.units)
            together[contrast.rows] = compact(contrast.units)
            return self._of_units(together)
        assert contrast.states is not None, "a contrast has units or states"
        n_rows, most = len(contrast.rows), rows_rehearsed(self.dataset)
        drawn = np.sort(np.random.default_rng(self._seed).permutation(n_rows)[:most])
        rehearsal = self._rehearse(self.dataset, rows=contrast.rows[drawn])
        parts, units = rehearsal.parts(self._units), self._units
        told = rehearsal.predictions(parts, told=contrast.states[drawn])
        groups = None if units is None else units[rehearsal.rows]
        return self._compared(rehearsal.target, told, rehearsal.predictions(parts), groups=groups)

    def _of_order(self, fix: Fix) -> Effect | str:
        values = self.dataset.columns[fix.columns[0]] if fix.columns else np.arange(self.dataset.n_samples, dtype=np.float64)
        ranks = np.empty(len(values), np.int64)
        ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
        n_rows = min(len(values), rows_rehearsed(self.dataset))
        stretches = ranks // int(np.clip(n_rows // N_STRETCHES, FEWEST_IN_A_STRETCH, ROWS_IN_A_STRETCH))
        rehearsal = self._rehearse(self.dataset, units=stretches)
        as_is = rehearsal.predictions(rehearsal.parts())
        along = rehearsal.predictions(rehearsal.stretches(ranks))
        return self._compared(rehearsal.target, as_is, along, groups=stretches[rehearsal.rows])

    def _of_change(self, fix: Fix) -> Effect | str:
        plain = self._plain
        if fix.columns and not set(fix.columns) & set(plain.rehearsal.names):
            return _UNREAD
        changed = self._rehearse(mended(self.dataset, [fix]), rows=plain.rehearsal.rows)
        return self._compared(plain.rehearsal.target, plain.as_is, changed.predictions(plain.parts), groups=plain.groups)

    def _of_rows(self, fix: Fix) -> Effect | str:
        """Judged on all rows, those that are left out too: the others agree with the model because of how they were chosen."""
        plain = self._plain
        spared = np.isin(plain.rehearsal.rows, positions_of(self.dataset, fix.rows))
        if not spared.any() or spared.all():
            return f"{'none' if spared.all() else 'all'} of the rows that were drawn would be left"
        after = plain.rehearsal.predictions(plain.parts, spared=spared)
        return self._compared(plain.rehearsal.target, plain.as_is, after, groups=plain.groups)

    def _compared(self, target: Array, as_is: Array, after: Array, *, groups: Array | None = None) -> Effect | str:
        metric = metric_named(self.task.metric, self.task)
        if self.task.is_classification and (np.bincount(target, minlength=self.task.n_outputs) == 0).any():
            return "a class is not among the rows that were drawn"  # ranking metrics are not defined without one
        found = paired_difference(metric, target, after, as_is, groups=groups, seed=self._seed, n_resamples=N_RESAMPLES)
        scores = [score(metric, target, predictions) for predictions in (as_is, after)]
        if not np.isfinite([*scores, found.low, found.high]).all():
            return "the metric is not defined on the rows that were drawn"
        return Effect(metric=metric.name, as_is=scores[0], mended=scores[1], low=found.low, high=found.high, n_rows=len(target))


def _comparable(values: Array) -> Array:
    return np.array(["" if cell is None else cell for cell in values.tolist()]) if values.dtype == object else values
