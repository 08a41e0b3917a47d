"""The study for Optuna's dashboard is a nicety: a run without it is whole, but for a folder that is gone."""

from __future__ import annotations

import errno
import shutil
from typing import Any

import pytest

from cupel import execution, pipeline, tuning
from cupel.core.errors import StorageError
from cupel.core.observer import Silent

GROUND: Any = None


class Heard(Silent):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_a_study_that_cannot_be_written_is_told_and_ends_no_run(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tuning, "write_study", full)
    heard = Heard()
    with execution.RunFolder(tmp_path) as folder:
        pipeline._keep_study(folder, [], ground=GROUND, observer=heard)
    assert "study.log" in heard.messages[0]
    assert "No space left" in heard.messages[0]


def test_a_folder_that_was_removed_during_the_search_is_told_after_it(tmp_path):
    path = tmp_path / "run"
    with execution.RunFolder(path) as folder:
        shutil.rmtree(path)
        with pytest.raises(StorageError, match="removed or renamed"):
            pipeline._keep_study(folder, [], ground=GROUND, observer=Silent())
    assert not path.exists()
