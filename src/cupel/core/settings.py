"""What is asked of a run beside its data and target: with those it is the question that a run folder answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cupel.core.candidate import plain
from cupel.core.restoring import restored

PREFERENCES = ("cheapest", "best")
ERRORS = ("false-positive", "false-negative")
DECIDED_BY = ("precision", "recall")
OUTER_FOLDS = 5
"""Of nested cross-validation, unless another number is asked for."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that may be overridden; by default all is inferred from the data.

    `task` is "binary", "multiclass", "multilabel" or "regression". `kinds` maps column names to kinds. `drop` names columns
    to leave out. `group` names a column whose values must not be divided between training and validation; `time` one that
    orders the rows. `split` is auto, holdout, tenth (a holdout of so many), k-fold, stratified, repeated, group or time.
    `families` restricts what is tried (names; the constant always runs; some families are tried only where they are named).
    `search` names the strategy (`tuning.SEARCHES`), `space` narrows, fixes or extends what may be chosen, by family and
    field; without `racing` every candidate gets all folds. `ensemble` is how candidates are combined: none, greedy,
    bagged-greedy, close-vote, soft-vote, weighted-vote, hard-vote, stack, network-stack, two-layer-stack or auto. `prefer`
    says which of those within a standard error of the best is packed: "cheapest" or "best". For two classes, `costs` of a
    "false-positive" and a "false-negative", or a "precision" or "recall" of `at_least` so much, say from which probability on
    the answer is yes. A share of the rows to `seal` is kept away from everything, and judges the packed model once. With
    `nested` outer folds the whole run is repeated without each of them, and what that picks is judged by it. `device` is
    "auto", "cpu" or "cuda". `fixes` is a fix plan, as `cupel look --fixes` writes one. With `shuffle_target` targets are
    exchanged between rows, and scores must fall to chance. `backbones` are pretrained weights to start from (files, folders,
    or names on a hub, which are downloaded only with `allow_network`); of those whose licence forbids commercial use only
    those named in `allow_licences` are taken. `sample` is the number of rows to search on where not on all: None lets memory
    and time say.
    """

    task: str | None = None
    metric: str | None = None
    positive: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    query: str | None = None
    sheet: str | None = None
    split: str = "auto"
    n_folds: int | None = None
    n_repeats: int = 1
    families: tuple[str, ...] = ()
    search: str = "auto"
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    racing: bool = True
    ensemble: str = "auto"
    prefer: str = "cheapest"
    costs: Mapping[str, float] = field(default_factory=dict)
    at_least: Mapping[str, float] = field(default_factory=dict)
    seal: float = 0.0
    nested: int = 0
    device: str = "auto"
    fixes: Mapping[str, Any] = field(default_factory=dict)
    shuffle_target: bool = False
    backbones: tuple[str, ...] = ()
    allow_network: bool = False
    allow_licences: tuple[str, ...] = ()
    sample: int | None = None
    seed: int = 0

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for YAML."""
        described: dict[str, Any] = plain(self)
        return described

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], *, allow_network: bool = False) -> Settings:
        """Read what `to_plain` wrote, all but whether the network may be used: that is for who reads it to say.

        Raises:
            DataError: a setting is unknown or of another type; names it.
        """
        return replace(restored(cls, values, what="the settings of the run"), allow_network=allow_network)
