"""The same table with its targets dealt anew: what nothing can be learned from, unless something leaks."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity


def shuffled(dataset: Dataset, *, seed: int = 0) -> Dataset:
    """The dataset with targets exchanged between rows at random, the same for the same seed, and a finding that says so.

    What a pipeline scores above chance on it comes from having seen the rows that judge: in a preparation fitted outside of
    folds, or in any other way.
    """
    if dataset.task is None or dataset.target is None:
        return dataset
    order = np.random.default_rng([seed, 1]).permutation(dataset.n_samples)
    columns = dict(dataset.columns)
    if dataset.schema.target in columns:
        columns[dataset.schema.target] = columns[dataset.schema.target][order]
    told = Finding(
        code="shuffled-target",
        severity=Severity.SERIOUS,
        where=dataset.task.target,
        what="The targets were exchanged between rows at random, to see whether scores fall to chance.",
        action="The packed model is worthless by intent.",
    )
    key = hashlib.sha256(f"{dataset.fingerprint} shuffled {seed}".encode()).hexdigest()
    return replace(dataset, columns=columns, target=dataset.target[order], fingerprint=key, findings=(*dataset.findings, told))
