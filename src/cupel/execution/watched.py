"""Makes units in a worker process and watches it: what hangs, crashes or takes too much is ended, told and replaced."""

from __future__ import annotations

import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cupel.core import processes
from cupel.core.budget import Deadline
from cupel.core.errors import CupelError, OutOfMemoryError, PassingError, StorageError, TrainingError, tells_of_no_memory
from cupel.core.stopwatch import Stopwatch
from cupel.core.storage import storage_error
from cupel.core.trial import UnitResult
from cupel.execution.assignment import FAULT_OF_A_FAMILY, Assignment
from cupel.execution.handover import Handover
from cupel.execution.units import UnitStore
from cupel.execution.vigil import Vigil
from cupel.execution.worker import Worker, dismissed, hired

MOST_REPEATS = 5
"""So often in a row a worker may be ended by a stranger before its candidate is given up."""
SECONDS_BETWEEN_LOOKS = 0.25


class LostWorkerError(CupelError):
    """A worker was ended by nobody's fault: what it was doing is done again."""


class Watched:
    """An executor whose work is done by a worker process, the same to the last bit as in this one.

    One candidate at a time; `SideBySide` has several of these. Work begun while `cores` are named is done on these alone.
    `log` keeps what happened to workers; `is_to_end` is asked again and again whether all work should be given up. This process
    and the worker may hold `memory_bytes` together: the worker is refused more, and where that does not help, ended.

    Raises:
        StorageError: in the folder for the worker's data there is something that cannot be removed.
    """

    cores: Sequence[int] | None = None

    def __init__(
        self,
        given: Handover,
        folder: Path,
        *,
        stopwatch: Stopwatch,
        log: Callable[..., None],
        memory_bytes: float = math.inf,
        is_to_end: Callable[[], bool] = lambda: False,
    ) -> None:
        _demand_gone(folder)  # of a process that was killed, or whatever a stranger left there
        self._given = given
        self._folder, self.stopwatch, self._log, self._is_to_end = folder, stopwatch, log, is_to_end
        self._memory_bytes = memory_bytes
        self._units = UnitStore(Path(given.facts["units"]))
        self._worker: Worker | None = None
        self._is_handed_over = False

    def execute(self, assignment: Assignment, *, deadline: Deadline, progress: Callable[[float], None]) -> Sequence[UnitResult]:
        """The units, read from the run folder."""
        with self.stopwatch.stage("training"):
            self._hand_over()
            order: dict[str, Any] = {"do": "make", "assignment": assignment.to_plain(), "starts": self._written(assignment)}
            order["cores"] = self._own_cores
            answer = self._done(assignment, order, deadline, progress)
        self.stopwatch.divide("training", answer["seconds_by_stage"])
        return [self._units.read(key) for key in answer["units"]]

    def close(self) -> None:
        """Let the worker wait for another run, and remove what was handed to it."""
        if self._worker is not None:
            dismissed(self._worker)
            self._worker = None
        self._take_back()

    def finish(
        self, assignment: Assignment, folder: Path, *, deadline: Deadline, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """The final fit on all rows, made by the worker."""
        self._hand_over()
        order: dict[str, Any] = {"do": "finish", "assignment": assignment.to_plain(), "folder": str(folder.absolute())}
        order["cores"] = self._own_cores
        done: dict[str, Any] = self._done(assignment, order, deadline, progress)["facts"]
        return done

    @property
    def _own_cores(self) -> list[int]:
        return sorted(os.sched_getaffinity(0)) if self.cores is None else list(self.cores)

    def _hand_over(self) -> None:
        """Write what a worker needs, once there is work: a run that has only to be concluded takes no more of the disk.

        Raises:
            StorageError: it cannot be written.
        """
        if self._is_handed_over and self._folder.exists():
            return
        self._is_handed_over = False
        try:
            self._given.write(self._folder)
            self._is_handed_over = True
        except OSError as error:
            raise storage_error(error, self._folder.parent) from error
        finally:
            if not self._is_handed_over:
                self._take_back()

    def _take_back(self) -> None:
        """What is written in part must not be taken for all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._is_handed_over = False

    def _done(
        self,
        assignment: Assignment,
        order: dict[str, Any],
        deadline: Deadline,
        progress: Callable[[float], None],
    ) -> dict[str, Any]:
        """The answer to an order; it is given again, to another worker, where one is ended by nobody's fault."""
        for _ in range(MOST_REPEATS):
            try:
                worker = self._settled()
                return self._obeyed(worker, order, assignment=assignment, deadline=deadline, progress=progress)
            except LostWorkerError as error:
                self._log("worker lost", candidate=assignment.candidate.name, reason=str(error))
        raise PassingError(
            f"its worker process was ended from outside {MOST_REPEATS} times in a row; see who ends processes on this machine."
        )

    def _obeyed(
        self,
        worker: Worker,
        order: dict[str, Any],
        *,
        assignment: Assignment,
        deadline: Deadline,
        progress: Callable[[float], None],
    ) -> dict[str, Any]:
        """The answer to an order that has its time.

        Raises: what the worker says was wrong.
        """
        order = {**order, "seconds": None if deadline.remaining == float("inf") else deadline.remaining}
        vigil = self._vigil(worker, deadline, patience_seconds=assignment.patience_seconds)
        answer = self._answer(worker, order, vigil=vigil, progress=progress)
        if answer["is"] != "failed":
            return answer
        match answer["why"]:
            case "memory":
                self._give_up()  # what it holds goes back to the machine
                raise OutOfMemoryError(answer["reason"])
            case "storage":
                raise StorageError(answer["reason"])
            case "passing":
                raise PassingError(answer["reason"])
            case _:
                raise TrainingError(answer["reason"])

    def _written(self, assignment: Assignment) -> list[str]:
        """Files of the weights that the units start from; none where they start from scratch."""
        if not any(assignment.starts):
            return []
        from safetensors.numpy import save_file

        paths = [str((self._folder / f"start-{place}.safetensors").absolute()) for place in range(len(assignment.starts))]
        for path, weights in zip(paths, assignment.starts, strict=True):
            save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, path)
        return paths

    def _vigil(self, worker: Worker, deadline: Deadline, *, patience_seconds: float = math.inf) -> Vigil:
        return Vigil(
            worker,
            deadline=deadline,
            is_to_end=self._is_to_end,
            memory_bytes=self._memory_bytes,
            patience_seconds=patience_seconds,
        )

    def _settled(self) -> Worker:
        """A worker that has this run's data."""
        worker = self._worker = self._worker or hired()
        if not worker.is_alive:
            self._give_up()
            worker = self._worker = hired()
        if worker.settled != self._folder:
            order: dict[str, object] = {
                "do": "settle",
                "folder": str(self._folder.absolute()),
                "cores": sorted(os.sched_getaffinity(0)),
            }
            if math.isfinite(self._memory_bytes):
                order["memory_bytes"] = max(0, int(self._memory_bytes - processes.memory_bytes(os.getpid())))
            answer = self._answer(worker, order, vigil=self._vigil(worker, Deadline()))
            if answer["is"] == "failed":
                raise CupelError(f"the worker process could not take the run over: {answer['reason']}")
            worker.settled = self._folder
        return worker

    def _answer(
        self, worker: Worker, order: dict[str, Any], *, vigil: Vigil, progress: Callable[[float], None] = lambda _: None
    ) -> dict[str, Any]:
        """What the worker says in the end; one that says nothing any more is ended."""
        since = worker.n_printed_bytes
        try:
            with self._end_explained(worker, since):
                worker.channel.send(order)
            while True:
                with self._end_explained(worker, since):
                    message = worker.channel.receive(timeout_seconds=SECONDS_BETWEEN_LOOKS)
                vigil.look(message)
                if message is None:
                    continue
                if message["is"] == "progress":
                    progress(message["fraction"])
                elif message["is"] in ("made", "settled", "failed"):
                    return message
        except BaseException:
            self._give_up()
            raise

    @contextmanager
    def _end_explained(self, worker: Worker, since: int) -> Iterator[None]:
        """Around what is said to a worker, and heard of it, and nothing else: what others raise is no end of it."""
        try:
            yield
        except (EOFError, BrokenPipeError) as error:
            raise self._explained(worker, since) from error

    def _give_up(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _explained(self, worker: Worker, since: int) -> CupelError:
        """Why a worker ended by itself, or by whose hand; what it printed before its present order was about others."""
        code = worker.ended()
        words = worker.last_words(since=since)
        is_for_memory = worker.was_ended_for_memory
        self._give_up()
        if is_for_memory:
            return OutOfMemoryError("the system ended its worker process for want of memory; a smaller model would fit.")
        if tells_of_no_memory(words):
            return OutOfMemoryError(f"its worker process ended itself for want of memory; its last words: {words}")
        if -code in processes.STRANGERS:
            return LostWorkerError(f"ended from outside by {signal.Signals(-code).name}")
        how = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"was ended by code that it ran (exit code {code})"
        said = f"; its last words: {words}" if words else ""
        return TrainingError(f"its worker process {how}, and the run went on with another; {FAULT_OF_A_FAMILY}{said}")


def _demand_gone(folder: Path) -> None:
    """Remove what is there: it would be taken for this run's data.

    Raises:
        StorageError: it cannot be removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        raise StorageError(f"{folder} is left from elsewhere and cannot be removed; remove it, or mend its permissions.")
