"""Who is compared: Cupel, and its peers, each in an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import TORCH, interpreter

PEERS = Path(__file__).parent / "peers"


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
        python = interpreter(work / "environments" / self.script.removesuffix("_peer"), self.packages)
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
