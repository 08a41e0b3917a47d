"""Proposes candidates and decides which to train next, within the budget.

A strategy sees families, trials and costs, nothing else.
"""

from cupel.tuning.estimate import TimeModel
from cupel.tuning.given import Given
from cupel.tuning.long_run import LongRun
from cupel.tuning.proposal import Namer, Proposal, Strategy, Tried
from cupel.tuning.racing import Racing
from cupel.tuning.search import Search, estimates_in_words, search
from cupel.tuning.strategies import BY_RUNGS, N_CANDIDATES, SEARCHES, Ground, strategy_named
from cupel.tuning.study import write_study

__all__ = [
    "BY_RUNGS",
    "N_CANDIDATES",
    "SEARCHES",
    "Given",
    "Ground",
    "LongRun",
    "Namer",
    "Proposal",
    "Racing",
    "Search",
    "Strategy",
    "TimeModel",
    "Tried",
    "estimates_in_words",
    "search",
    "strategy_named",
    "write_study",
]
