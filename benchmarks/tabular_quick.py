"""Runs `cupel fit` on the development tables and writes a table of what it found.

    python benchmarks/tabular_quick.py --data FOLDER [--effort quick] [--only adult,letter] [--out FILE.md]

Official or stratified 80/20 splits; the test part is seen by nobody until the artifact predicts it, in a process of its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars

from cupel import evaluation
from cupel.core import machine
from cupel.core.task import Task, TaskKind


@dataclass(frozen=True)
class Table:
    name: str
    train: str
    target: str
    test: str | None = None
    separator: str = ","
    last: int | None = None
    scale: float = 1.0
    drop: tuple[str, ...] = ()


TABLES = (
    Table("adult", "adult/train.csv.gz", "income", test="adult/test.csv.gz"),
    Table("telco_churn", "telco_churn/telco_churn.csv.gz", "Churn"),
    Table("titanic", "titanic/titanic.csv.gz", "Survived"),
    Table("german_credit", "german_credit/german_credit.csv.gz", "credit_risk"),
    Table("california_housing", "california_housing/housing.csv.gz", "median_house_value", scale=1e5),
    Table("diamonds", "diamonds/diamonds.csv.gz", "price"),
    Table("letter", "letter/letter.csv.gz", "letter", last=4000),
    Table("wine_quality", "wine_quality/winequality-white.csv.gz", "quality", separator=";"),
)


def divided(table: Table, data: Path) -> tuple[polars.DataFrame, polars.DataFrame]:
    read = {"separator": table.separator, "infer_schema": False}
    frame = polars.read_csv(data / table.train, **read)
    if table.test:
        return frame, polars.read_csv(data / table.test, **read)
    if table.last:
        return frame.head(-table.last), frame.tail(table.last)
    chosen = np.random.default_rng(0).permutation(len(frame))
    n_test = len(frame) // 5
    return frame[np.sort(chosen[n_test:])], frame[np.sort(chosen[:n_test])]


def judged(task: Task, truth: list[str], predicted: polars.DataFrame, scale: float) -> dict[str, float]:
    if not task.is_classification:
        target = np.array([float(value) for value in truth]) / scale
        values = predicted["prediction"].to_numpy().astype(float)[:, None] / scale
        return {name: evaluation.score(name, target, values) for name in ("rmse", "mae", "r2")}
    index = {label: position for position, label in enumerate(task.classes)}
    target = np.array([index[label] for label in truth])
    probabilities = predicted.select([f"probability_{label}" for label in task.classes]).to_numpy().astype(float)
    names = ["roc_auc", "accuracy", "log_loss"] if task.kind is TaskKind.BINARY else ["log_loss", "accuracy"]
    return {name: evaluation.score(name, target, probabilities) for name in names}


def single_scores(task: Task, run: Path, test: Path, truth: list[str], table: Table) -> dict[str, dict[str, float]]:
    """Test scores of each single candidate, from its units' own graphs: what a user would have got from it alone."""
    import onnxruntime

    from cupel.serving import Predictor

    predictor = Predictor.load(run / "model.cupel")
    feeds = predictor.feeds(test)
    records = [json.loads(line.partition(" ")[2]) for line in (run / "journal" / "journal.jsonl").read_text().splitlines()]
    scores = {}
    for record in records:
        if record["event"] != "finished":
            continue
        total = 0.0
        for key in record["units"]:
            session = onnxruntime.InferenceSession(str(run / "units" / key / "model.onnx"))
            names = {given.name for given in session.get_inputs()}
            total = total + session.run(None, {name: feeds[name] for name in names})[0] / len(record["units"])
        columns = (
            {"prediction": total[:, 0]}
            if not task.is_classification
            else {f"probability_{label}": total[:, position] for position, label in enumerate(task.classes)}
        )
        scores[record["candidate"]] = judged(task, truth, polars.DataFrame(columns), table.scale)
    return scores


def run_table(table: Table, arguments: argparse.Namespace) -> dict[str, object]:
    work = Path(arguments.work) / table.name
    work.mkdir(parents=True, exist_ok=True)
    train, test = divided(table, Path(arguments.data))
    train.write_csv(work / "train.csv")
    test.drop(table.target).write_csv(work / "test.csv")
    command = [sys.executable, "-m", "cupel.cli.main"]
    options = ["--target", table.target, "--effort", arguments.effort, "--out", str(work / "run"), "--progress", "plain"]
    options += ["--time", arguments.time] if arguments.time else []
    started = time.monotonic()
    subprocess.run([*command, "fit", str(work / "train.csv"), *options], check=True)
    seconds = time.monotonic() - started
    predictions = work / "predictions.csv"
    subprocess.run(
        [*command, "predict", str(work / "run" / "model.cupel"), str(work / "test.csv"), "-o", str(predictions)], check=True
    )
    facts = json.loads((work / "run" / "verdict.json").read_text())
    task = Task.from_json({**facts["task"], "target": table.target, "metric": facts["metric"]})
    truth = test[table.target].to_list()
    predicted = polars.read_csv(predictions, infer_schema_length=None)
    return {
        "table": table.name,
        "n_train": len(train),
        "metric": facts["metric"],
        "pick": facts["pick"]["name"],
        "estimate": facts["pick"]["score"],
        "test": judged(task, truth, predicted, table.scale),
        "singles": single_scores(task, work / "run", work / "test.csv", truth, table),
        "seconds": seconds,
        "latency_ms": facts["latency_ms"],
        "bytes": facts["bytes"],
        "scale": table.scale,
    }


def written_out(results: list[dict], arguments: argparse.Namespace) -> str:
    facts = machine.describe()
    lines = [
        f"# `cupel fit --effort {arguments.effort}` on {len(results)} tables",
        "",
        f"{datetime.date.today()}, {facts['processor']}, {facts['cores']} cores. Test parts: adult's official one, letter's last "
        'rows, else 20% drawn with seed 0. "Expected" is what the verdict says before the test part is opened.',
        "",
        "| table | rows | metric | expected (95% interval) | test | all on test | pick | seconds | one row, ms | MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *[_line(result) for result in results],
        "",
        "Single candidates on the same test parts:",
        "",
        "| table | candidate | scores |",
        "|---|---|---|",
    ]
    for result in results:
        for name, scores in result["singles"].items():
            lines.append(f"| {result['table']} | {name} | {_listed(scores)} |")
    return "\n".join(lines) + "\n"


def _line(result: dict) -> str:
    scale = result["scale"] if result["metric"] in ("rmse", "mae") else 1.0
    expected, low, high = (result["estimate"][name] / scale for name in ("estimate", "low", "high"))
    cells = (
        result["table"],
        result["n_train"],
        result["metric"],
        f"{expected:.4f} ({low:.4f} to {high:.4f})",
        f"{result['test'][result['metric']]:.4f}",
        _listed(result["test"]),
        result["pick"],
        f"{result['seconds']:.0f}",
        f"{result['latency_ms']['one']:.2f}",
        f"{result['bytes'] / 1e6:.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _listed(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", default="runs/benchmark")
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--time")
    parser.add_argument("--only", default="")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    chosen = [table for table in TABLES if not arguments.only or table.name in arguments.only.split(",")]
    results = []
    for table in chosen:
        results.append(run_table(table, arguments))
        text = written_out(results, arguments)
        print(text, flush=True)
        if arguments.out:
            Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
            Path(arguments.out).write_text(text)


if __name__ == "__main__":
    main()
