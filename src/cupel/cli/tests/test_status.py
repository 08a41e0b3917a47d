"""`cupel status` from another terminal: what runs, how far it is, what is best, what was left out and why."""

import os

import pytest

from cupel.cli.main import main
from cupel.execution import Journal, RunFolder, holder_of

ASKED = {
    "target": "y", "settings": {}, "fingerprint": "f", "version": "1", "effort": "quick", "task": {"kind": "binary"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "run") as opened:
        opened.settle_question(ASKED)
        journal = opened.journal
        journal.append("turn", of="MLP-1", number=1, total=3, seconds_left=90.0)
        journal.append("timed", candidate="MLP-1", estimated=2.0, seconds=3.0)
        journal.append("best", of="MLP-1", score="AUC 0.9000", interval="0.8500 to 0.9400")
        journal.append("skipped", candidate="MLP-2", reason="it needs 9 GB; fewer columns", estimated=7.0)
        journal.append("turn", of="MLP-3", number=3, total=3, seconds_left=40.0)
        yield opened


def test_a_run_at_work_is_told_with_its_process_its_best_and_what_is_left(folder, capsys):
    assert main(["status", str(folder.path)]) == 0
    said = capsys.readouterr().out
    assert f"process {os.getpid()} is at work" in said
    assert "candidate 3 of 3, MLP-3; about" in said
    assert "best so far: MLP-1, AUC 0.9000 (95% interval 0.8500 to 0.9400; the choice is not allowed for yet)" in said
    assert "estimated 7.0 s" in said
    assert "it needs 9 GB; fewer columns" in said


def test_a_run_that_nobody_holds_is_told_without_a_process(folder, capsys):
    folder.close()
    assert holder_of(folder.path) is None
    assert main(["status", str(folder.path)]) == 0
    assert "at work" not in capsys.readouterr().out


def test_reading_a_journal_writes_nothing_to_it(tmp_path):
    path = tmp_path / "journal" / "journal.jsonl"
    Journal(path).append("started")
    path.write_bytes(path.read_bytes() + b"torn")
    before = path.read_bytes()
    reader = Journal(path)
    assert [record["event"] for record in reader.read()] == ["started"]
    assert path.read_bytes() == before
    reader.append("finished")
    assert [record["event"] for record in reader.read()] == ["started", "finished"]
