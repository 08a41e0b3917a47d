"""Who is told what a run is doing: a terminal, a log, a notebook, or nobody."""

from __future__ import annotations

from typing import Protocol

from cupel.core.trial import Trial


class Observer(Protocol):
    """Receives what happens, in order. Methods return at once and never raise.

    Several candidates may be at work at once; how they get on is told from threads of their own.
    """

    def stage(self, name: str) -> None:
        """A stage of the run begins: a short phrase such as "reading churn.csv"."""
        ...

    def stage_progress(self, fraction: float) -> None:
        """How much of a long stage is done, 0 to 1: pictures are decoded one by one."""
        ...

    def message(self, text: str) -> None:
        """Something that a person should read now."""
        ...

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        """A candidate begins; `seconds_left` estimates the whole rest of the search, which has `time_left` at most.

        Both are infinite where unknown.
        """
        ...

    def trial_progress(self, name: str, fraction: float) -> None:
        """How much of a running candidate is done, 0 to 1."""
        ...

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """A candidate ended; scores are written out with their metric, "" where there is none.

        `best` names the best so far; its score comes with the 95% interval, in which the choice is not allowed for.
        """
        ...

    def close(self) -> None:
        """The run is over, or was interrupted."""
        ...


class Silent:
    """An observer that shows nothing."""

    def stage(self, name: str) -> None:
        """Nothing."""

    def stage_progress(self, fraction: float) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        """Nothing."""

    def trial_progress(self, name: str, fraction: float) -> None:
        """Nothing."""

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
