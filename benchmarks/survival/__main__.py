"""`python -m benchmarks.survival`: runs killed at random moments and resumed, compared with one that was left alone.

    python -m benchmarks.survival --work chaos --runs 100

Each run is killed (SIGKILL, to a random process of it) one to five times at random moments and gone on with. It must end, lose no
finished unit, and give the leaderboard, predictions and artifact of the run that was left alone. What is done is not done again:
the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.survival.chaos import Question, disturbed, left_alone, written_table


def main() -> int:
    """Run, compare, report; 1 where a run did not survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("chaos"), help="folder for tables, runs and results")
    parser.add_argument("--runs", type=int, default=100, metavar="N")
    parser.add_argument("--rows", type=int, default=4000, help="of the table that is made: more rows, longer runs")
    parser.add_argument("--families", default="linear,LightGBM,MLP")
    parser.add_argument("--most-kills", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="keep the folders of runs that survived")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    question = Question(table=written_table(given.work, n_rows=given.rows), families=given.families)
    reference = left_alone(question, given.work)
    results = given.work / "results.jsonl"
    done = {json.loads(line)["seed"] for line in results.read_text().splitlines()} if results.exists() else set()
    for seed in range(given.runs):
        if seed not in done:
            out, most = given.work / f"run-{seed}", given.most_kills
            found = disturbed(question, reference, out, seed=seed, most_kills=most, keep=given.keep)
            with results.open("a") as stream:
                stream.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)
    return report(results)


def report(results: Path) -> int:
    """One line for people; says whether all survived."""
    found = [json.loads(line) for line in results.read_text().splitlines()]
    survived = [each for each in found if not each["faults"]]
    kills = sum(len(each["kills"]) for each in found)
    workers = sum(kill["of"] == "worker" for each in found for kill in each["kills"])
    print(
        f"{len(survived)} of {len(found)} runs survived {kills} kills ({workers} of workers) with the same result; "
        f"{sum(each['n_lost'] for each in found)} finished units were lost"
    )
    return 0 if len(survived) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
