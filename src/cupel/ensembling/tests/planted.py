"""Candidates whose skill is known, for every kind of task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.candidate import Candidate
from cupel.core.form import Form, sigmoid
from cupel.core.trial import Status, Trial
from cupel.ensembling import Evidence

Array = NDArray[Any]
N_CLASSES = {"binary": 2, "multiclass": 4, "multilabel": 3, "regression": 1}
FORMS = {"regression": Form.VALUES, "multilabel": Form.LABELS}
KINDS = tuple(N_CLASSES)


def evidence_of(
    kind: str, *, n: int = 400, noises: tuple[float, ...] = (1.0, 1.1, 1.2, 1.5), seed: int = 0, signal: float = 1.0
) -> Evidence:
    """Candidates that know the truth up to independent noise; with `signal` 0 they know nothing."""
    generator = np.random.default_rng(seed)
    n_outputs = N_CLASSES[kind]
    if kind == "regression":
        target = generator.normal(size=n) * 10 + 50
        truth = target[:, None]
        seen = [signal * (truth - 50) + 10 * noise * generator.normal(size=(n, 1)) for noise in noises]
        predictions = [50 + one / (1 + noise**2) for one, noise in zip(seen, noises, strict=True)]
    elif kind == "multilabel":
        target = (generator.random((n, n_outputs)) < 0.4).astype(np.float64)
        truth = signal * 3.0 * (target - 0.5)
        predictions = [sigmoid(truth + noise * 1.5 * generator.normal(size=(n, n_outputs))) for noise in noises]
        target[generator.random((n, n_outputs)) < 0.1] = np.nan
    else:
        target = generator.integers(0, n_outputs, n)
        truth = signal * 2.0 * np.eye(n_outputs)[target]
        predictions = [softmax(truth + noise * 1.5 * generator.normal(size=(n, n_outputs))) for noise in noises]

    def score(prediction: Array, rows: Array) -> float:
        if kind == "regression":
            return -float(np.mean((prediction[:, 0] - target[rows]) ** 2))
        if kind == "multilabel":
            return -Form.LABELS.loss(np.clip(prediction, 1e-9, 1 - 1e-9), target[rows])
        return float(np.log(np.maximum(prediction[np.arange(len(rows)), target[rows]], 1e-9)).mean())

    return Evidence(
        predictions=predictions,
        score=score,
        target=target,
        parts=np.arange(n) % 5,
        form=FORMS.get(kind, Form.CLASSES),
    )


def softmax(numbers: Array) -> Array:
    exponentials = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def trial(name: str, predictions: Array | None) -> Trial:
    candidate = Candidate(name=name, modality="m", family="f", config=None, preparation=None)
    status = Status.FAILED if predictions is None else Status.DONE
    return Trial(candidate=candidate, is_deep=False, is_baseline=False, status=status, out_of_fold=predictions)


def trials_of(evidence: Evidence) -> list[Trial]:
    return [trial(f"candidate-{number}", predictions) for number, predictions in enumerate(evidence.predictions)]
