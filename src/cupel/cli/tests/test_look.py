"""What `cupel look` shows, whatever the table holds."""

import argparse
import io
import json
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from cupel.cli import look
from cupel.cli.describing import bar, blocks, date_words, number_words, printable, share_words
from cupel.cli.look_page import page_of
from cupel.cli.look_terminal import show
from cupel.core.settings import Settings

N = 120


def table(**more) -> dict:
    generator = np.random.default_rng(0)
    columns = {
        "age": generator.integers(18, 90, N).astype(float),
        "city": generator.choice(["Aachen", "Bonn"], N),
        "joined": np.datetime64("2020-01-01") + np.arange(N),
        "y": np.arange(N) % 2,
    }
    return {**columns, **more}


def looked(columns: dict, target: str | None = "y", **settings) -> look.Look:
    return look.look(columns, target, settings=Settings(**settings))


def printed(found: look.Look, width: int = 80, **options) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(found, console=console, **options)
    return console.file.getvalue()


def written(tmp_path, name="table.csv"):
    path = tmp_path / name
    path.write_text("a,b,y\n" + "".join(f"{i % 17},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(90)))
    return str(path)


def run(*options: str) -> int:
    parser = argparse.ArgumentParser()
    look.add_arguments(parser)
    arguments = parser.parse_args(list(options))
    return arguments.run(arguments)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_each_column_has_one_line(width):
    columns = table(
        **{
            "a name that is far too long for any terminal of this width " * 3: np.arange(N) * 1.5,
            "日本語の列名" * 9: np.arange(N),
        }
    )
    text = printed(looked(columns), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    lines = [line.strip() for line in text.splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("column "))
    assert lines[first:].index("") == 1 + 5


def test_what_is_asked_and_how_rows_are_divided_is_said():
    text = printed(looked(table()))
    assert "y: binary, judged by roc_auc" in text
    assert "folds" in text
    assert "60  50 %" in text


def test_a_regression_shows_the_spread_of_its_target():
    text = printed(looked(table(y=np.random.default_rng(1).normal(size=N))))
    assert "regression, judged by rmse" in text
    assert "median" in text


def test_only_the_most_telling_of_many_columns_are_shown_unless_all_are_asked_for():
    generator = np.random.default_rng(0)
    columns = table(**{f"x{i}": generator.normal(size=N) for i in range(97)})
    found = looked(columns)
    assert "… 60 more" in printed(found)
    assert "… 60 more" not in printed(found, all_columns=True)


def test_many_classes_are_summed_up():
    text = printed(looked(table(y=np.array([f"class {i % 30}" for i in range(N)]))))
    assert "… 21 more classes, 4 to 4 rows each" in text


HOSTILE = {
    "<script>alert(1)</script>": np.arange(N) * 1.1,
    "[red]not markup[/red]": np.arange(N) * 1.2,
    "bell\a escape\x1b[31m line\nbreak": np.arange(N) * 1.3,
    '"><img src=x onerror=alert(1)>': np.array(["</style><b>", "&amp;"] * (N // 2)),
    "": np.arange(N) * 1.7,
}


def test_hostile_names_are_shown_as_they_are_and_do_nothing():
    found = looked(table(**HOSTILE))
    text = printed(found, 200)
    assert "[red]not markup[/red]" in text
    assert "\x1b" not in text
    assert "\a" not in text
    page = page_of(found)
    assert "<script" not in page
    assert "<img" not in page
    assert "</style><b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_needs_no_other_file_and_no_network():
    page = page_of(looked(table()))
    assert page.startswith("<!doctype html>")
    assert not re.search(r"https?://|<link|<script|url\(|src=", page)
    assert "default-src 'none'" in page
    assert page.count("<svg") >= 4
    assert page.count("<tr") == page.count("</tr>")


def test_json_holds_profile_findings_and_splits_and_no_nan(tmp_path, capsys):
    assert run(written(tmp_path), "--target", "y", "--json") == 0
    facts = json.loads(capsys.readouterr().out, parse_constant=lambda constant: pytest.fail(constant))
    assert facts["profile"]["n_samples"] == 90
    assert facts["splits"]["n_folds"] == 10
    assert {finding["code"] for finding in facts["findings"]} >= {"few-rows"}


def test_json_names_columns_whatever_the_terminal_can_show(tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text("größe €,y\n" + "".join(f"{i},{i % 2}\n" for i in range(90)))
    assert run(str(path), "--target", "y", "--json") == 0
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert "größe €" in str(json.loads(shown))


def test_the_verb_prints_a_look_and_writes_a_page(tmp_path, capsys):
    page = tmp_path / "look.html"
    assert run(written(tmp_path), "--target", "y", "--html", str(page), "--kind", "a=category") == 0
    shown = capsys.readouterr().out
    assert "category" in shown
    assert str(page) in shown.replace("\n", "")
    assert "table.csv" in page.read_text()


def test_a_table_that_cannot_train_is_shown_with_the_reason(tmp_path, capsys):
    path = tmp_path / "lone.csv"
    path.write_text("a,y\n" + "".join(f"{i},{int(i == 0)}\n" for i in range(40)))
    assert run(str(path), "--target", "y", "--kind", "a=number") == 2
    captured = capsys.readouterr()
    assert "column" in captured.out
    assert captured.err.startswith("cupel: ")


def test_findings_stand_from_serious_to_note():
    found = looked(table(later=np.where(np.arange(N) % 2, "yes", "no"), k=["x"] * N))
    severities = [finding.severity.value for finding in found.by_severity]
    assert severities == sorted(severities, key=["serious", "warning", "note"].index)
    assert severities[0] == "serious"
    assert printed(found).index("leak") < printed(found).index("constant-column")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (0.04213, "0.0421"),
        (17.46, "17.5"),
        (1234.5, "1,234"),
        (5.67e7, "56.7M"),
        (-3.0, "-3"),
        (1e-7, "1.0e-07"),
        (2e15, "2e+15"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_numbers_are_short(value, words):
    assert number_words(value) == words


def test_small_drawings_are_exact():
    assert blocks([0, 1, 8, 4], width=4) == " ▁█▄"
    assert len(blocks(list(range(20)), width=7)) <= 7
    assert blocks([], width=5) == ""
    assert bar(0.5, width=4) == "██"
    assert bar(1.7, width=2) == "██"
    assert date_words(0) == "1970-01-01"
    assert date_words(1e30) == "–"
    assert [share_words(part, 1000) for part in (0, 0.5, 21, 215, 999, 1000)] == [
        "0 %",
        "<0.1 %",
        "2.1 %",
        "22 %",
        "99.9 %",
        "100 %",
    ]
    assert printable("a\tb\x1b\u202e") == "a·b··"


def test_new_rows_are_compared_with_the_old_ones(tmp_path, capsys):
    old = written(tmp_path)
    new = tmp_path / "new.csv"
    new.write_text("a,b\n" + "".join(f"{100 + i % 17},{'red' if i % 3 else 'green'}\n" for i in range(90)))
    assert run(old, "--target", "y", "--against", str(new), "--json") == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert "a" in [finding["where"] for finding in findings if finding["code"] == "shifted-column"]
    found = {finding["code"]: finding for finding in findings}
    assert "'green'" in found["unseen-levels"]["what"]
    assert "ROC-AUC 1.000" in found["shift"]["what"]


def test_a_plan_of_a_table_without_faults_is_empty_and_says_what_it_is(tmp_path):
    plan = tmp_path / "fixes.yaml"
    assert run(written(tmp_path), "--target", "y", "--fixes", str(plan), "--json") == 0
    assert plan.read_text().startswith("# What could be mended")
