"""A worker that is ended by nobody's fault is replaced, whatever it was at."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError
from cupel.execution.watched import MOST_REPEATS, LostWorkerError, Watched

ASSIGNMENT: Any = SimpleNamespace(candidate=SimpleNamespace(name="MLP-1"), to_plain=dict)


class Stranger:
    """Ends workers: so many while they take the run over, and so many at their work."""

    def __init__(self, *, settling: int = 0, working: int = 0) -> None:
        self.n_left = {"settling": settling, "working": working}
        self.told: list[str] = []

    def comes(self, when: str) -> None:
        if self.n_left[when]:
            self.n_left[when] -= 1
            raise LostWorkerError("ended from outside by SIGKILL")

    def watched(self, patch: pytest.MonkeyPatch) -> Watched:
        watched = object.__new__(Watched)
        watched._log = lambda event, **_: self.told.append(event)

        def obeyed(*_: Any, **__: Any) -> dict[str, Any]:
            self.comes("working")
            return {"facts": {"rows": 7}}

        patch.setattr(watched, "_hand_over", lambda: None)
        patch.setattr(watched, "_settled", lambda: self.comes("settling"))
        patch.setattr(watched, "_obeyed", obeyed)
        return watched


@pytest.mark.parametrize("times", [{"settling": 2}, {"working": 3}, {"settling": 1, "working": 1}])
def test_the_final_fit_goes_on_with_another(times: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    stranger = Stranger(**times)
    done = stranger.watched(monkeypatch).finish(ASSIGNMENT, tmp_path, deadline=Deadline(), progress=lambda _: None)
    assert done == {"rows": 7}
    assert stranger.told == ["worker lost"] * sum(times.values())


def test_one_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    stranger = Stranger(working=MOST_REPEATS)
    with pytest.raises(TrainingError, match="ended from outside 5 times"):
        stranger.watched(monkeypatch).finish(ASSIGNMENT, tmp_path, deadline=Deadline(), progress=lambda _: None)


class Reporting:
    """A worker that says how far it is, and may then be gone."""

    n_printed_bytes, was_ended_for_memory = 0, False

    def __init__(self) -> None:
        self.channel = SimpleNamespace(send=lambda order: None, receive=self.receive)
        self.messages = [{"is": "progress", "fraction": 0.5}]
        self.n_ends = 0

    def receive(self, *, timeout_seconds: float) -> dict[str, Any]:
        if not self.messages:
            raise EOFError
        return self.messages.pop()

    def last_words(self, *, since: int) -> str:
        return ""

    def ended(self) -> int:
        return -9

    def end(self) -> None:
        self.n_ends += 1


def answered(worker: Any, progress: Callable[[float], None]) -> dict[str, Any]:
    watched, vigil = object.__new__(Watched), cast(Any, SimpleNamespace(look=lambda message: None))
    watched._worker = worker
    return watched._answer(worker, {}, vigil=vigil, progress=progress)


def test_a_pipe_that_whoever_is_told_of_progress_finds_closed_is_not_the_workers():
    def tell(fraction: float) -> None:
        raise BrokenPipeError("head has read enough")

    worker = Reporting()
    with pytest.raises(BrokenPipeError, match="head has read enough"):
        answered(worker, tell)
    assert worker.n_ends == 1, "it is still at work, and would answer another order with this"


def test_a_worker_that_is_gone_is_lost():
    worker = Reporting()
    with pytest.raises(LostWorkerError, match="SIGKILL"):
        answered(worker, lambda fraction: None)
    assert worker.n_ends == 1
