"""Few pictures: Cupel beside the classical bar, fastai and AutoKeras, all from scratch, in equal time.

    python -m benchmarks.pictures.samples --data FOLDER --work FOLDER [--seconds 60] [--only Cupel,fastai] [--out PAGE.md]

Every system gets the same archive, the same cores and the same seconds, and predicts pictures that it has not seen; the classical
bar is Cupel with linear models and boosted trees on its features of pictures alone. Goes on where it stopped: a cell is
a file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

import cupel
from benchmarks.environments import TORCH, ended, interpreter
from benchmarks.pictures.sets import SETS, archived, drawn
from cupel.core import machine
from cupel.core.errors import CupelError

PEERS = Path(__file__).parent / "peers"
MOST_TO_JUDGE = 2000
PATIENCE = 3.0
"""A peer is ended at so many times its budget, and counts as having failed."""
CLASSICAL = ("constant", "linear", "LightGBM")
TRUE_WHEN_MIRRORED = {"digits": False, "photos": True, "flowers": True, "fashion": True}


@dataclass(frozen=True)
class System:
    """Cupel with the families named, or all; with `script` a peer in an environment of `packages`."""

    name: str
    families: tuple[str, ...] = ()
    script: str = ""
    packages: tuple[str, ...] = ()


SYSTEMS = (
    System("Cupel"),
    System("classical bar", families=CLASSICAL),
    System("fastai", script="fastai_peer", packages=(TORCH, "torchvision==0.28.0", "fastai==2.8.12")),
    System(
        "AutoKeras",
        script="autokeras_peer",
        packages=(TORCH, "torchvision==0.28.0", "autokeras==3.0.0", "six==1.17.0", "keras==3.8.0"),
    ),
)


@dataclass(frozen=True)
class Draw:
    """Which pictures are learned from: `n` of a set, drawn with `seed`."""

    name: str
    n: int
    seed: int

    @property
    def folder(self) -> str:
        """Where it is kept."""
        return f"{self.name}-{self.n}-{self.seed}"


def judged(draw: Draw, system: System, *, data: Path, work: Path, seconds: float) -> dict[str, object]:
    """Accuracy on what the system had not seen, its seconds, and what it was; kept beside the run."""
    out = work / f"{seconds:g}" / draw.folder / system.name.replace(" ", "-")
    told = out / "told.json"
    if told.exists():
        return dict(json.loads(told.read_text()))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    pictures, labels = SETS[draw.name](data)
    rows, others = drawn(labels, draw.n, seed=draw.seed, most_to_judge=MOST_TO_JUDGE)
    source = archived(out / "train.npz", [pictures[row] for row in rows], labels[rows])
    unseen = np.stack([pictures[row] for row in others])
    facts = (
        _of_peer(system, draw, source, unseen, seconds=seconds, work=work)
        if system.script
        else _of_cupel(system, draw, source, unseen, seconds=seconds)
    )
    said = facts.pop("said", None)
    accuracy = None if said is None else float((np.asarray(said).astype(str) == labels[others]).mean())
    found = {"set": draw.name, "n": draw.n, "seed": draw.seed, "system": system.name, "accuracy": accuracy, **facts}
    told.write_text(json.dumps({**found, "machine": machine.describe()}))
    shutil.rmtree(out / "run", ignore_errors=True)
    shutil.rmtree(out / "trials", ignore_errors=True)
    return found


def _of_cupel(system: System, draw: Draw, source: Path, unseen: np.ndarray, *, seconds: float) -> dict[str, object]:
    started = time.monotonic()
    settings = cupel.Settings(families=system.families, metric="accuracy", prefer="best", seed=draw.seed)
    try:
        run = cupel.fit(source, time=seconds, out=source.parent / "run", settings=settings, progress="none")
    except CupelError as error:
        return {"note": str(error)[:200], "seconds": time.monotonic() - started}
    took = time.monotonic() - started
    return {"said": run.predictor.predict({"picture": list(unseen)}), "seconds": took, "note": run.facts["pick"]["name"]}


def _of_peer(system: System, draw: Draw, source: Path, unseen: np.ndarray, *, seconds: float, work: Path) -> dict[str, object]:
    out = source.parent
    np.savez(out / "test.npz", images=unseen)
    python = interpreter(work / "environments" / system.script.removesuffix("_peer"), system.packages)
    given = ["--train", str(source), "--test", str(out / "test.npz"), "--out", str(out), "--seconds", f"{seconds:g}"]
    mirrored = ["--mirrored"] if TRUE_WHEN_MIRRORED[draw.name] else []
    command = [str(python), str(PEERS / f"{system.script}.py"), *given, *mirrored]
    if failed := ended(command, out / "log.txt", seconds=PATIENCE * seconds + 60):
        return {"note": failed}
    return {"said": np.load(out / "predictions.npy"), **json.loads((out / "facts.json").read_text())}


def page(cells: list[dict[str, object]], *, seconds: float) -> str:
    """Mean accuracy of each system over draws, and by how much Cupel is ahead."""
    names = list(dict.fromkeys(str(cell["system"]) for cell in cells))
    lines = [
        "# Few pictures, equal time",
        "",
        f"`python -m benchmarks.pictures.samples --seconds {seconds:g}`: {seconds:g} s for each on {_machine()}, {date.today()};",
        f"mean accuracy over draws on up to {MOST_TO_JUDGE:,} pictures that no system saw, nothing pretrained. Behind it by",
        "how much Cupel's is higher, with the deviation of that over draws.",
        "",
        f"| set | pictures | {' | '.join(names)} | Cupel packed |",
        "|---" * (len(names) + 3) + "|",
    ]
    for name, n in dict.fromkeys((cell["set"], cell["n"]) for cell in cells):
        own = {
            system: {cell["seed"]: cell for cell in cells if (cell["set"], cell["n"], cell["system"]) == (name, n, system)}
            for system in names
        }
        shown = [_shown(own[system], own.get("Cupel", {}) if system != "Cupel" else {}) for system in names]
        packed = ", ".join(sorted({str(cell["note"]) for cell in own.get("Cupel", {}).values()}))
        lines.append(f"| {name} | {n:,} | {' | '.join(shown)} | {packed} |")
    failures = sorted({f"{cell['system']}: {cell.get('note', '')}" for cell in cells if cell["accuracy"] is None})
    most = [
        f"{name} {max(float(str(cell.get('seconds', 0))) for cell in cells if cell['system'] == name):.0f} s" for name in names
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"The longest fit took: {', '.join(most)}.",
            *(["", "Failed: " + "; ".join(failures)] if failures else []),
            "",
        ]
    )


def _machine() -> str:
    found = machine.describe()
    return f"{found['cores']} cores of an {found['processor']}"


def _shown(own: dict[object, dict[str, object]], cupels: dict[object, dict[str, object]]) -> str:
    scores = {seed: float(str(cell["accuracy"])) for seed, cell in own.items() if cell["accuracy"] is not None}
    if not scores:
        return "†"
    text = f"{np.mean(list(scores.values())):.3f}"
    gains = [
        float(str(cupels[seed]["accuracy"])) - score for seed, score in scores.items() if cupels.get(seed, {}).get("accuracy")
    ]
    if len(gains) < 2:
        return text
    return f"{text} ({np.mean(gains):+.3f} ± {np.std(gains, ddof=1):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("--work", type=Path, required=True, help="where cells and environments are kept")
    parser.add_argument("--seconds", type=float, default=60, help="for each system")
    parser.add_argument("--samples", type=lambda text: [int(part) for part in text.split(",")], default=[50, 200, 1000])
    parser.add_argument("--sets", type=lambda text: text.split(","), default=["digits", "photos", "fashion"])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[system.name for system in SYSTEMS])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if unknown := set(given.sets) - set(SETS):
        sys.exit(f"unknown sets {sorted(unknown)}; there are {', '.join(SETS)}")
    systems = [system for system in SYSTEMS if system.name in given.only]
    cells = []
    for seed, name, n, system in itertools.product(range(given.draws), given.sets, given.samples, systems):
        cells.append(judged(Draw(name, n, seed), system, data=given.data, work=given.work, seconds=given.seconds))
        print(json.dumps({key: value for key, value in cells[-1].items() if key != "machine"}), flush=True)
        if given.out:
            given.out.write_text(page(cells, seconds=given.seconds))
    print(page(cells, seconds=given.seconds))


if __name__ == "__main__":
    main()
