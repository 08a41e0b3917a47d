"""Runs units safely and keeps the run folder: lock, journal, finished units."""

from cupel.execution.folder import RunFolder, read_run
from cupel.execution.journal import Journal
from cupel.execution.runner import Runner
from cupel.execution.units import UnitStore

__all__ = ["Journal", "RunFolder", "Runner", "UnitStore", "read_run"]
