import os
import subprocess
import sys

import pytest

from cupel.core.errors import DataError, RunConflictError
from cupel.execution import RunFolder, read_run

ASKED = {"target": "y", "settings": {"seed": 0}, "fingerprint": "abc", "splits": {"key": "k"}, "version": "1", "source": "a.csv"}


def test_the_same_question_goes_on(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        assert not folder.settle_question(ASKED)
        assert folder.settle_question({**ASKED, "source": "moved.csv"})
    assert read_run(tmp_path / "run")["source"] == "moved.csv"


@pytest.mark.parametrize(
    ("field", "value", "named"), [("target", "z", "target"), ("fingerprint", "def", "data"), ("version", "2", "version")]
)
def test_another_question_is_refused_and_the_difference_named(tmp_path, field, value, named):
    with RunFolder(tmp_path) as folder:
        folder.settle_question(ASKED)
        with pytest.raises(RunConflictError, match=named):
            folder.settle_question({**ASKED, field: value})


def test_a_differing_setting_is_named(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.settle_question(ASKED)
        with pytest.raises(RunConflictError, match="seed was 0, is 1"):
            folder.settle_question({**ASKED, "settings": {"seed": 1}})


def test_a_setting_that_the_folder_does_not_know_yet_has_its_default(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.settle_question(ASKED)
        folder.settle_question({**ASKED, "settings": {"seed": 0, "sample": None}})
        with pytest.raises(RunConflictError, match="sample"):
            folder.settle_question({**ASKED, "settings": {"seed": 0, "sample": 500}})


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path):
    with RunFolder(tmp_path):
        code = f"from pathlib import Path; from cupel.execution import RunFolder; RunFolder(Path({str(tmp_path)!r}))"
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert f"in use by process {os.getpid()}" in answer.stderr


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(DataError, match="no run in"):
        read_run(tmp_path)


def test_a_damaged_run_file_says_so(tmp_path):
    (tmp_path / "run.yaml").write_text("{: broken")
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path)


def test_a_file_in_place_of_the_folder_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        RunFolder(tmp_path / "file")


WRITTEN = (
    ".lock",
    ".handover",
    "journal",
    "journal/journal.jsonl",
    "units",
    "checkpoints",
    "cache",
    "nested",
    "nested/1",
    "whole",
)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_a_folder_that_would_write_elsewhere_is_refused(tmp_path, name, kind):
    victim, folder = tmp_path / "victim", tmp_path / "run"
    victim.write_text("precious")
    (folder / name).parent.mkdir(parents=True)
    if kind == "link":
        (folder / name).symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(folder / name)
    else:
        os.link(victim, folder / name)
    with pytest.raises(DataError):
        RunFolder(folder)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["checkpoints", "cache", "nested/1", ".handover"])
def test_a_link_to_another_folder_is_refused(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / name).parent.mkdir(parents=True)
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is a link or no plain file"):
        RunFolder(tmp_path / "run")


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "[" * 5000, "target: 5", "- target", "{target: y, settings: [], fingerprint: a, version: b}", "\x00", ""],
)
def test_a_run_file_that_a_stranger_made_is_refused(tmp_path, text):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(DataError, match=r"cannot be read|is not a run description"):
        read_run(tmp_path)


def test_a_run_file_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "other.yaml").write_text("target: y")
    (tmp_path / "run.yaml").symlink_to(tmp_path / "other.yaml")
    with pytest.raises(DataError, match="is a link"):
        read_run(tmp_path)
