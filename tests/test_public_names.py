"""What may be imported: every listed name exists, and looking costs nothing."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cupel
from reading_sources import PACKAGE, ROOT, parsed, source_files

FOLDERS = [path.parent for path in source_files() if path.name == "__init__.py"]
HEAVY = ("torch", "sklearn", "scipy", "lightgbm", "onnx", "onnxruntime", "pandas", "polars", "rich", "yaml", "numpy", "PIL")


def folder_name(folder: Path) -> str:
    return str(folder.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("folder", FOLDERS, ids=folder_name)
def test_every_listed_name_exists(folder: Path) -> None:
    module = importlib.import_module(".".join(folder.relative_to(PACKAGE.parent).parts))
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None, f"{module.__name__} lists {name!r}, which does not exist"


@pytest.mark.parametrize("folder", FOLDERS, ids=folder_name)
def test_every_folder_says_in_two_sentences_what_it_is_for(folder: Path) -> None:
    docstring = ast.get_docstring(parsed(folder / "__init__.py"))
    assert docstring, f"{folder_name(folder)}/__init__.py has no docstring"
    assert len(docstring.splitlines()) <= 30


def test_a_folder_with_python_files_is_a_package() -> None:
    folders = {path.parent for path in source_files()}
    assert not [folder_name(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_importing_cupel_loads_no_library() -> None:
    code = f"import sys, cupel; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python("-c", code).strip() == "[]"


def test_the_runtime_loads_no_training_library_and_pictures_only_where_they_are() -> None:
    training = ("torch", "sklearn", "scipy", "lightgbm", "onnx", "pandas", "rich", "yaml", "PIL")
    code = f"import sys, cupel.serving; print([name for name in {training!r} if name in sys.modules])"
    assert run_python("-c", code).strip() == "[]"


def test_reading_the_data_waits_for_no_training_library() -> None:
    training = ("torch", "sklearn", "scipy", "lightgbm", "onnx")
    code = f"import sys, cupel.pipeline; print([name for name in {training!r} if name in sys.modules])"
    assert run_python("-c", code).strip() == "[]"


def test_looking_for_copies_needs_no_statistics_library() -> None:
    code = (
        "import sys, numpy; from cupel import data; x = numpy.random.default_rng(0).normal(size=(500, 4));"
        "x[250:, :3] = x[:250, :3] + 1e-6;"
        "dataset = data.read({f'x{k}': x[:, k] for k in range(4)}, target='x3'); "
        "assert data.near_copies(dataset) is not None; print('scipy.stats' in sys.modules)"
    )
    assert run_python("-c", code).strip() == "False"


def test_unknown_names_are_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = cupel.nonsense


def test_help_answers_at_once() -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        output = run_python("-m", "cupel.cli.main", "--help")
        seconds.append(time.perf_counter() - started)
        assert "cupel fit" in output
    bare = time.perf_counter()
    run_python("-c", "import argparse")
    assert min(seconds) < 0.3 + (time.perf_counter() - bare), f"cupel --help took {min(seconds):.2f} s"


def run_python(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
