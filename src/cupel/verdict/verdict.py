"""What a run proved, with its numbers; prints itself as plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

from cupel.core.candidate import plain
from cupel.core.finding import Finding
from cupel.core.stopwatch import Spent
from cupel.core.storage import finite
from cupel.core.task import Task
from cupel.evaluation import LabelScore
from cupel.verdict.nested import Nested
from cupel.verdict.words import plain_text

if TYPE_CHECKING:
    from cupel.verdict.second_opinion import Opinion


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value of the metric with its 95% interval, in the metric's own sense."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval: what decides how many digits mean something."""
        return (self.high - self.low) / 2

    def moved(self, shift: float) -> Score:
        """The same interval somewhere else."""
        return Score(estimate=self.estimate + shift, low=self.low + shift, high=self.high + shift)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A candidate or ensemble as the verdict speaks of it.

    `score` is what to expect on new rows: corrected where the contender is the best of several. `measured` is the plain
    score of its out-of-fold predictions. An ensemble is deep where networks have half of it. `members` are (name, weight), empty
    for a single candidate. `latency_ms` has keys "one" and "thousand".
    """

    name: str
    family: str
    score: Score
    measured: float
    is_deep: bool
    members: tuple[tuple[str, float], ...] = ()
    fit_seconds: float = 0.0
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    n_bytes: int = 0

    @property
    def latency_one(self) -> float:
        """Milliseconds for one row; NaN where it was not measured."""
        return float(self.latency_ms.get("one", math.nan))

    @property
    def latency_thousand(self) -> float:
        """Milliseconds for 1000 rows together; NaN where it was not measured."""
        return float(self.latency_ms.get("thousand", math.nan))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `verdict.json`."""
        described: dict[str, Any] = plain(self)
        described["members"] = [{"name": name, "weight": weight} for name, weight in self.members]
        described["bytes"] = described.pop("n_bytes")
        return described


