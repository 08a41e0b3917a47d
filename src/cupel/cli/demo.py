"""`cupel demo`: the whole of Cupel on a real table, or real pictures, in a minute or two, with nothing to download."""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
from pathlib import Path

from cupel.cli.demo_pictures import compare, make_pictures
from cupel.core.errors import CupelError, MissingDependencyError

TARGET = "diagnosis"
POSITIVE = "malignant"
N_HELD_BACK = 60
SEED = 0
Rows = list[dict[str, str]]

DAMAGE = (
    "every cell is text, as in any CSV; `mean area` and `worst area` are written like 1,001.0",
    "4 % of the measurements are left empty, 2 % say n/a",
    "`worst texture` is recorded as fine, medium or coarse instead of a number",
    "15 patients were entered twice",
    "`patient` numbers the rows, and `hospital` is the same everywhere",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("--out", metavar="FOLDER", default="demo", help="where tables and run go (default: demo)")
    parser.add_argument(
        "--time", metavar="TIME", default="5min", help="a cap on the search (default: 5min; two cores need less than two)"
    )
    parser.add_argument("--pictures", action="store_true", help="on a folder of pictures instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the data, fit, predict what was held back in a clean process, and compare with the truth."""
    return _pictures(arguments) if arguments.pictures else _table(arguments)


def _pictures(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.out)
    known, new, answers = make_pictures(folder)
    print(f"1 of 4  real pictures: handwritten digits (Alpaydin and Kaynak 1998), a folder for each in {known}")
    print(f"        {len(answers)} pictures are held back in {new}")
    print(f"\n2 of 4  finding, proving and packing a model:\n        cupel fit {known} --time 100s\n", flush=True)
    run_folder = folder / "run"
    shutil.rmtree(run_folder, ignore_errors=True)  # an earlier demonstration
    code = _verb("fit", str(known), "--time", "100s", "--out", str(run_folder))
    if code:
        return code
    predictions = folder / "predictions.csv"
    print("\n3 of 4  predicting the held-back pictures in a clean process: no training library is loaded", flush=True)
    code = _verb("predict", str(run_folder / "model.cupel"), str(new), "-o", str(predictions))
    if code:
        return code
    compare(predictions, answers)
    _say_what_next(folder, run_folder, example="PICTURES/", target="")
    return 0


def _table(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.out)
    table, new, truth = make_tables(folder)
    _explain(table, new)
    run_folder = folder / "run"
    if (run_folder / "run.yaml").exists():
        shutil.rmtree(run_folder)  # an earlier demonstration
    question = [str(table), "--target", TARGET, "--positive", POSITIVE, "--effort", "quick", "--time", arguments.time]
    code = _verb("fit", *question, "--out", str(run_folder))
    if code:
        return code
    predictions = folder / "predictions.csv"
    model = run_folder / "model.cupel"
    print("\n3 of 4  predicting the held-back patients in a clean process: no training library is loaded", flush=True)
    code = _verb("predict", str(model), str(new), "-o", str(predictions))
    if code:
        return code
    _compare(predictions, truth)
    _say_what_next(folder, run_folder, example="YOUR.csv", target=" --target COLUMN")
    return 0


def make_tables(folder: Path) -> tuple[Path, Path, list[str]]:
    """Write the table to learn from and the held-back rows without their answer; returns both paths and the answers.

    The data are the Breast Cancer Wisconsin (Diagnostic) table that comes with scikit-learn: 569 patients, 30 measurements
    of cell nuclei (Street, Wolberg and Mangasarian 1993). The damage is drawn from a fixed seed; the answers are untouched.
    """
    rows = _damaged_rows()
    held_back, known = rows[:N_HELD_BACK], rows[N_HELD_BACK:]
    known = known + known[100:115]
    folder.mkdir(parents=True, exist_ok=True)
    table, new = folder / "breast_cancer.csv", folder / "new_patients.csv"
    truth = [row.pop(TARGET) for row in held_back]
    _write(table, known)
    _write(new, held_back)
    return table, new, truth


def _damaged_rows() -> Rows:
    try:
        import numpy as np
        from sklearn.datasets import load_breast_cancer
    except ImportError as error:
        raise MissingDependencyError(
            'the demonstration fits models, and what that needs is not installed. Run: pip install "cupel[fit]"'
        ) from error
    bunch = load_breast_cancer()
    names = [str(name) for name in bunch.feature_names]
    generator = np.random.default_rng(SEED)
    cells = {name: [f"{value:g}" for value in bunch.data[:, k]] for k, name in enumerate(names)}
    for name in ("mean area", "worst area"):
        cells[name] = [f"{value:,.1f}" for value in bunch.data[:, names.index(name)]]
    texture = bunch.data[:, names.index("worst texture")]
    grades = np.array(["fine", "medium", "coarse"])[np.searchsorted(np.quantile(texture, [1 / 3, 2 / 3]), texture)]
    cells["worst texture"] = [str(grade) for grade in grades]
    for name in names:
        draw = generator.random(len(texture))
        cells[name] = ["" if d < 0.04 else "n/a" if d < 0.06 else cell for d, cell in zip(draw, cells[name], strict=True)]
    answers = [str(bunch.target_names[label]) for label in bunch.target]
    order = generator.permutation(len(answers))
    return [
        {
            "patient": f"P-{number:05d}",
            "hospital": "Wisconsin",
            **{name: cells[name][row] for name in names},
            TARGET: answers[row],
        }
        for number, row in enumerate(order, 10_001)
    ]


def _write(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _explain(table: Path, new: Path) -> None:
    print("1 of 4  a real table: is a breast tumour malignant? 569 patients, 30 measurements (Wisconsin, 1993)")
    print(f"        written to {table}, damaged as real tables are:")
    for fault in DAMAGE:
        print(f"          - {fault}")
    print(f"        {N_HELD_BACK} patients are held back in {new}, without their diagnosis")
    command = f"cupel fit {table} --target {TARGET} --positive {POSITIVE} --effort quick"
    print(f"\n2 of 4  finding, proving and packing a model:\n        {command}\n", flush=True)


def _verb(verb: str, *options: str) -> int:
    """Run a verb as a user would, in a process that sees no files of this folder as modules; returns its exit code."""
    return subprocess.run([sys.executable, "-P", "-m", "cupel.cli.main", verb, *options], check=False).returncode


def _compare(path: Path, truth: list[str]) -> None:
    with path.open(newline="", encoding="utf-8") as stream:
        predictions = list(csv.DictReader(stream))
    if len(predictions) != len(truth):
        raise CupelError(f"{path} has {len(predictions)} predictions for {len(truth)} patients; please report this as a fault.")
    right = sum(row["prediction"] == answer for row, answer in zip(predictions, truth, strict=True))
    print(f"\n        {'probability of malignant':<26}{'prediction':<14}truth")
    for row, answer in list(zip(predictions, truth, strict=True))[:6]:
        print(f"        {float(row[f'probability_{POSITIVE}']):<26.3f}{row['prediction']:<14}{answer}")
    print(f"        … {right} of {len(truth)} held-back patients are right; all are in {path}")


def _say_what_next(folder: Path, run_folder: Path, *, example: str, target: str) -> None:
    model = run_folder / "model.cupel"
    size = model.stat().st_size
    print("\n4 of 4  what there is now")
    print(f"        {run_folder / 'report.html'}   the proof, one page: open it in a browser")
    print(f"        {model}   the model, {size / 1e6:.2f} MB, runs on numpy and onnxruntime alone")
    print("\nnext, on data of your own:")
    for command, what in (
        (f"cupel look {example}{target}", "what is in it, and what is wrong with it"),
        (f"cupel fit {example}{target}", "find, prove and pack the best model"),
        (f"rm -r {folder}", "remove this demonstration"),
    ):
        print(f"        {command:<44}# {what}")
