"""What Cupel answers to bad input: one row of the table each, checked through the command line."""

import gzip
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from cupel.cli.main import main

GOOD = "a,b,y\n" + "".join(f"{i % 17},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(60))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def csv(content: str | bytes, name: str = "table.csv"):
    return lambda folder: written(folder, name, content)


def database(folder: Path) -> Path:
    path = folder / "table.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (a int, y int)")
        connection.execute("create table u (a int, y int)")
    connection.close()
    return path


def unreadable(folder: Path) -> Path:
    path = written(folder, "secret.csv", GOOD)
    path.chmod(0)
    return path


def truncated_parquet(folder: Path) -> Path:
    import polars

    path = folder / "table.parquet"
    polars.DataFrame({"a": list(range(1000)), "y": [0, 1] * 500}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def rows(n: int, line: str = "{i},{c}") -> str:
    return "a,y\n" + "".join(line.format(i=i, c=i % 2) + "\n" for i in range(n))


# name: (what is given, further options, what the answer must say)
BAD = {
    "a file that is not there": (lambda folder: folder / "none.csv", [], r"none\.csv"),
    "a directory": (lambda folder: folder, [], r"(?i)director|folder"),
    "an empty file": (csv(""), [], r"(?i)empty"),
    "only white space": (csv("\n\n\n"), [], r"(?i)empty|no (rows|columns|data)"),
    "a header and no rows": (csv("a,b,y\n"), [], r"(?i)no (data )?rows|header"),
    "one row": (csv("a,b,y\n1,2,0\n"), [], r"(?i)row|one (class|value)|same"),
    "two rows": (csv("a,b,y\n1,2,0\n2,3,1\n"), [], r"(?i)rows"),
    "one class": (csv("a,y\n" + "".join(f"{i},1\n" for i in range(50))), [], r"(?i)same|one (distinct )?(class|value)|single"),
    "an unknown target": (csv(GOOD), ["--target", "z"], r"'z'"),
    "a target with another case": (csv(GOOD), ["--target", "Y"], r"'Y'"),
    "a target without values": (csv("a,y\n" + "".join(f"{i},\n" for i in range(50))), [], r"(?i)(missing|no value|empty|null)"),
    "two target columns": (csv("a,y,y\n" + "".join(f"{i},{i % 2},{i % 3}\n" for i in range(50))), [], r"(?i)'y'"),
    "nothing but the target": (csv("y\n" + "".join(f"{i % 2}\n" for i in range(50))), [], r"(?i)column|feature"),
    "nothing but an identifier": (csv("id,y\n" + "".join(f"u{i:05d}x,{i % 2}\n" for i in range(90))), [], r"(?i)column|feature"),
    "nothing but constants": (csv("a,b,y\n" + "".join(f"1,x,{i % 2}\n" for i in range(90))), [], r"(?i)column|feature"),
    "truncated gzip": (csv(gzip.compress(GOOD.encode() * 50)[:-200], "t.csv.gz"), [], r"(?i)gzip|truncated|damaged|cut"),
    "not really gzip": (csv(b"\x1f\x8bnonsense", "t.csv.gz"), [], r"(?i)gzip|damaged|read"),
    "truncated parquet": (truncated_parquet, [], r"(?i)parquet"),
    "binary garbage": (csv(bytes(range(256)) * 40), [], r"(?i)text|binary|NUL|table|read"),
    "ragged rows": (csv("a,b,y\n1,2,0\n1,2,3,4,5,1\n" + "2,3,1\n" * 40), [], r"(?i)row|line|fields|columns"),
    "an unknown column kind": (csv(GOOD), ["--kind", "a=colour"], r"colour"),
    "a kind for an unknown column": (csv(GOOD), ["--kind", "zz=number"], r"'zz'"),
    "a kind that the column cannot have": (csv(GOOD), ["--kind", "b=number"], r"'b'"),
    "a kind option without a kind": (csv(GOOD), ["--kind", "b"], r"COLUMN=KIND"),
    "dropping an unknown column": (csv(GOOD), ["--drop", "zz"], r"'zz'"),
    "dropping the target": (csv(GOOD), ["--drop", "y"], r"'y'"),
    "dropping everything": (csv(GOOD), ["--drop", "a", "--drop", "b"], r"(?i)column|feature"),
    "an unknown metric": (csv(GOOD), ["--metric", "goodness"], r"goodness"),
    "a metric of another task": (csv(GOOD), ["--metric", "rmse"], r"rmse"),
    "an unknown positive class": (csv(GOOD), ["--positive", "maybe"], r"maybe"),
    "regression on text": (csv(GOOD), ["--target", "b", "--task", "regression"], r"'b'"),
    "an unknown family": (csv(GOOD), ["--families", "perceptronium"], r"perceptronium"),
    "an unknown group column": (csv(GOOD), ["--group", "zz"], r"'zz'"),
    "an unknown order column": (csv(GOOD), ["--order", "zz"], r"'zz'"),
    "more folds than rows": (csv(GOOD), ["--folds", "1000"], r"(?i)fold"),
    "one fold": (csv(GOOD), ["--folds", "1", "--split", "k-fold"], r"(?i)fold"),
    "a time that is none": (csv(GOOD), ["--time", "soon"], r"soon"),
    "a negative time": (csv(GOOD), ["--time=-5s"], r"-5s"),
    "all the time there is, and no time": (csv(GOOD), ["--effort", "open"], r"--time"),
    "a file of ranges that is not there": (csv(GOOD), ["--space", "nowhere.yaml"], r"nowhere\.yaml"),
    "an ensemble of no known kind": (csv(GOOD), ["--ensemble", "magic"], r"(?i)magic.*greedy"),
    "a database with two tables and no query": (database, [], r"(?i)query"),
    "a query that fails": (database, ["--query", "select nothing from nowhere"], r"(?i)nowhere|query"),
    "a URL of an unknown kind": (lambda folder: "ftp://example.org/t.csv", [], r"(?i)ftp|URL|file"),
    "group and order at once": (csv(GOOD), ["--split", "group"], r"(?i)group"),
    "a text file that is no table": (csv("Dear Sir,\nthank you for your letter.\nYours\n", "letter.txt"), [], r"(?i)y"),
    "json that is no table": (csv('{"a": [1, 2', "t.json"), [], r"(?i)json"),
    "excel that is none": (csv(b"PK\x03\x04nonsense", "t.xlsx"), [], r"(?i)excel|xlsx"),
    "every value missing": (csv("a,b,y\n" + ",,\n" * 50), [], r"(?i)missing|empty|value"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_clear_answer_before_any_work(name, tmp_path, capsys, monkeypatch):
    make, options, expected = BAD[name]
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "run"
    target = [] if "--target" in options else ["--target", "y"]
    code = main(["fit", str(make(tmp_path)), *target, *options, "--out", str(out), "--progress", "none"])
    answer = capsys.readouterr().err
    assert code == 2, answer
    assert answer.startswith("cupel: "), answer
    assert "Traceback" not in answer
    import re

    assert re.search(expected, answer), answer
    assert not (out / "units").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_permission_gets_a_clear_answer(tmp_path, capsys):
    assert main(["fit", str(unreadable(tmp_path)), "--target", "y", "--out", str(tmp_path / "run")]) == 2
    assert "permission" in capsys.readouterr().err.lower()


def test_there_are_at_least_forty_bad_inputs():
    assert len(BAD) >= 40


ODD = {
    "infinite values": "a,b,y\n" + "".join(f"{'inf' if i == 3 else i % 17},{i % 5},{i % 2}\n" for i in range(80)),
    "mixed types": "a,b,y\n" + "".join(f"{'n/a' if i % 9 == 0 else i % 17},{'x' if i % 2 else 3},{i % 2}\n" for i in range(80)),
    "latin-1 bytes": ("a,näme,y\n" + "".join(f"{i % 17},{'é' if i % 3 else 'ü'},{i % 2}\n" for i in range(80))).encode("latin-1"),
    "two columns with one name": "a,a,y\n" + "".join(f"{i % 17},{i % 5},{i % 2}\n" for i in range(80)),
    "a column without a name": "a,,y\n" + "".join(f"{i % 17},{i % 5},{i % 2}\n" for i in range(80)),
    "some targets missing": "a,b,y\n" + "".join(f"{i % 17},{i % 5},{'' if i % 7 == 0 else i % 2}\n" for i in range(80)),
    "hostile names": '<script>alert(1)</script>,"=cmd()",y\n' + "".join(f"{i % 17},{i % 5},{i % 2}\n" for i in range(80)),
    "values of a class once": "a,b,y\n" + "".join(f"{i % 17},{i % 5},{'rare' if i == 5 else 'ab'[i % 2]}\n" for i in range(80)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_odd_input_is_taken_and_what_was_odd_is_said(name, tmp_path, capsys):
    content = ODD[name]
    path = written(tmp_path, "table.csv", content)
    options = ["--families", "linear", "--effort", "quick", "--progress", "none"]
    assert main(["fit", str(path), "--target", "y", "--out", str(tmp_path / "run"), *options]) == 0
    import json

    facts = json.loads((tmp_path / "run" / "verdict.json").read_text())
    assert facts["findings"]


@pytest.mark.slow
def test_ten_thousand_columns_are_taken(tmp_path):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(120, 10_000)).round(3)
    header = ",".join(f"c{i}" for i in range(10_000)) + ",y\n"
    lines = "".join(",".join(map(str, row)) + f",{int(row[0] > 0)}\n" for row in values.tolist())
    path = written(tmp_path, "wide.csv", header + lines)
    options = ["--families", "linear", "--effort", "quick", "--progress", "none", "--out", str(tmp_path / "run")]
    assert main(["fit", str(path), "--target", "y", *options]) == 0


@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path, monkeypatch, capsys):
    import errno

    from cupel.core import storage

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    path = written(tmp_path, "table.csv", GOOD)
    monkeypatch.setattr(storage.os, "fsync", full)
    assert main(["fit", str(path), "--target", "y", "--out", str(tmp_path / "run"), "--progress", "none"]) == 2
    assert "disk is full" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("*.json"))
