"""For all tests: shapes written in signatures are checked, and one test cannot slow the next by its threads."""

from __future__ import annotations

import os
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import config, install_import_hook

_SHAPES = re.compile(r"\b(Float|Float16|Float32|Float64|Int|Int32|Int64|Bool|Shaped|Num)\[")
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # without the tower, 1 is not a float


def _check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its arguments checked, where its signature speaks of shapes; else as it is."""
    annotations = getattr(function, "__annotations__", {}).values()
    return _checked(function) if any(_SHAPES.search(str(a)) for a in annotations) else function


# The hook wants the checker by its address, so it gets one.
_module = types.ModuleType("cupel_shape_checking")
_module.check_shapes = _check_shapes  # type: ignore[attr-defined]
sys.modules["cupel_shape_checking"] = _module
install_import_hook("cupel", "cupel_shape_checking.check_shapes")


@pytest.fixture(autouse=True)
def _shapes_are_checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Off for tests marked `wrong_shapes`: they ask what a user sees who gives one."""
    config.update("jaxtyping_disable", request.node.get_closest_marker("wrong_shapes") is not None)
    yield
    config.update("jaxtyping_disable", False)
