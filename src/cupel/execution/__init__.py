"""Runs units safely and keeps the run folder: lock, journal, finished units, worker processes that are watched."""

from cupel.execution.assignment import Assignment, Executor, built, described
from cupel.execution.checkpoint_folder import CheckpointFolder, storage_error
from cupel.execution.folder import RunFolder, holder_of, read_run
from cupel.execution.guard import Guard
from cupel.execution.handover import Handover
from cupel.execution.interruption import Interruption
from cupel.execution.journal import Journal
from cupel.execution.maker import UnitMaker
from cupel.execution.pick import KeptMember, KeptPick, keep_pick, read_pick, read_rule
from cupel.execution.runner import Runner, Start, describe_failure
from cupel.execution.units import UnitStore
from cupel.execution.watched import Watched
from cupel.execution.worker import prepare_worker

__all__ = [
    "Assignment",
    "CheckpointFolder",
    "Executor",
    "Guard",
    "Handover",
    "Interruption",
    "Journal",
    "KeptMember",
    "KeptPick",
    "RunFolder",
    "Runner",
    "Start",
    "UnitMaker",
    "UnitStore",
    "Watched",
    "built",
    "describe_failure",
    "described",
    "holder_of",
    "keep_pick",
    "prepare_worker",
    "read_pick",
    "read_rule",
    "read_run",
    "storage_error",
]
