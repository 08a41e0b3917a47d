"""The project's own source, parsed: what the tests of the house measure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "cupel"
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """One function and where it stands: `path::Class.method`."""

    place: str
    node: FunctionNode
    is_method: bool

    @property
    def n_lines(self) -> int:
        """Lines from `def` to the end, the docstring, blank lines and decorators left out."""
        end = self.node.end_lineno or self.node.lineno
        docstring = self.node.body[0] if ast.get_docstring(self.node) is not None else None
        within = (docstring.lineno, docstring.end_lineno or docstring.lineno) if docstring else (0, -1)
        lines = source_lines(self.place.split("::")[0])
        counted = (number for number in range(self.node.lineno, end + 1) if not within[0] <= number <= within[1])
        return sum(bool(lines[number - 1].strip()) for number in counted)

    @property
    def parameters(self) -> tuple[list[str], list[str]]:
        """Names of the positional parameters without self, and of the keyword-only ones."""
        arguments = self.node.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in self.node.decorator_list)
        if self.is_method and not is_static:
            positional = positional[1:]
        return positional, [argument.arg for argument in arguments.kwonlyargs]

    @property
    def depth(self) -> int:
        """How deep blocks are nested in one another, `elif` chains counting once."""
        return max((_depth(child) for child in self.node.body), default=0)


_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def _depth(node: ast.AST) -> int:
    if isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
        return 0  # measured by itself
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        children.remove(node.orelse[0])
        return max(_depth(node.orelse[0]), 1 + max((_depth(child) for child in children), default=0))
    deepest = max((_depth(child) for child in children), default=0)
    return deepest + isinstance(node, _BLOCKS)


@cache
def source_files(*, with_tests: bool = False) -> tuple[Path, ...]:
    """Python files of the package."""
    found = sorted(PACKAGE.rglob("*.py"))
    return tuple(path for path in found if with_tests or "tests" not in path.relative_to(PACKAGE).parts)


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), filename=str(path))


@cache
def source_lines(place: str) -> list[str]:
    """Lines of a file given relative to the package."""
    return (PACKAGE / place).read_text().splitlines()


def name_of(path: Path) -> str:
    """A file's path within the package."""
    return str(path.relative_to(PACKAGE))


def functions_of(path: Path) -> Iterator[Function]:
    """Every function of a file, nested ones too."""
    yield from _functions(parsed(path), prefix="", place=name_of(path), is_class=False)


def _functions(node: ast.AST, *, prefix: str, place: str, is_class: bool) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            yield Function(f"{place}::{prefix}{child.name}", child, is_class)
            yield from _functions(child, prefix=f"{prefix}{child.name}.", place=place, is_class=False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, prefix=f"{prefix}{child.name}.", place=place, is_class=True)
        else:
            yield from _functions(child, prefix=prefix, place=place, is_class=is_class)


def classes_of(path: Path) -> Iterator[ast.ClassDef]:
    """Every class of a file."""
    yield from (node for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef))
