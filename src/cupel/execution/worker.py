"""A worker process as its run sees it: begun, spoken with, ended. Idle ones are kept for the next run of this process."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cupel.core import processes
from cupel.core.errors import CupelError
from cupel.execution.channel import Channel

MODULE = "cupel.workbench"
N_LAST_WORDS = 600
SECONDS_TO_END = 2.0

_idle: list[Worker] = []
_lock = threading.Lock()


class Worker:
    """A process of its own session, so that a signal meant for the run does not reach it.

    `settled` is the folder whose data it works on; `ended_for_memory` is begun anew and looked at by whoever watches it.
    """

    def __init__(self) -> None:
        self._words = tempfile.TemporaryFile(prefix="cupel-worker-")  # noqa: SIM115 it lives as long as the process
        receiving, theirs = os.pipe()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(theirs)],
                stdin=subprocess.PIPE,
                stdout=self._words,
                stderr=self._words,
                pass_fds=[theirs],
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        except OSError:
            os.close(receiving)
            self._words.close()
            raise
        finally:
            os.close(theirs)
        assert self.process.stdin is not None, "it was asked for"
        self.channel = Channel(receiving=receiving, sending=os.dup(self.process.stdin.fileno()))
        self.process.stdin.close()
        self.settled: Path | None = None
        self.ended_for_memory = processes.EndedForMemory()

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked for work."""
        return not self.channel.is_closed and not self._has_ended

    @property
    def _has_ended(self) -> bool:
        """Whether it has; its number stays its own, until what it had begun is ended too."""
        if self.process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:  # this program itself, or whoever embeds it, has taken note of its end
            return self.process.poll() is not None

    @property
    def was_ended_for_memory(self) -> bool:
        """Whether the kernel ended it, as far as can be known, since there was no memory left."""
        return self.process.poll() == -signal.SIGKILL and self.ended_for_memory.is_recent

    @property
    def n_printed_bytes(self) -> int:
        """How much it and its libraries have printed. Nothing is sought meanwhile: the place to write at is shared with it."""
        return os.fstat(self._words.fileno()).st_size

    def last_words(self, *, since: int = 0) -> str:
        """The end of what it and its libraries printed after so many bytes, on one line."""
        self._words.seek(max(since, self.n_printed_bytes - N_LAST_WORDS))
        return " ".join(self._words.read().decode(errors="replace").split())

    def ended(self) -> int:
        """Its exit code, when it has ended by itself, or says nothing for ever; what it had begun is ended too."""
        until = time.monotonic() + SECONDS_TO_END
        while not self._has_ended and time.monotonic() < until:
            time.sleep(0.01)
        if self.process.returncode is None:  # its number is still its own
            self._end_all()
        return self.process.wait()

    def end(self) -> None:
        """End it and all that it began."""
        self.channel.close()
        if not self._has_ended or self.process.returncode is None:
            self._end_all()
            self.process.wait(timeout=SECONDS_TO_END * 30)
        self._words.close()

    def _end_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def prepare_worker(n_workers: int = 1) -> None:
    """Begin so many workers, but for those that wait: they import what they need while the caller does other things."""
    with _lock, contextlib.suppress(OSError):  # whoever hires one is told
        while sum(worker.is_alive for worker in _idle) < n_workers:
            _idle.append(Worker())


def keep_idle_workers(most: int) -> None:
    """End those that wait beyond so many."""
    with _lock:
        while len(_idle) > most:
            _idle.pop().end()


def hired() -> Worker:
    """A worker that waits, or a new one.

    Raises:
        CupelError: no process can be started here.
    """
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.is_alive:
                return worker
            worker.end()
    try:
        return Worker()
    except OSError as error:
        raise CupelError(
            f"no worker process can be started ({error.strerror or error}); free memory or raise the limit of processes, "
            f"or work without one: --workers 0."
        ) from error


def dismissed(worker: Worker) -> None:
    """Keep a worker for the next run; further ones are ended."""
    with _lock:
        if worker.is_alive and not _idle:
            try:
                worker.channel.send({"do": "rest"})
                worker.settled = None
                _idle.append(worker)
                return
            except OSError:
                pass
    worker.end()


@atexit.register
def end_idle_workers() -> None:
    """End those that wait; called when this process ends."""
    with _lock:
        while _idle:
            _idle.pop().end()
