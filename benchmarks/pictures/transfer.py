"""What pretraining is worth: a network trained on some clothes, then few samples of something else, beside none.

    python -m benchmarks.pictures.transfer --data FOLDER --work FOLDER [--pretrain 300] [--seconds 60]

Fashion-MNIST has ten kinds of clothes. Five of them are pretrained on; few pictures of the other five, of handwritten digits
and of flowers in grey are what is to be learned then. Both sides get the same samples, the same seconds and the same cores;
pretraining is done once and is not counted, its seconds are stated. What is not among the samples judges. Goes on where it
stopped; the table goes to `transfer.md` in the work folder.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import cupel
from benchmarks.pictures.sets import SETS, archived, drawn, seen
from cupel.core.errors import CupelError

MOST_TO_JUDGE = 1500


def pretrained(arguments: argparse.Namespace) -> tuple[Path, float]:
    """The backbone, and the seconds that it took."""
    path, told = arguments.work / "clothes.safetensors", arguments.work / "pretraining.json"
    if not told.exists():
        started = time.monotonic()
        source = archived(arguments.work / "clothes.npz", *seen(arguments.data, n=arguments.pictures))
        settings = cupel.Settings(families=("linear", "airbench"), split="holdout", metric="accuracy")
        run = cupel.fit(source, time=arguments.pretrain, out=arguments.work / "pretraining", settings=settings)
        run.save_backbone(path, licence="mit")
        told.write_text(json.dumps({"seconds": time.monotonic() - started, "candidate": run.backbone.facts["candidate"]}))
    return path, float(json.loads(told.read_text())["seconds"])


def measured(arguments: argparse.Namespace, backbone: Path) -> Iterator[dict[str, object]]:
    """One line for each set, number of samples, draw and side."""
    for name in arguments.sets:
        pictures, labels = SETS[name](arguments.data)
        for n in arguments.samples:
            for draw in range(arguments.draws):
                rows, others = drawn(labels, n, seed=draw, most_to_judge=MOST_TO_JUDGE)
                source = archived(arguments.work / f"{name}-{n}-{draw}.npz", [pictures[row] for row in rows], labels[rows])
                for side in ("scratch", "transfer"):
                    backbones = (str(backbone),) if side == "transfer" else ()
                    line = {"set": name, "samples": n, "draw": draw, "side": side}
                    settings = cupel.Settings(backbones=backbones, metric="accuracy", prefer="best", seed=draw)
                    out = arguments.work / "runs" / f"{name}-{n}-{draw}-{side}"
                    yield line | judged(source, out, settings, seconds=arguments.seconds, truth=(pictures, labels, others))


def judged(
    source: Path, out: Path, settings: cupel.Settings, *, seconds: float, truth: tuple[list[np.ndarray], np.ndarray, np.ndarray]
) -> dict[str, object]:
    """Accuracy on the rows that judge, what was packed, and the seconds; kept beside the run."""
    told = out.parent / f"{out.name}.json"
    if told.exists():
        return dict(json.loads(told.read_text()))
    pictures, labels, others = truth
    started = time.monotonic()
    try:
        run = cupel.fit(source, time=seconds, out=out, settings=settings)
    except CupelError as error:
        return {"accuracy": None, "pick": str(error), "seconds": time.monotonic() - started}
    took = time.monotonic() - started
    said = np.asarray(run.predictor.predict({"picture": [pictures[row] for row in others]})).astype(str)
    accuracy = float((said == labels[others]).mean())
    found: dict[str, object] = {"accuracy": accuracy, "pick": run.facts["pick"]["name"], "seconds": took}
    told.write_text(json.dumps(found))
    return found


def table(lines: list[dict[str, object]], *, seconds: float, pretraining: float) -> str:
    """Markdown: mean accuracy and deviation over draws, and what was packed."""
    text = [
        "# Pretraining on five kinds of clothes, then few samples of something else\n",
        f"{seconds:g} s for each side; pretraining took {pretraining:.0f} s once. Accuracy on pictures that neither side saw.\n",
        "| set | samples | from scratch | from the backbone | gain, mean and deviation over draws | packed from the backbone |",
        "|---|---|---|---|---|---|",
    ]
    for name, n in dict.fromkeys((line["set"], line["samples"]) for line in lines):
        own = [line for line in lines if (line["set"], line["samples"]) == (name, n) and line["accuracy"] is not None]
        by_side = {side: {line["draw"]: line for line in own if line["side"] == side} for side in ("scratch", "transfer")}
        draws = sorted(by_side["scratch"].keys() & by_side["transfer"].keys())
        if not draws:
            continue
        scratch, transfer = (np.array([float(str(by_side[side][draw]["accuracy"])) for draw in draws]) for side in by_side)
        gain = transfer - scratch
        picks = ", ".join(sorted({str(by_side["transfer"][draw]["pick"]) for draw in draws}))
        spread = f" ± {gain.std(ddof=1):.3f}" if len(draws) > 1 else ""
        text.append(f"| {name} | {n} | {scratch.mean():.3f} | {transfer.mean():.3f} | {gain.mean():+.3f}{spread} | {picks} |")
    return "\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("--work", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--pretrain", type=float, default=300, help="seconds of pretraining")
    parser.add_argument("--pictures", type=int, default=20_000, help="pictures of pretraining")
    parser.add_argument("--seconds", type=float, default=60, help="seconds for each side")
    parser.add_argument("--samples", type=lambda text: [int(part) for part in text.split(",")], default=[50, 200])
    parser.add_argument("--sets", type=lambda text: text.split(","), default=["novel", "digits", "flowers"])
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    backbone, pretraining = pretrained(arguments)
    lines = []
    for line in measured(arguments, backbone):
        lines.append(line)
        print(json.dumps(line), flush=True)
    text = table(lines, seconds=arguments.seconds, pretraining=pretraining)
    (arguments.work / "transfer.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
