"""A worker is given the data of its run, whole, and never what somebody else left in their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cupel.core.errors import StorageError
from cupel.core.stopwatch import Stopwatch
from cupel.execution import Watched


class Given:
    """Writes two files, unless something is wrong after the first."""

    def __init__(self, *wrong: BaseException) -> None:
        self.facts = {"units": "units"}
        self.wrong = list(wrong)

    def write(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "first").touch()
        if self.wrong:
            raise self.wrong.pop()
        (folder / "second").touch()


def watched(folder: Path, *wrong: BaseException) -> Watched:
    given: Any = Given(*wrong)
    return Watched(given, folder, stopwatch=Stopwatch(), log=lambda *_, **__: None)


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "handover"
    folder.mkdir()
    (folder / "old").touch()
    watched(folder)._hand_over()
    assert sorted(path.name for path in folder.iterdir()) == ["first", "second"]


def test_what_cannot_be_removed_is_not_taken_for_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "handover"
    folder.mkdir()
    monkeypatch.setattr("cupel.execution.watched.shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(StorageError, match="cannot be removed"):
        watched(folder)


@pytest.mark.parametrize(("wrong", "told"), [(ValueError("no text"), ValueError), (OSError(28, "full"), StorageError)])
def test_what_was_written_in_part_is_written_anew(wrong: Exception, told: type[Exception], tmp_path: Path) -> None:
    folder = tmp_path / "handover"
    made = watched(folder, wrong)
    with pytest.raises(told):
        made._hand_over()
    assert not folder.exists()
    made._hand_over()
    assert (folder / "second").exists()


def test_what_appears_meanwhile_is_not_taken_for_the_data(tmp_path: Path) -> None:
    made = watched(tmp_path / "handover")
    (tmp_path / "handover").mkdir()
    with pytest.raises(StorageError, match="File exists"):
        made._hand_over()
