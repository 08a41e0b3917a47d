"""What the machine leaves to this process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cupel.core import machine


def cgroup(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_a_cgroup_leaves_its_limit_less_what_is_used_and_cannot_be_dropped(tmp_path: Path) -> None:
    new = cgroup(tmp_path / "new", memory__max="1000", memory__current="700", memory__stat="anon 500\ninactive_file 150\n")
    assert machine._left_in(new) == 450
    old = {"memory__limit_in_bytes": "1000", "memory__usage_in_bytes": "700", "memory__stat": "cache 9\ntotal_inactive_file 50\n"}
    assert machine._left_in(cgroup(tmp_path / "old", **old)) == 350


def test_a_cgroup_without_a_limit_says_nothing(tmp_path: Path) -> None:
    assert machine._left_in(cgroup(tmp_path / "free", memory__max="max", memory__current="700")) is None
    assert machine._left_in(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("own", "quotas", "n_cores"),
    [
        ("0::/box/inner\n", {"box/inner/cpu.max": "150000 100000"}, 2),
        ("0::/box/inner\n", {"box/inner/cpu.max": "max 100000", "box/cpu.max": "100000 100000"}, 1),
        ("0::/box/inner\n", {"box/inner/cpu.max": "max 100000"}, 64),
        ("0::/\n", {"cpu.max": "300000 100000"}, 3),
        ("0::/\n4:cpu,cpuacct:/old\n", {"cpu/old/cpu.cfs_quota_us": "50000", "cpu/old/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu,cpuacct:/old\n", {"cpu/old/cpu.cfs_quota_us": "-1", "cpu/old/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_cores_are_those_that_the_tightest_cgroup_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, quotas: dict[str, str], n_cores: int
) -> None:
    for name, text in quotas.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_CGROUPS", str(tmp_path / "own"))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(64)))
    assert machine.usable_cores() == n_cores


def test_a_slow_or_busy_machine_is_seen_to_be_and_one_reading_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, now = [1.0], [100.0]
    monkeypatch.setattr(machine, "_seconds_of_plain_work", lambda: taken[0] * machine.USUAL_SECONDS)
    monkeypatch.setattr(machine.time, "monotonic", lambda: now[0])
    speed = machine.Speed()

    def after(seconds: float, *, takes: float) -> float:
        now[0], taken[0] = now[0] + seconds, takes
        return speed.slowness

    assert after(0, takes=1.0) == 1.0
    assert after(1, takes=1.8) == 1.0  # it is not looked at again so soon
    assert after(3, takes=1.0) == 1.0
    assert after(3, takes=9.0) == 1.0
    assert [after(3, takes=1.8) for _ in range(3)][-1] == pytest.approx(1.8)
    assert [after(3, takes=50.0) for _ in range(5)][-1] == machine.MOST_SLOWNESS
    assert [after(3, takes=0.2) for _ in range(5)][-1] == 1.0


def test_when_this_process_began_is_known() -> None:
    code = "import time; time.sleep(0.3); from cupel.core import machine; print(time.monotonic() - machine.process_began())"
    started = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0.3 <= float(said) <= time.monotonic() - started + 0.02


def test_a_command_that_began_long_after_its_process_counts_from_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from cupel.cli import main

    monkeypatch.setattr(machine, "process_began", lambda: time.monotonic() - 3.0)
    assert time.monotonic() - main._began() == pytest.approx(3.0, abs=0.2)
    monkeypatch.setattr(machine, "process_began", lambda: time.monotonic() - 60.0)
    assert time.monotonic() - main._began() == pytest.approx(0.0, abs=0.2)


def test_one_core_with_little_time_works_without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    from cupel.core.limits import Limits

    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    assert Limits().for_time(12.0).workers == 1
    assert Limits(cores=1).for_time(12.0).workers == 0
    assert Limits(cores=1, memory_bytes=10**9).for_time(12.0).workers == 1, "memory is held by who watches a worker"
    assert Limits(cores=1).for_time(30.0).workers == Limits(cores=1).for_time(None).workers == 1
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    assert Limits().for_time(12.0).workers == 0