@dataclass(frozen=True, kw_only=True)
class Margin:
    """How much better one contender is than another on the same rows, with a paired interval; positive is better.

    `against` names the other. `estimate` agrees with the difference of the two corrected scores.
    """

    against: str
    estimate: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval lies wholly above zero."""
        return self.low > 0

    def reversed(self) -> Margin:
        """The same margin, seen from the other side."""
        return replace(self, estimate=-self.estimate, low=-self.high, high=-self.low)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A candidate that gave nothing, and why."""

    name: str
    family: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What won, by how much, how sure, at what cost, and what is wrong with the data.

    `leader` is what looked best: the pick, unless a cheaper one within a standard error of it was preferred. `naive_score` is how
    it looked, and `optimism` how much of that was luck of choosing, positive whatever the metric's sense. `tied` names candidates
    that are not significantly worse than the pick. `simplest` is the smallest of those no slower, or the pick. Margins are None
    where there is nothing else to compare with; `margin_over_single` is the ensemble's, packed or not,
    over `best_single`. `metrics` are all that fit the task, for the pick's own predictions.
    `seconds_by_stage` says where the time went, in the order of the stages; that and `seconds` are of all
    `n_parts` of a run that was stopped and gone on with.
    `labels` has the scores of each of several labels in the order of `task.classes`, and nothing for other tasks.
    `second_opinions` compare the leader with its runner-up, and the best deep with the best classical candidate, fold by fold.
    `nested` is how whole runs did on outer folds, where that was asked for.
    `promises` says what the model may promise beside predictions and how that held, with sentences under "words"; by its
    "shown_threshold" answers were given that `metrics` and pictures show.
    `class_overlaps` says of masks how well each class is found, at every pixel (`evaluation.ClassOverlap`).
    `leaderboard` has one row per candidate, best first (see `leaderboard`). `weights` are those trained before that candidates
    started from: name, reference, licence, files with sha256, candidates, and whether the pick has them in it.
    """

    task: Task
    metric: str
    metric_label: str
    higher_is_better: bool
    pick: Contender
    leader: Contender
    best_single: Contender
    ensemble: Contender | None
    best_deep: Contender | None
    best_classical: Contender | None
    constant: Contender | None
    simplest: Contender | None
    naive_score: float
    optimism: float
    margin_over_classical: Margin | None
    margin_over_constant: Margin | None
    margin_over_single: Margin | None
    worth_it: str
    tied: tuple[str, ...]
    metrics: Mapping[str, Score] = field(default_factory=dict)
    findings: tuple[Finding, ...]
    failures: tuple[Failure, ...]
    n_candidates: int
    n_usable: int
    n_skipped: int
    n_dropped: int
    n_samples: int
    n_judged: int
    n_features: int
    splits: Mapping[str, Any]
    fingerprint: str
    seed: int = 0
    seconds: float = 0.0
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    n_parts: int = 1
    importance: tuple[Mapping[str, Any], ...] = ()
    labels: tuple[LabelScore, ...] = ()
    nested: Nested | None = None
    second_opinions: tuple[Opinion, ...] = ()
    promises: Mapping[str, Any] = field(default_factory=dict)
    class_overlaps: tuple[Mapping[str, Any], ...] = ()
    leaderboard: tuple[Mapping[str, Any], ...] = ()
    weights: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def expected(self) -> Score:
        """The score to expect of what is packed: the pick's, or what is known beyond it of its models' mean and of answers."""
        packed = self.promises.get("packed")
        return self.pick.score if not packed else Score(**{name: float(packed[name]) for name in ("estimate", "low", "high")})

    def completed(
        self,
        *,
        spent: Spent | None = None,
        seed: int | None = None,
        latency_ms: Mapping[str, float] | None = None,
        n_bytes: int | None = None,
        importance: Sequence[Any] = (),
        class_overlaps: Sequence[Any] = (),
    ) -> Verdict:
        """The same verdict with what is known only after judging: the packed pick's speed and size, and what it relies on.

        `importance` holds objects with `name`, `drop`, `low` and `high`, largest drop first wherever they are shown.
        """
        pick = replace(
            self.pick,
            latency_ms=dict(self.pick.latency_ms if latency_ms is None else latency_ms),
            n_bytes=self.pick.n_bytes if n_bytes is None else n_bytes,
        )
        rows = [{key: getattr(row, key) for key in ("name", "drop", "low", "high")} for row in importance]
        spent = spent or Spent(seconds=self.seconds, by_stage=self.seconds_by_stage, n_parts=self.n_parts)
        return replace(
            self,
            pick=pick,
            seconds=spent.seconds,
            seconds_by_stage=dict(spent.by_stage),
            n_parts=spent.n_parts,
            seed=self.seed if seed is None else seed,
            class_overlaps=tuple(plain(list(class_overlaps))) or self.class_overlaps,
            importance=tuple(sorted(rows, key=lambda row: -row["drop"])) or self.importance,
        )

    def to_json(self) -> dict[str, Any]:
        """What `verdict.json` holds; numbers that are not finite become None."""
        described: dict[str, Any] = {
            "metric": self.metric,
            "metric_label": self.metric_label,
            "higher_is_better": self.higher_is_better,
            **self._contenders(),
            "naive_score": self.naive_score,
            "optimism": self.optimism,
            **({} if self.nested is None else {"nested": self.nested.to_json()}),
            "margin_over_classical": plain(self.margin_over_classical),
            "margin_over_constant": plain(self.margin_over_constant),
            "margin_over_single": plain(self.margin_over_single),
            "worth_it": self.worth_it,
            "second_opinions": [opinion.to_json() for opinion in self.second_opinions],
            "tied": list(self.tied),
            "metrics": plain(dict(self.metrics)),
            "findings": plain(list(self.findings)),
            "failures": plain(list(self.failures)),
            "weights": plain(list(self.weights)),
            "n_candidates": self.n_candidates,
            "n_usable": self.n_usable,
            "n_skipped": self.n_skipped,
            "n_dropped": self.n_dropped,
            "seconds": self.seconds,
            "seconds_by_stage": dict(self.seconds_by_stage),
            "n_parts": self.n_parts,
            "latency_ms": {"one": self.pick.latency_one, "thousand": self.pick.latency_thousand},
            "bytes": self.pick.n_bytes,
            "task": plain(self.task),
            "classes": list(self.task.classes),
            "n_samples": self.n_samples,
            "n_judged": self.n_judged,
            "n_features": self.n_features,
            "scheme": self.splits.get("scheme"),
            "splits": plain(dict(self.splits)),
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            **({"class_overlaps": plain(list(self.class_overlaps))} if self.class_overlaps else {}),
            "importance": plain([dict(row) for row in self.importance]),
            **({"labels": self.labels_by_name()} if self.labels else {}),
            "promises": plain(dict(self.promises)),
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "words": str(self),
        }
        clean: dict[str, Any] = finite(described)
        return clean

    def labels_by_name(self) -> list[dict[str, Any]]:
        """Plain values of each label: in how many rows it is known and holds, its scores, and (true, said) counts."""
        pairs = zip(self.task.classes, self.labels, strict=True)
        return [
            {
                "label": label,
                "known": score.n_known,
                "holds": score.n_holds,
                "roc_auc": plain(score.roc_auc),
                "pr_auc": plain(score.pr_auc),
                "f1": score.said.f1,
                "confusion": [list(row) for row in score.matrix],
            }
            for label, score in pairs
        ]

    def _contenders(self) -> dict[str, Any]:
        names = ("pick", "leader", "best_single", "ensemble", "best_deep", "best_classical", "constant", "simplest")
        found = {name: getattr(self, name) for name in names}
        return {name: contender.to_json() if contender is not None else None for name, contender in found.items()}

    def __str__(self) -> str:
        return plain_text(self)

    def _repr_html_(self) -> str:
        """The same words, for notebooks."""
        return f"<pre>{escape(str(self))}</pre>"
