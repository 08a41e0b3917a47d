"""Who was ended for want of memory is told from who was ended by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from cupel.core import machine, processes


@pytest.mark.parametrize(
    ("groups", "folder", "file"),
    [
        ("4:memory:/jobs/one\n0::/", "memory/jobs/one", "memory.oom_control"),
        ("4:cpu,memory:/\n", "memory", "memory.oom_control"),
        ("0::/jobs/one\n", "jobs/one", "memory.events"),
        ("4:memory:/docker/one\n", "memory", "memory.oom_control"),
    ],
)
def test_what_the_kernel_ends_in_other_groups_counts_where_it_does_not_say_of_the_own_one_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str, folder: str, file: str
) -> None:
    (tmp_path / "own").write_text(groups)
    (tmp_path / "vmstat").write_text("oom_kill 12\n")
    monkeypatch.setattr(machine, "OWN_CGROUPS", str(tmp_path / "own"))
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert processes.n_ended_for_memory() == 12
    place = tmp_path / "groups" / folder
    place.mkdir(parents=True)
    (place / file).write_text("under_oom 0\noom_kill 3\n")
    assert processes.n_ended_for_memory() == 3


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
    computer = Machine(monkeypatch)
    ended = processes.EndedForMemory()
    assert not ended.is_recent
    computer.count += 1
    assert ended.is_recent
    computer.goes_on(ended, seconds=5)
    assert ended.is_recent
    computer.goes_on(ended, seconds=10)
    assert not ended.is_recent


def test_one_that_is_looked_at_late_is_recent_still(monkeypatch: pytest.MonkeyPatch) -> None:
    computer = Machine(monkeypatch)
    ended = processes.EndedForMemory()
    computer.goes_on(ended, seconds=10)
    computer.now, computer.count = computer.now + 60, computer.count + 1
    assert ended.is_recent
