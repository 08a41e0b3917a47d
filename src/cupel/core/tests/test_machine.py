"""What the machine leaves to this process."""

from __future__ import annotations

from pathlib import Path

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
