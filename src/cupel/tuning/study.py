"""What was tried, written so that Optuna and its dashboard can read it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cupel.core.storage import write_bytes
from cupel.tuning.proposal import Tried
from cupel.tuning.samplers import frozen
from cupel.tuning.strategies import Ground

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def write_study(path: Path, tried: Sequence[Tried], *, ground: Ground) -> None:
    """An Optuna journal file with a study for every family that has a space; replaces what stands there.

    Scores are as the search saw them: larger is better. Presets of the portfolio that lie outside of the space are left out.
    `optuna-dashboard PATH` shows it.

    Raises:
        OSError: it cannot be written.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="cupel-study-") as scratch:  # its lock, left behind, would stop the next for ever
        written = Path(scratch) / path.name
        _write(JournalStorage(JournalFileBackend(str(written))), tried, ground=ground)
        write_bytes(path, written.read_bytes())


def _write(storage: BaseStorage, tried: Sequence[Tried], *, ground: Ground) -> None:
    import optuna

    for family in ground.fitting:
        full = [each for each in tried if each.proposal.family.name == family.name and not each.proposal.is_screening]
        space = ground.space(family)
        if not full or not space.dimensions:
            continue
        study = optuna.create_study(storage=storage, study_name=family.name, direction="maximize")
        for each in full:
            trial = frozen(space, each.preset, score=each.score)
            if trial is not None:
                trial.user_attrs = {"candidate": each.proposal.candidate.name, "status": each.trial.status.value}
                study.add_trial(trial)
