"""`cupel status` from another terminal: what runs, how far it is, what is best, what was left out and why."""

import json
import os
import random
import time
import zlib

import pytest

from cupel.cli.main import main
from cupel.core.plain_yaml import yaml_of
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


def shown(folder, capsys):
    assert main(["status", str(folder.path)]) == 0
    return capsys.readouterr().out


def line_of(said, name):
    return next(line for line in said.splitlines() if line.strip().startswith(name))


def test_a_run_at_work_is_told_with_its_process_its_best_and_what_is_left(folder, capsys):
    said = shown(folder, capsys)
    assert f"process {os.getpid()} is at work" in said
    assert "candidate 3 of 3, MLP-3; about" in said
    assert "best so far: MLP-1, AUC 0.9000 (95% interval 0.8500 to 0.9400; the choice is not allowed for yet)" in said
    assert "estimated 7.0 s" in said
    assert "it needs 9 GB; fewer columns" in said


def test_a_run_that_nobody_holds_is_told_without_a_process(folder, capsys):
    folder.close()
    assert holder_of(folder.path) is None
    said = shown(folder, capsys)
    assert "at work" not in said
    assert f"nobody works at it; `cupel resume {folder.path}` goes on" in said


def test_a_clock_that_was_set_back_or_forward_neither_adds_time_nor_hides_the_turn(folder, capsys, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert "MLP-3; about 40 s of searching left" in shown(folder, capsys)
    folder.journal.append("concluded", pick="MLP-1")
    monkeypatch.setattr(time, "time", lambda: now - 7200)
    folder.journal.append("turn", of="MLP-4", number=4, total=5, seconds_left=30.0)
    assert "candidate 4 of 5, MLP-4; about 30 s of searching left" in shown(folder, capsys)
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    assert "MLP-4; it takes longer than was expected" in shown(folder, capsys)


def test_after_the_search_the_stage_is_told_and_no_candidate(folder, capsys):
    folder.journal.append("stage", name="proving and packing the best")
    said = shown(folder, capsys)
    assert "proving and packing the best …" in said
    assert "candidate 3 of 3" not in said
    folder.journal.append("concluded", pick="MLP-1", seconds_by_stage={"proving": 3.0})
    said = shown(folder, capsys)
    assert "…" not in said
    assert "where the time went: proving 3.0 s (100%)" in said
    assert "packed: MLP-1" in said
    assert "best so far" not in said


def test_what_happened_before_is_not_told_of_one_that_has_finished_since(folder, capsys):
    journal = folder.journal
    journal.append("started", candidate="MLP-3", key="k", folds=[0])
    journal.append("worker lost", candidate="MLP-3", reason="ended from outside by SIGKILL")
    assert "ended from outside" in line_of(shown(folder, capsys), "MLP-3")
    journal.append("finished", candidate="MLP-3", key="k")
    journal.append("timed", candidate="MLP-3", estimated=2.0, seconds=4.0)
    assert line_of(shown(folder, capsys), "MLP-3").split() == ["MLP-3", "finished", "4.0", "s,", "estimated", "2.0", "s"]


def test_one_that_was_dropped_stays_so_when_its_time_is_told(folder, capsys):
    folder.journal.append("finished", candidate="MLP-3", key="k")
    folder.journal.append("raced", candidate="MLP-3", against="MLP-1", worse=0.99, dropped=True)
    folder.journal.append("timed", candidate="MLP-3", estimated=2.0, seconds=4.0)
    assert "dropped" in line_of(shown(folder, capsys), "MLP-3")


def test_training_on_fewer_rows_changes_no_line(folder, capsys):
    before = line_of(shown(folder, capsys), "MLP-1")
    folder.journal.append("started", candidate="MLP-1", key="k", share=0.5, folds=[0])
    folder.journal.append("failed", candidate="MLP-1", key="k", share=0.5, reason="too few", seconds=1.0)
    assert line_of(shown(folder, capsys), "MLP-1") == before


def test_a_journal_that_is_a_link_is_refused_in_one_line(folder, capsys):
    path = folder.path / "journal" / "journal.jsonl"
    path.rename(folder.path / "elsewhere")
    path.symlink_to(folder.path / "elsewhere")
    assert main(["status", str(folder.path)]) == 2
    assert "is a link" in capsys.readouterr().err


def test_a_pipe_in_place_of_the_lock_is_not_waited_for(folder, capsys):
    folder.close()
    (folder.path / ".lock").unlink()
    os.mkfifo(folder.path / ".lock")
    assert "verdict" in shown(folder, capsys)


HOSTILE = "\x1b[2J\x9b"
ODD = (None, True, -1, 10**400, 1e300, "x", HOSTILE, [], [1], {}, {"kind": {}}, "9" * 50)
NAMES = (
    "number",
    "total",
    "of",
    "seconds_left",
    "seconds",
    "estimated",
    "reason",
    "time",
    "name",
    "score",
    "interval",
    "dropped",
)
EVENTS = (
    "turn",
    "stage",
    "timed",
    "raced",
    "started",
    "finished",
    "failed",
    "skipped",
    "best",
    "concluded",
    "outer fold",
    "worked",
)


def odd_line(chance):
    facts = {name: chance.choice(ODD) for name in NAMES if chance.random() < 0.6}
    facts["seconds_by_stage"] = chance.choice([*ODD, {HOSTILE: 1e9, "reading": chance.choice(ODD)}])
    body = json.dumps({**facts, "event": chance.choice(EVENTS), "candidate": chance.choice(["", "a", HOSTILE, "\ud800"])})
    return f"{zlib.crc32(body.encode()):08x} {body}\n"


def test_a_folder_of_odd_values_is_told_without_a_traceback(folder, capsys):
    chance = random.Random(0)
    for _ in range(60):
        lines = [odd_line(chance) for _ in range(12)]
        (folder.path / "journal" / "journal.jsonl").write_text("".join(lines))
        odd = {"task": chance.choice(ODD), "effort": chance.choice(ODD), "settings": {"nested": chance.choice(ODD)}}
        asked = {**{name: ASKED[name] for name in ("target", "fingerprint", "version")}, "settings": {}}
        asked |= {name: value for name, value in odd.items() if chance.random() < 0.8}
        (folder.path / "run.yaml").write_text(yaml_of(asked))
        said = shown(folder, capsys)
        assert "\x1b" not in said
        assert said.encode()


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
