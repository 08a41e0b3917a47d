"""What was tried, written so that Optuna and its dashboard can read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cupel.tuning.proposal import Tried
from cupel.tuning.samplers import frozen
from cupel.tuning.strategies import Ground


def write_study(path: Path, tried: Sequence[Tried], *, ground: Ground) -> None:
    """An Optuna journal file with a study for every family that has a space; replaces what stands there.

    Scores are as the search saw them: larger is better. Presets of the portfolio that lie outside of the space are left out.
    `optuna-dashboard PATH` shows it.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.unlink(missing_ok=True)
    storage = JournalStorage(JournalFileBackend(str(path)))
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
