"""The pages that people read agree with the code."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import cupel
from reading_sources import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(path.read_text()) if found == language]


def test_the_pages_are_there() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "docs/design.md", "docs/log.md"):
        assert (ROOT / name).exists(), f"{name} is missing"


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_python_in_the_pages_compiles(path: Path) -> None:
    for code in blocks(path, "python"):
        ast.parse(code)


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_names_imported_in_the_pages_exist(path: Path) -> None:
    for code in blocks(path, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "") == "cupel":
                assert {alias.name for alias in node.names} <= set(cupel.__all__)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cupel":
                assert node.attr in cupel.__all__, f"{page_name(path)} uses cupel.{node.attr}"


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_commands_in_the_pages_are_understood(path: Path) -> None:
    for body in blocks(path, "sh"):
        for line in body.splitlines():
            command = shlex.split(line, comments=True)
            if command[:1] == ["cupel"] and len(command) > 1:
                assert is_understood(command[1:]), f"{page_name(path)}: {line!r} is not understood"


def is_understood(options: list[str]) -> bool:
    from cupel.cli.main import _parser

    try:
        _parser(options[0]).parse_args(options)
    except SystemExit as stop:
        return not stop.code
    return True


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_links_between_the_pages_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), f"{page_name(path)} links to {target}"


def test_changelog_package_and_project_agree_on_the_version() -> None:
    changelog = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert changelog is not None
    assert changelog[1] == project == cupel.__version__


def test_every_decision_says_context_options_decision_and_measurement() -> None:
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        text = path.read_text()
        missing = [name for name in ("Context", "Options", "Decision", "Measurement") if f"## {name}" not in text]
        assert not missing, f"{page_name(path)} lacks {missing}"


def test_constraints_pin_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    names = {re.split(r"[\[<>=~! ]", line)[0].lower().replace("_", "-") for line in asked} - {"cupel"}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+", line) for line in lines), (
        "only name==version, no hosts, no paths"
    )
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert not names - pinned, f"constraints.txt does not pin {sorted(names - pinned)}"
