"""What a run found, as the run folder holds it."""

from __future__ import annotations

import json
import math
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupel.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars

    from cupel.core.trunk import Trunk
    from cupel.refitting import Refit
    from cupel.serving import Predictor


class Run:
    """A finished run.

    ```python
    run = Run.open("runs/churn")
    print(run.verdict)
    run.predictor.predict({"age": [41], "income": [52000]})
    ```
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in a folder.

        Raises:
            DataError: no run has finished there.
        """
        path = Path(folder)
        if not (path / "verdict.json").exists():
            raise DataError(
                f"no run has finished in {path} (no verdict.json); run `cupel fit --out {path}`, or `cupel resume {path}`."
            )
        return cls(path)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The verdict as plain values: what `verdict.json` holds."""
        facts: dict[str, Any] = json.loads((self.folder / "verdict.json").read_text())
        return facts

    @property
    def verdict(self) -> str:
        """What won, by how much, how sure, at what cost, and what is wrong with the data; in words."""
        return str(self.facts["words"])

    @cached_property
    def leaderboard(self) -> polars.DataFrame:
        """Every candidate, also the failed ones and why; best first."""
        import polars

        return polars.read_csv(self.folder / "leaderboard.csv", infer_schema_length=None)

    @property
    def report(self) -> Path:
        """The report: one HTML file."""
        return self.folder / "report.html"

    @property
    def artifact(self) -> Path:
        """The packed predictor."""
        return self.folder / "model.cupel"

    @cached_property
    def predictor(self) -> Predictor:
        """The packed predictor, loaded."""
        from cupel.serving import Predictor

        return Predictor.load(self.artifact)

    def refit(
        self,
        source: Any,
        *,
        warm: bool = False,
        out: str | Path | None = None,
        pack: str = "better",
        time: str | float | None = None,
    ) -> Refit:
        """Train what was packed on the data of `source`, without a new search, and compare; see `cupel.refit`."""
        import cupel

        made: Refit = cupel.refit(self.folder, source, warm=warm, out=out, pack=pack, time=time)
        return made

    @cached_property
    def backbone(self) -> Trunk:
        """What makes features in the best network that was trained from scratch here; `save` writes it for `--backbone`.

        Of its folds' models the first.

        Raises:
            UsageError: no network whose features can be used was trained.
        """
        from cupel.core import registry
        from cupel.core.trunk import Trunk

        sign = -1.0 if self.facts["higher_is_better"] else 1.0
        for row in sorted(self.leaderboard.to_dicts(), key=lambda row: math.inf if row["score"] is None else sign * row["score"]):
            unit = self._first_unit(str(row["name"]))
            if unit is None:
                continue
            described = unit["described"]
            families = registry.modality_named(described["modality"]).families()
            prefixes = next((family.trunk for family in families if family.name == described["family"]), ())
            if prefixes:
                names = ("modality", "family", "config", "preparation")
                facts = {**{name: described[name] for name in names}, "inputs": unit["inputs"], "candidate": row["name"]}
                told = {"fingerprint": self.facts["fingerprint"], "metric": self.facts["metric"], "score": row["score"]}
                return Trunk.of(unit["weights"], prefixes, facts={**facts, **told})
        raise UsageError(
            f"no network in {self.folder} has features that another run can start from; expected a candidate that is trained "
            f"from scratch on pictures, such as Airbench. Run again with it among --families."
        )

    def save_backbone(self, path: str | Path, *, licence: str = "") -> Path:
        """The same as `run.backbone.save`."""
        return self.backbone.save(path, licence=licence)

    def _first_unit(self, candidate: str) -> dict[str, Any] | None:
        """What the run folder holds of a candidate's first fold, its weights included; None where it holds none."""
        from safetensors.numpy import load_file

        for path in sorted((self.folder / "units").glob("*/unit.json")):
            unit: dict[str, Any] = json.loads(path.read_text())
            is_wanted = unit.get("candidate") == candidate and unit.get("fold") == 0 and unit.get("share") == 1
            if is_wanted and (path.parent / "weights.safetensors").exists():
                return {**unit, "weights": load_file(path.parent / "weights.safetensors")}
        return None

    def save(self, path: str | Path) -> Path:
        """Copy the packed predictor to a file of that name; returns its path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        shutil.copyfile(self.artifact, temporary)
        temporary.replace(target)
        return target

    def __repr__(self) -> str:
        pick = self.facts["pick"]
        return f"Run({str(self.folder)!r}, pick={pick['name']!r}, {self.facts['metric']}={pick['score']['estimate']:.4g})"

    def _repr_html_(self) -> str:
        """The verdict and the leaderboard, for notebooks."""
        from html import escape

        table = self.leaderboard.head(12)._repr_html_()
        report = f'<p>Report: <a href="{escape(str(self.report))}">{escape(str(self.report))}</a></p>'
        return f"<pre>{escape(self.verdict)}</pre>{table}{report}"
