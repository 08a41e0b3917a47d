import json
import os
import webbrowser
from types import SimpleNamespace

import pytest

from cupel.cli.main import main
from cupel.verdict.report import _page

STEERS = "won\x1b]0;owned\x07 \x9b2J \x7f\u202egpj"
FACTS = {"words": f"MLP-1 {STEERS}\nExpect 0.9 é", "metric": "auc", "higher_is_better": True, "fingerprint": "a", "pick": {}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "verdict.json").write_text(json.dumps(FACTS))
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser was asked for."""
    asked = []
    monkeypatch.setattr(webbrowser, "open", asked.append)
    return asked


def test_a_verdict_steers_no_terminal(folder, capsys):
    assert main(["report", str(folder)]) == 0
    said = capsys.readouterr().out
    assert all(sign.isprintable() for line in said.split("\n") for sign in line)
    assert "\nExpect 0.9 é\n" in said


def test_nor_does_its_json_which_says_the_same(folder, capsys):
    assert main(["report", str(folder), "--json"]) == 0
    said = capsys.readouterr().out
    assert all(sign.isprintable() for line in said.split("\n") for sign in line)
    assert json.loads(said) == FACTS
    assert "é" in said


OWN = _page(
    SimpleNamespace(task=SimpleNamespace(target="<meta>"), pick=SimpleNamespace(name="MLP-1"), metric_label="auc"),
    "<p>won</p>",
    [],
)
HEAD = OWN.split("<style>")[0]


def test_a_report_of_this_cupel_is_opened(folder, opened):
    (folder / "report.html").write_text(OWN)
    assert main(["report", str(folder), "--open"]) == 0
    assert opened == [(folder / "report.html").resolve().as_uri()]


@pytest.mark.parametrize(
    "page",
    [
        "<script>alert(1)</script>",
        f"<script>alert(1)</script>{OWN}",
        OWN.replace("script-src '", "script-src 'unsafe-inline' '"),
        OWN.replace("default-src 'none'", "default-src *"),
        OWN.replace("<p>won</p>", '<META http-equiv="refresh" content="0; url=https://elsewhere.example">'),
        HEAD.replace("<!doctype html>\n", ""),
        "\x00",
        "",
    ],
)
def test_a_page_that_somebody_else_wrote_is_not_opened(folder, opened, capsys, page):
    (folder / "report.html").write_text(page)
    assert main(["report", str(folder), "--open"]) == 2
    assert "is no page of this Cupel" in capsys.readouterr().err
    assert opened == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "nothing", "bytes"])
def test_what_is_no_plain_page_is_not_opened(folder, tmp_path, opened, capsys, kind):
    path = folder / "report.html"
    (tmp_path / "other.html").write_text(OWN)
    match kind:
        case "link":
            path.symlink_to(tmp_path / "other.html")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "bytes":
            path.write_bytes(b"\xff")
    assert main(["report", str(folder), "--open"]) == 2
    assert "report.html cannot be read" in capsys.readouterr().err
    assert opened == []
