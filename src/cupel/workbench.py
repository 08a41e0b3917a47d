"""What a worker process does: makes units of whatever run it is handed, and says how it gets on.

Run as `python -m cupel.workbench FD`: messages come in on standard input and go out on the descriptor FD. It ends when whoever
started it does.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupel.execution.channel import Channel

if TYPE_CHECKING:
    from cupel import execution
    from cupel.core.family import Family

SECONDS_BETWEEN_BEATS = 1.0
LIBRARIES = ("sklearn.linear_model", "lightgbm")
"""What the first candidates of nearly every run are made by; each takes a second to import."""
PROMISED_BYTES = 100_000_000
"""Stacks of threads, mostly: promised, and hardly used."""
OWN_END = 75
"""The exit code of a worker whose run has ended before it."""


def main(sending: int) -> None:
    """Serve until the other side ends."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked for work
    channel = Channel(receiving=os.dup(0), sending=sending)
    orders: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, orders), name="orders", daemon=True).start()
    _warm_up()
    threading.Thread(target=_beat, args=(channel,), name="heartbeat", daemon=True).start()
    channel.send({"is": "ready"})
    bench = Bench(channel)
    while True:
        bench.follow(orders.get())


def _listen(channel: Channel, orders: queue.SimpleQueue[Mapping[str, Any]]) -> None:
    """Take orders while others are followed, so that the end of the other side is noticed at once."""
    try:
        while True:
            order = channel.receive()
            assert order is not None, "without a time limit there is a message, or an end"
            orders.put(order)
    except (EOFError, OSError):
        os._exit(OWN_END)


def _beat(channel: Channel) -> None:
    """Say every second that this process is alive."""
    try:
        while True:
            time.sleep(SECONDS_BETWEEN_BEATS)
            channel.send({"is": "beat"})
    except OSError:
        os._exit(OWN_END)


def _warm_up() -> None:
    """Import what every run needs, while the data are still read elsewhere."""
    from cupel import making, training
    from cupel.core import registry

    del making, training
    for modality in registry.modalities():
        modality.families()
    for library in LIBRARIES:
        importlib.import_module(library)


class Bench:
    """Follows orders, one at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._maker: execution.UnitMaker | None = None
        self._families: Sequence[Family] = ()

    def follow(self, order: Mapping[str, Any]) -> None:
        """Do what is said, and answer; whatever goes wrong is an answer too."""
        if order["do"] == "rest":
            self._maker = None
            return
        from cupel.core.errors import PassingError, StorageError, is_for_memory
        from cupel.execution import describe_failure

        try:
            does = {"settle": self._settle, "make": self._make, "finish": self._finish}
            answer = does[order["do"]](order)
        except StorageError as error:
            answer = {"is": "failed", "why": "storage", "reason": str(error)}
        except Exception as error:  # noqa: BLE001 whatever a candidate raises is told to the process that keeps the journal
            is_passing = isinstance(error, PassingError | OSError)
            why = "memory" if is_for_memory(error) else "passing" if is_passing else "error"
            answer = {"is": "failed", "why": why, "reason": describe_failure(error)}
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # a family may have closed them
                stream.flush()  # what was printed for this order is not taken for the next one's
        self._channel.send(answer)

    def _settle(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Take over a run's data; those of an earlier run are forgotten."""
        from cupel import making
        from cupel.core.stopwatch import Stopwatch
        from cupel.execution import Handover

        self._maker = None
        work_on(order["cores"])
        hold_to(order.get("memory_bytes"))
        given = Handover.read(Path(order["folder"]))
        self._maker, self._families = making.maker(given, stopwatch=Stopwatch()), making.families(given)
        return {"is": "settled"}

    def _make(self, order: Mapping[str, Any]) -> dict[str, Any]:
        from cupel.core.budget import Deadline
        from cupel.core.stopwatch import Stopwatch
        from cupel.execution import Assignment

        maker = self._maker
        assert maker is not None, "a worker settles before it makes anything"
        assert maker.dataset.task is not None, "a run's dataset has a task"
        maker.stopwatch = Stopwatch()
        work_on(order["cores"])
        assignment = Assignment.from_plain(order["assignment"], families=self._families, task=maker.dataset.task)
        if order["starts"]:
            from safetensors.numpy import load_file

            assignment = replace(assignment, starts=tuple(map(load_file, order["starts"])))
        made = maker.execute(assignment, deadline=Deadline(order["seconds"]), progress=self._report)
        return {"is": "made", "units": [unit.key for unit in made], "seconds_by_stage": dict(maker.stopwatch.seconds)}

    def _finish(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Fit on all rows of a table that is larger than memory."""
        from cupel.core.budget import Deadline
        from cupel.execution import Assignment

        maker = self._maker
        assert maker is not None, "a worker settles before it makes anything"
        assert maker.dataset.task is not None, "a run's dataset has a task"
        work_on(order["cores"])
        assignment = Assignment.from_plain(order["assignment"], families=self._families, task=maker.dataset.task)
        facts = maker.finish(assignment, Path(order["folder"]), deadline=Deadline(order["seconds"]), progress=self._report)
        return {"is": "made", "facts": facts}

    def _report(self, fraction: float) -> None:
        self._channel.send({"is": "progress", "fraction": fraction})


def work_on(cores: Sequence[int]) -> None:
    """Keep this process to these processors, threads that libraries hold ready too; as it is, where they are not its own."""
    if sorted(os.sched_getaffinity(0)) == sorted(cores):
        return
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), cores)


def hold_to(memory_bytes: int | None) -> None:
    """Let this process take so much more memory than it has, and no more: who asks for it is refused. None is no limit.

    What is counted is what is promised, not what is used: a little more than is looked at from outside.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if memory_bytes is None:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        return
    lines = Path("/proc/self/status").read_text().splitlines()
    held = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)
    most = held + memory_bytes + PROMISED_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
