"""Runs units safely and keeps the run folder: lock, journal, finished units, worker processes that are watched."""

from cupel.execution.assignment import Assignment, Executor, built, described
from cupel.execution.checkpoint_folder import CheckpointFolder
from cupel.execution.chronicle import Chronicle, noted
from cupel.execution.folder import RunFolder, holder_of, read_run, said_in, seconds_left, source_of, split_of
from cupel.execution.guard import HANDOVER, Guard, bytes_left, size_of
from cupel.execution.handover import Handover
from cupel.execution.interruption import Interruption
from cupel.execution.journal import Journal
from cupel.execution.maker import UnitMaker
from cupel.execution.pick import PICK_FILES, KeptMember, KeptPick, keep_pick, read_pick, read_rule
from cupel.execution.runner import Runner, Start, describe_failure
from cupel.execution.side_by_side import SideBySide
from cupel.execution.units import UnitStore
from cupel.execution.watched import Watched
from cupel.execution.worker import keep_idle_workers, prepare_worker

__all__ = [
    "HANDOVER",
    "PICK_FILES",
    "Assignment",
    "CheckpointFolder",
    "Chronicle",
    "Executor",
    "Guard",
    "Handover",
    "Interruption",
    "Journal",
    "KeptMember",
    "KeptPick",
    "RunFolder",
    "Runner",
    "SideBySide",
    "Start",
    "UnitMaker",
    "UnitStore",
    "Watched",
    "built",
    "bytes_left",
    "describe_failure",
    "described",
    "holder_of",
    "keep_idle_workers",
    "keep_pick",
    "noted",
    "prepare_worker",
    "read_pick",
    "read_rule",
    "read_run",
    "said_in",
    "seconds_left",
    "size_of",
    "source_of",
    "split_of",
]
