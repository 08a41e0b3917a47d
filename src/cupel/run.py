"""What a run found, as the run folder holds it."""

from __future__ import annotations

import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupel.core.errors import DataError

if TYPE_CHECKING:
    import polars

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
