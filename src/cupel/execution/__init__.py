"""Runs units safely and keeps the run folder and its journal."""
