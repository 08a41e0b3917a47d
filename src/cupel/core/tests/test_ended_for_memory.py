"""Who was ended for want of memory is told from who was ended by others."""

from __future__ import annotations

import pytest

from cupel.core import processes


class Machine:
    """A clock, and a count of processes that the kernel has ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.count = 100.0, 7
        patch.setattr(processes.time, "monotonic", lambda: self.now)
        patch.setattr(processes, "n_ended_for_memory", lambda: self.count)

    def goes_on(self, ended: processes.EndedForMemory, *, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            ended.look()


def test_what_was_ended_long_ago_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    ended = processes.EndedForMemory()
    assert not ended.is_recent
    machine.count += 1
    assert ended.is_recent
    machine.goes_on(ended, seconds=5)
    assert ended.is_recent
    machine.goes_on(ended, seconds=10)
    assert not ended.is_recent


def test_one_that_is_looked_at_late_is_recent_still(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    ended = processes.EndedForMemory()
    machine.goes_on(ended, seconds=10)
    machine.now, machine.count = machine.now + 60, machine.count + 1
    assert ended.is_recent
