"""Proposes candidates and decides which to train next, within the budget.

A strategy sees families, trials and costs, nothing else.
"""

from cupel.tuning.estimate import TimeModel
from cupel.tuning.proposal import N_CANDIDATES, PortfolioThenRandom, Strategy
from cupel.tuning.search import Search, search

__all__ = ["N_CANDIDATES", "PortfolioThenRandom", "Search", "Strategy", "TimeModel", "search"]
