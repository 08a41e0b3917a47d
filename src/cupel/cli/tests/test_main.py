"""What becomes of output that nobody reads."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys

import pytest

from cupel.cli import main

LONG = """
import sys
from cupel.cli import main
def run(arguments):
    print("x" * {n_bytes}, file=sys.{stream})
    print("and on it goes", file=sys.stderr)
    return 0
main._parser = lambda asked: main.argparse.ArgumentParser()
main.argparse.ArgumentParser.parse_args = lambda self, given: main.argparse.Namespace(run=run)
sys.exit(main.main())
"""


def ended(*command: str, stream: str) -> int:
    """The exit code of a process one of whose streams nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        given = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing}
        return subprocess.run([sys.executable, *command], env=environment, check=False, **given).returncode
    finally:
        os.close(writing)


@pytest.mark.parametrize("n_bytes", [10, 10**6])
def test_an_answer_that_is_read_in_part_is_no_fault(n_bytes):
    assert ended("-c", LONG.format(stream="stdout", n_bytes=n_bytes), stream="stdout") == 0


def test_a_pipe_that_something_else_finds_closed_is_not_passed_over(monkeypatch, capsys):
    def run(arguments):
        raise BrokenPipeError(32, "Broken pipe")

    parser = argparse.ArgumentParser()
    monkeypatch.setattr(parser, "parse_args", lambda given: argparse.Namespace(run=run))
    monkeypatch.setattr(main, "_parser", lambda asked: parser)
    assert main.main([]) == 2
    assert "Broken pipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoding", "shown"), [("latin-1", "Zürich ? ?\n"), ("ascii", "Z?rich ? ?\n"), ("utf-8", "Zürich … ?\n")]
)
def test_what_a_terminal_cannot_show_ends_nothing(encoding, shown, monkeypatch):
    def run(arguments):
        for stream in (sys.stdout, sys.stderr):
            print("Zürich … \udcff", file=stream)
        return 0

    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    parser = argparse.ArgumentParser()
    monkeypatch.setattr(parser, "parse_args", lambda given: argparse.Namespace(run=run))
    monkeypatch.setattr(main, "_parser", lambda asked: parser)
    assert main.main([]) == 0
    for stream in streams.values():
        stream.flush()
        assert stream.buffer.getvalue().decode(encoding) == shown


@pytest.mark.slow
def test_a_fit_whose_progress_nobody_reads_goes_on_to_its_model(tmp_path):
    lines = [f"{number * 7 % 50},{'yes' if number * 7 % 50 > 20 else 'no'}" for number in range(200)]
    (tmp_path / "table.csv").write_text("\n".join(["x,y", *lines]))
    options = ["--effort", "quick", "--families", "linear", "--progress", "json", "--out", str(tmp_path / "run")]
    command = ["-m", "cupel.cli.main", "fit", str(tmp_path / "table.csv"), "--target", "y", *options]
    assert ended(*command, stream="stderr") == 0
    assert (tmp_path / "run" / "model.cupel").exists()
