"""Families that train themselves, killed in the middle of a long training: what was done is kept, and the end is the same."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TRAINING = """
import sys
from pathlib import Path
import numpy as np
from cupel import execution, making
from cupel.core import keeping, registry
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.learners import lightgbm, segments
from cupel.problem import understand

keeping.SHORTEST_SECONDS = keeping.LONGEST_SECONDS = 0.0
segments.FEWEST_ROUNDS, segments.SECONDS_OF_A_SEGMENT = 20, 0.0
name, out = sys.argv[1], Path(sys.argv[2])
generator = np.random.default_rng(0)
x = generator.normal(size=(2000, 12))
y = np.where(x[:, 0] * x[:, 1] + x[:, 2] + generator.normal(size=2000) > 0, "yes", "no")
problem = understand({**{f"x{k}": x[:, k] for k in range(12)}, "y": y}, "y", settings=Settings(n_folds=2))
family = registry.family_named(problem.modality, name)
preset = family.portfolio(problem.task)[0]
own = {"learning_rate": 0.01, "max_rounds": 500, "patience": 100} if name == "LightGBM" else {"n_trees": 100, "max_leaves": 1024}
candidate = Candidate(name="it", modality="tabular", family=name, config=family.config(**own), preparation=preset.preparation)
with execution.RunFolder(out) as folder:
    maker = making.maker(making.handover(problem, units=folder.units.folder, kept_bytes=0), stopwatch=Stopwatch())
    runner = execution.Runner(dataset=problem.dataset, splits=problem.splits, folder=folder, executor=maker)
    print("begun", flush=True)
    trial = runner.run(candidate, family, deadline=Deadline(), progress=lambda fraction: None)
    assert trial.is_usable, trial.reason
print("done", flush=True)
"""


def begun(name: str, out: Path) -> "subprocess.Popen[str]":
    """A process that trains one candidate."""
    return subprocess.Popen([sys.executable, "-c", TRAINING, name, str(out)], stdout=subprocess.PIPE, text=True)


def killed_with_a_checkpoint(name: str, out: Path, *, n_saved: int) -> None:
    """Kill the process when it has written its n-th checkpoint."""
    with begun(name, out) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = set[int]()
        while len(seen) < n_saved and process.poll() is None:
            seen |= {path.stat().st_mtime_ns for path in out.glob("checkpoints/*-state")}
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)


def trained(name: str, out: Path) -> None:
    """Train to the end."""
    with begun(name, out) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline() == "done\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LightGBM", "ExtraTrees"])
def test_a_training_that_is_killed_goes_on_and_ends_bit_for_bit_the_same(name, tmp_path):
    trained(name, tmp_path / "left-alone")
    killed = tmp_path / "killed"
    killed_with_a_checkpoint(name, killed, n_saved=2)
    trained(name, killed)
    units = sorted(path.name for path in (tmp_path / "left-alone" / "units").iterdir())
    assert units == sorted(path.name for path in (killed / "units").iterdir())
    for unit in units:
        for file in ("model.onnx", "golden.npy", "curve.json"):
            assert (tmp_path / "left-alone" / "units" / unit / file).read_bytes() == (killed / "units" / unit / file).read_bytes()
        first, second = (np.load(run / "units" / unit / "predictions.npy") for run in (tmp_path / "left-alone", killed))
        assert np.array_equal(first, second)
    assert not list((killed / "checkpoints").iterdir())
