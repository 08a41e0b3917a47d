"""What racing over folds saves and what it costs, replayed on what `benchmarks.portfolio measure` kept.

    python -m benchmarks.racing --work FOLDER --data FOLDER

Configurations come in the learned order; each is compared after its first fold with the best so far, by the rule that runs
use. Then the greedy ensemble of all is compared with the ensemble of those that were not dropped, on rows that no fold held.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.portfolio import MIN_MEASURED, Measured, folds_of, learned_order, measured_tables
from cupel import evaluation
from cupel.core.candidate import Candidate
from cupel.core.trial import Status, Trial
from cupel.tuning import Racing


def replay(table: Measured, order: list[str], *, n_folds: int = 3) -> tuple[float, float, float, float, list[str]]:
    """Seconds and scaled error without racing and with it, and who was dropped."""
    first_rows = folds_of_rows(table)
    racing = Racing(worse=lambda a, b, rows: _worse(table, a, b, rows), min_seconds=0.0)
    kept: list[str] = []
    dropped: list[str] = []
    seconds = 0.0
    best: tuple[float, str] | None = None
    for name in (name for name in order if name in table.predictions):
        cost = table.seconds[name]
        is_baseline = name.split("-")[0] in ("constant", "linear")
        if best is not None and not is_baseline and len(kept) > 3:
            seen = np.full_like(table.predictions[name][: table.n_fitted], np.nan)
            seen[first_rows] = table.predictions[name][first_rows]
            _, is_dropped = racing.chance_of_being_worse(_trial(seen), _trial(table.predictions[best[1]][: table.n_fitted]))
            if is_dropped:
                seconds += cost / n_folds
                dropped.append(name)
                continue
        seconds += cost
        kept.append(name)
        if not is_baseline:
            rows = np.arange(table.n_fitted)
            score = _score(table, table.predictions[name][rows], rows)
            best = max(best, (score, name)) if best else (score, name)
    everything = [name for name in order if name in table.predictions]
    return sum(table.seconds[name] for name in everything), seconds, table.error(everything), table.error(kept), dropped


def folds_of_rows(table: Measured) -> np.ndarray:
    """The rows that the first fold judged."""
    return np.sort(folds_of(table.n_rows, table.n_rows - table.n_fitted)[0].valid[: -(table.n_rows - table.n_fitted)])


def _trial(predictions: np.ndarray) -> Trial:
    candidate = Candidate(name="", modality="tabular", family="", config=None, preparation=None)
    return Trial(candidate=candidate, is_deep=False, is_baseline=False, status=Status.DONE, out_of_fold=predictions)


def _worse(table: Measured, first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> float:
    return evaluation.paired_difference(table.metric, table.target[rows], first, second, n_resamples=200).probability_worse


def _score(table: Measured, predictions: np.ndarray, rows: np.ndarray) -> float:
    raw = evaluation.score(table.metric, table.target[rows], predictions)
    return raw if table.metric == "roc_auc" else -raw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    tables = measured_tables(Path(arguments.work), Path(arguments.data), arguments.only)
    if len(tables) < MIN_MEASURED:
        raise SystemExit("too few tables were measured; run benchmarks.portfolio measure first")
    order = learned_order(tables)
    print("| table | seconds without racing | with | saved | scaled error without | with | dropped of those that raced |")
    print("|---|---|---|---|---|---|---|")
    totals = []
    for table in tables:
        all_seconds, seconds, error, raced_error, dropped = replay(table, order)
        totals.append((all_seconds, seconds, error, raced_error))
        saved = 1 - seconds / all_seconds
        print(
            f"| {table.name} | {all_seconds:.0f} | {seconds:.0f} | {saved:.0%} | {error:.3f} | {raced_error:.3f} "
            f"| {len(dropped)} of {len(order) - 4} |",
            flush=True,
        )
    a, b, c, d = np.array(totals).T
    print(f"| all | {a.sum():.0f} | {b.sum():.0f} | {1 - b.sum() / a.sum():.0%} | {c.mean():.3f} | {d.mean():.3f} | |")


if __name__ == "__main__":
    main()
