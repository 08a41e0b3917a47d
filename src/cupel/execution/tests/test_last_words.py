"""What is quoted of a worker that crashed was printed for the work it crashed at."""

from __future__ import annotations

import tempfile
from types import SimpleNamespace
from typing import Any

import pytest

from cupel.core.errors import TrainingError
from cupel.execution.watched import Watched
from cupel.execution.worker import Worker


class Crashing:
    """A channel whose other side prints something and is gone."""

    def __init__(self, words: Any) -> None:
        self._words = words

    def send(self, _: Any) -> None:
        self._words.write(b"Segmentation\n fault\n")
        self._words.flush()

    def receive(self, **_: Any) -> None:
        raise EOFError


def test_what_earlier_candidates_printed_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    worker: Any = object.__new__(Worker)
    worker._words = tempfile.TemporaryFile()  # noqa: SIM115 as long as the worker
    worker._words.write(b"LightGBM warns of nothing\n")
    worker._words.flush()
    worker.channel, worker.process = Crashing(worker._words), SimpleNamespace(poll=lambda: -11)
    worker.ended = lambda: -11
    watched = object.__new__(Watched)
    monkeypatch.setattr(watched, "_give_up", lambda: None)
    vigil: Any = SimpleNamespace(look=lambda _: None)
    with pytest.raises(TrainingError) as crashed:
        watched._answer(worker, {"do": "make"}, vigil=vigil)
    assert str(crashed.value).endswith("its last words: Segmentation fault")
    worker._words.close()
