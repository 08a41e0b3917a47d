"""All that is looked for beside single columns, in one go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding
from cupel.core.form import Form
from cupel.core.labels import alone as only
from cupel.core.labels import is_several
from cupel.data.sentinel.encodings import find_encodings
from cupel.data.sentinel.future import find_future_columns
from cupel.data.sentinel.groups import find_groups
from cupel.data.sentinel.identifiers import find_telling_identifiers
from cupel.data.sentinel.pairs import find_pair_leaks
from cupel.data.sentinel.picture_files import find_telling_files
from cupel.data.sentinel.picture_groups import find_picture_groups
from cupel.data.sentinel.succession import find_succession_leaks
from cupel.data.skill import Bench

MIN_ROWS = 30
N_LABELS = 3


def find_hidden_leaks(dataset: Dataset, alone: Sequence[Finding]) -> list[Finding]:
    """Findings of every kind but single columns, which are in `alone` and not accused again, and near copies.

    Of several labels the three most frequent are looked at one by one.
    """
    if dataset.task is None or dataset.target is None or dataset.n_samples < MIN_ROWS or dataset.task.form is Form.MASKS:
        return []
    if is_several(dataset.task):
        frequent = np.argsort(-np.nansum(dataset.target, axis=0), kind="stable")[:N_LABELS].tolist()
        each = [find_hidden_leaks(only(dataset, label), alone) for label in frequent]
        return list({(finding.code, finding.where): finding for findings in each for finding in findings}.values())
    known = {name for finding in alone if "leak" in finding.code for name in finding.where.split(", ")}
    bench = Bench(dataset)
    encodings = [finding for finding in find_encodings(dataset) if finding.where not in known]
    known |= {finding.where for finding in encodings}
    future = find_future_columns(dataset, bench, known)
    known |= {finding.where for finding in future}
    found = [*encodings, *future, *find_pair_leaks(dataset, bench, known)]
    found += [*find_telling_identifiers(dataset, bench), *find_telling_files(dataset, bench)]
    found += [*find_groups(dataset), *find_picture_groups(dataset)]
    return [*found, *find_succession_leaks(dataset)]
