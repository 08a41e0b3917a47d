import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from cupel.core.errors import DataError, RunConflictError, StorageError
from cupel.execution import RunFolder, holder_of, read_run, source_of

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


def test_where_the_run_of_a_refit_is_makes_no_other_question(tmp_path):
    origin = {"run": "runs/a", "pick": "MLP-1", "models": "abc"}
    with RunFolder(tmp_path) as folder:
        folder.settle_question({**ASKED, "refit": origin})
        folder.settle_question({**ASKED, "refit": {**origin, "run": "/moved/a"}})
        with pytest.raises(RunConflictError, match=r"\(models was 'abc', is 'def'\)"):
            folder.settle_question({**ASKED, "refit": {**origin, "models": "def"}})
        with pytest.raises(RunConflictError, match="refit"):
            folder.settle_question(ASKED)


def test_data_are_looked_for_where_the_run_names_them_and_nowhere_else(tmp_path, monkeypatch):
    run, path = tmp_path / "run", tmp_path / "a.csv"
    path.touch()
    monkeypatch.chdir(tmp_path)
    for source in ("a.csv", str(path), "postgresql://host/db", None):
        assert source_of(run, {"source": source}) == source
    monkeypatch.chdir("/")
    with pytest.raises(DataError, match=r"'a.csv', relative to the folder that it was begun in, .*--source"):
        source_of(run, {"source": "a.csv"})
    path.unlink()
    with pytest.raises(DataError, match=r"a.csv', and from here there is no such file; .*--source"):
        source_of(run, {"source": str(path)})
    with pytest.raises(DataError, match="--source"):
        source_of(run, {"source": "a\0b" * 5000})


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
    with pytest.raises(StorageError, match="cannot be written"):
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
    "whole-next",
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


# --- a folder that cannot be held or written


def failing(true, error, *, path):
    """As `true`, but for files in `path`, where it fails as a disk does that cannot be written any more."""

    def call(*given, **named):
        if str(given[0]).startswith(str(path)) and given[1:] != (os.O_RDONLY,):
            raise OSError(error, os.strerror(error), str(given[0]))
        return true(*given, **named)

    return call


def test_a_folder_that_is_read_only_from_the_beginning_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(os.open, errno.EROFS, path=tmp_path))
    with pytest.raises(StorageError, match=r"cannot be written \(Read-only file system\).*choose another with --out"):
        RunFolder(tmp_path / "run")


def test_a_disk_too_full_for_who_holds_the_folder_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match=r"cannot be written \(No space left on device\)"):
        RunFolder(tmp_path / "run")


@pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "mend its permissions")])
def test_whatever_cannot_be_written_in_an_open_folder_is_told_alike(tmp_path, monkeypatch, number, remedy):
    run = RunFolder(tmp_path / "run")
    monkeypatch.setattr(os, "open", failing(os.open, number, path=tmp_path))
    with pytest.raises(StorageError, match=f"{remedy}.*cupel resume"), run as folder:
        folder.settle_question(ASKED)


def test_an_error_that_is_not_the_folders_passes_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), RunFolder(tmp_path / "run"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(BrokenPipeError), RunFolder(tmp_path / "run"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_folder_that_was_removed_is_told_by_whatever_is_written_next_and_not_made_again(tmp_path):
    path = tmp_path / "run"
    folder = RunFolder(path)
    shutil.rmtree(path)
    with pytest.raises(StorageError, match="was removed or renamed"), folder:
        folder.settle_question(ASKED)
    assert not path.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_not_taken_for_another_process(tmp_path, monkeypatch, number):
    def none(*_):
        raise OSError(number, os.strerror(number))

    with RunFolder(tmp_path):
        pass
    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(StorageError, match=r"keeps no locks.*on a local disk with --out"):
        RunFolder(tmp_path)
    assert holder_of(tmp_path) is None


def test_who_holds_a_removed_folder_writes_nothing_into_the_one_that_took_its_place(tmp_path):
    path = tmp_path / "run"
    with RunFolder(path) as old:
        old.journal.append("started", candidate="old")
        shutil.rmtree(path)
        with RunFolder(path) as new:
            new.journal.append("started", candidate="new")
            with pytest.raises(StorageError, match="removed or replaced"):
                old.journal.append("finished", candidate="old")
            assert [record["candidate"] for record in new.journal.read()] == ["new"]


def test_what_was_packed_when_a_process_was_killed_is_removed_and_the_run_goes_on(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.settle_question(ASKED)
    unproved, elsewhere = tmp_path / ".model.cupel.a1b2c3_4", tmp_path / "mine"
    for place in (unproved, elsewhere):
        place.mkdir()
        (place / "model.cupel").write_bytes(b"1")
    (unproved / "linked").symlink_to(elsewhere)
    with RunFolder(tmp_path) as folder:
        assert folder.settle_question(ASKED)
    assert not unproved.exists()
    assert (elsewhere / "model.cupel").exists()
