"""What a run found, as the run folder holds it."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupel.core.errors import DataError, UsageError
from cupel.core.storage import write_bytes
from cupel.core.untrusted import parsed_json, read_bytes

if TYPE_CHECKING:
    import polars

    from cupel.core.limits import Limits
    from cupel.core.trunk import Trunk
    from cupel.refitting import Refit
    from cupel.serving import Predictor

MOST_BYTES = {"verdict.json": 16 << 20, "leaderboard.csv": 16 << 20, "model.cupel": 8 << 30, "unit.json": 16 << 20}
MOST_COLUMNS = 200
REQUIRED = {"words": str, "metric": str, "higher_is_better": bool, "fingerprint": str, "pick": dict}
MODEL = "model_sha256"
"""What `verdict.json` says of the model that it tells of."""
DESCRIBED = ("modality", "family", "config", "preparation")


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
        """The verdict as plain values: what `verdict.json` holds.

        Raises:
            DataError: it cannot be read, or tells of another model than the one that is there.
        """
        try:
            facts = parsed_json(self._content("verdict.json"))
        except ValueError as error:
            raise _damaged(self.folder / "verdict.json", error) from error
        if not isinstance(facts, dict) or any(not isinstance(facts.get(name), kind) for name, kind in REQUIRED.items()):
            raise _damaged(self.folder / "verdict.json", "it is no verdict")
        if MODEL in facts and self.artifact.exists() and facts[MODEL] != self.digest:
            raise DataError(
                f"{self.folder / 'verdict.json'} tells of another model than model.cupel: a process was ended when it had "
                f"written only one of them. `cupel resume {self.folder}` writes both anew."
            )
        return facts

    @property
    def digest(self) -> str:
        """The sha256 of the packed predictor.

        Raises:
            DataError: it cannot be read.
        """
        return hashlib.sha256(self._content("model.cupel")).hexdigest()

    @property
    def verdict(self) -> str:
        """What won, by how much, how sure, at what cost, and what is wrong with the data; in words."""
        return str(self.facts["words"])

    @cached_property
    def leaderboard(self) -> polars.DataFrame:
        """Every candidate, also the failed ones and why; best first.

        Raises:
            DataError: it cannot be read.
        """
        import polars

        path, content = self.folder / "leaderboard.csv", self._content("leaderboard.csv")
        try:
            header = next(csv.reader(io.StringIO(content.decode(), newline="")), [])
            if len(header) > MOST_COLUMNS:  # each takes memory of its own
                raise ValueError(f"it has {len(header):,} columns")
            board = polars.read_csv(content, infer_schema_length=None)
        except (ValueError, csv.Error, polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
            raise _damaged(path, error) from error
        if "name" not in board or "score" not in board or not (board["score"].dtype.is_numeric() or _is_empty(board["score"])):
            raise _damaged(path, "it has no names and scores of candidates")
        return board

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
        limits: Limits | None = None,
    ) -> Refit:
        """Train what was packed on the data of `source`, without a new search, and compare; see `cupel.refit`."""
        import cupel
        from cupel.core.budget import seconds_in
        from cupel.core.limits import Limits

        limits = (limits or Limits()).for_time(seconds_in(time))
        made: Refit = cupel.refit(self.folder, source, warm=warm, out=out, pack=pack, limits=limits)
        return made

    @cached_property
    def backbone(self) -> Trunk:
        """What makes features in the best network that was trained from scratch here; `save` writes it for `--backbone`.

        Of its folds' models the first.

        Raises:
            DataError: the verdict or the leaderboard cannot be read.
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
                facts = {**{name: described[name] for name in DESCRIBED}, "inputs": unit["inputs"], "candidate": row["name"]}
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
        """What the run folder holds of a candidate's first fold, its weights included; None where it holds none that is whole."""
        from cupel.execution import UnitStore

        store = UnitStore(self.folder / "units")
        for path in sorted(store.folder.glob("*/unit.json")):
            unit = {} if path.parent.is_symlink() else _unit(path)
            is_wanted = unit.get("candidate") == candidate and unit.get("fold") == 0 and unit.get("share") == 1
            if is_wanted and (weights := store.weights(path.parent.name)):
                return {**unit, "weights": weights}
        return None

    def save(self, path: str | Path) -> Path:
        """Copy the packed predictor to a file of that name; returns its path.

        Raises:
            DataError: it cannot be read.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, self._content("model.cupel"))
        return target

    def _content(self, name: str) -> bytes:
        """A file of the folder, which a stranger may have made."""
        try:
            return read_bytes(self.folder / name, most_bytes=MOST_BYTES[name])
        except (OSError, ValueError) as error:
            raise _damaged(self.folder / name, error) from error

    def __repr__(self) -> str:
        pick = self.facts["pick"]
        score = pick.get("score")
        estimate = score.get("estimate") if isinstance(score, dict) else None
        shown = f"{estimate:.4g}" if isinstance(estimate, int | float) else "unknown"
        return f"Run({str(self.folder)!r}, pick={pick.get('name')!r}, {self.facts['metric']}={shown})"

    def _repr_html_(self) -> str:
        """The verdict and the leaderboard, for notebooks."""
        from html import escape

        table = self.leaderboard.head(12)._repr_html_()
        report = f'<p>Report: <a href="{escape(str(self.report))}">{escape(str(self.report))}</a></p>'
        return f"<pre>{escape(self.verdict)}</pre>{table}{report}"


def _unit(path: Path) -> dict[str, Any]:
    """What stands in a `unit.json`; nothing where it is damaged."""
    try:
        unit = parsed_json(read_bytes(path, most_bytes=MOST_BYTES["unit.json"]))
    except (OSError, ValueError):
        return {}
    described = unit.get("described") if isinstance(unit, dict) else None
    is_sound = isinstance(described, dict) and set(DESCRIBED) <= set(described) and "inputs" in unit
    return dict(unit) if is_sound else {}


def _is_empty(cells: polars.Series) -> bool:
    return cells.null_count() == len(cells)


def _damaged(path: Path, why: object) -> DataError:
    return DataError(
        f"{path} cannot be read ({' '.join(str(why).split())[:200]}); `cupel resume {path.parent}` writes it anew from what the "
        f"run found."
    )
