"""Who is compared: Cupel, and its peers, each in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
TORCH = next(line.strip() for line in Path("constraints.txt").read_text().splitlines() if line.startswith("torch=="))


@dataclass(frozen=True)
class System:
    """A system. Without `script` it is Cupel, called with `options`; else the peer's script, in an environment of `packages`.

    `keeps_time` says whether it can be told how long it may take.
    """

    name: str
    options: tuple[str, ...] = ()
    script: str = ""
    packages: tuple[str, ...] = ()
    option: str = ""
    keeps_time: bool = True

    def command(self, work: Path, *, given: Sequence[str]) -> list[str]:
        """How a peer is run, its environment made on first use."""
        python = _environment(work / "environments" / self.script.removesuffix("_peer"), self.packages)
        option = ["--option", self.option] if self.option else []
        return [str(python), str(PEERS / f"{self.script}.py"), *given, *option]


DEEP = "RealMLP,ModernNCA,TabM,MLP,DCNv2,ResNet,FT-Transformer"
BEST = ("--prefer", "best")  # peers pack what scores best, not the cheapest of those that cannot be told apart from it
LIGHTGBM = ("lightgbm==4.7.0", "optuna==5.0.0", "scikit-learn==1.9.1", "pandas==2.3.3")
PYTABKIT = (TORCH, "pytabkit[models]==1.7.3")

SYSTEMS = (
    System("cupel", options=BEST),
    System("cupel, cheapest of the tied"),
    System("cupel, deep only", options=("--families", DEEP, *BEST)),
    System("AutoGluon best_quality", script="autogluon_peer", packages=(TORCH, "autogluon.tabular[all]==1.6.3")),
    System("LightGBM default", script="lightgbm_peer", packages=LIGHTGBM, option="default", keeps_time=False),
    System("LightGBM + Optuna", script="lightgbm_peer", packages=LIGHTGBM),
    System("FLAML", script="flaml_peer", packages=("flaml[automl]==2.7.0",)),
    System("mljar Compete", script="mljar_peer", packages=("mljar-supervised==1.3.2",)),
    System("pytabkit RealMLP", script="pytabkit_peer", packages=PYTABKIT, option="RealMLP_TD", keeps_time=False),
    System("pytabkit TabM", script="pytabkit_peer", packages=PYTABKIT, option="TabM_D", keeps_time=False),
)


def systems_named(names: str) -> list[System]:
    """The systems of a semicolon-separated list; all where it is empty."""
    wanted = [name.strip() for name in names.split(";") if name.strip()]
    unknown = set(wanted) - {system.name for system in SYSTEMS}
    if unknown:
        raise SystemExit(f"unknown systems {sorted(unknown)}; there are {'; '.join(system.name for system in SYSTEMS)}")
    return [system for system in SYSTEMS if not wanted or system.name in wanted]


def _environment(folder: Path, packages: Sequence[str]) -> Path:
    """The interpreter of an environment that holds these packages; made where it is not there."""
    python = folder / "bin" / "python"
    done = folder / "packages.txt"
    if done.exists() and done.read_text().split("\n") == list(packages):
        return python
    print(f"   making {folder} with {', '.join(packages)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    for package in packages:  # torch alone and first: resolved with others it would be a build for GPUs
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-input", package], check=True)
    done.write_text("\n".join(packages))
    return python
