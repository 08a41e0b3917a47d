"""Runs units safely and keeps the run folder: lock, journal, finished units."""

from cupel.execution.folder import RunFolder, read_run
from cupel.execution.journal import Journal
from cupel.execution.pick import KeptMember, KeptPick, keep_pick, read_pick
from cupel.execution.runner import Runner, Start
from cupel.execution.units import UnitStore

__all__ = ["Journal", "KeptMember", "KeptPick", "RunFolder", "Runner", "Start", "UnitStore", "keep_pick", "read_pick", "read_run"]
