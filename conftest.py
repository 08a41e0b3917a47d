"""For all tests: shapes written in signatures are checked, and one test cannot slow the next by its threads."""

from __future__ import annotations

import ast
import os
import re
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import config, jaxtyped

_SHAPES = re.compile(r"\b(Float|Float16|Float32|Float64|Int|Int32|Int64|Bool|Shaped|Num)\[")
_CHECKER = "cupel_shape_checking"
_module = types.ModuleType(_CHECKER)
_module.check = jaxtyped(typechecker=beartype(conf=BeartypeConf(is_pep484_tower=True)))  # type: ignore[attr-defined]  # without the tower, 1 is not a float
sys.modules[_CHECKER] = _module


class _Decorate(ast.NodeTransformer):
    """Functions whose signature speaks of shapes are checked; jaxtyping's own hook wraps all, which doubles the tests' time."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if _SHAPES.search(ast.unparse(node.args)) or (node.returns and _SHAPES.search(ast.unparse(node.returns))):
            check = ast.parse(f"__import__({_CHECKER!r}).check", mode="eval").body
            node.decorator_list.append(check)
        return node  # functions inside of it stay as they are


class _Loader(SourceFileLoader):
    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:  # type: ignore[override]
        tree = _Decorate().visit(ast.parse(data, path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True, optimize=_optimize)

    def get_code(self, fullname: str) -> Any:
        """Compiled anew: what is cached is not checked."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] != "cupel" or ".tests" in name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, _Finder())


@pytest.fixture(autouse=True)
def _shapes_are_checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Off for tests marked `wrong_shapes`: they ask what a user sees who gives one."""
    config.update("jaxtyping_disable", request.node.get_closest_marker("wrong_shapes") is not None)
    yield
    config.update("jaxtyping_disable", False)
