"""A worker that is ended by nobody's fault is replaced, whatever it was at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

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
