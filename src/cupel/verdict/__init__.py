"""Says what won, by how much and how sure; as words, JSON and a page to look at.

`judge` weighs the trials, `report_page` draws the page, `model_card` describes the packed model.
"""

from cupel.verdict.card import model_card
from cupel.verdict.comparison import Comparison, compare
from cupel.verdict.court import N_CORRECTIONS, Select
from cupel.verdict.examples import telling_rows
from cupel.verdict.exhibits import Exhibits
from cupel.verdict.judge import judge
from cupel.verdict.leaderboard import leaderboard, leaderboard_csv
from cupel.verdict.measures import measures
from cupel.verdict.nested import Nested, OuterRun, nested_of
from cupel.verdict.report import is_own_page, report_page
from cupel.verdict.verdict import Contender, Margin, Score, Verdict
from cupel.verdict.words import stage_words

__all__ = [
    "N_CORRECTIONS",
    "Comparison",
    "Contender",
    "Exhibits",
    "Margin",
    "Nested",
    "OuterRun",
    "Score",
    "Select",
    "Verdict",
    "compare",
    "is_own_page",
    "judge",
    "leaderboard",
    "leaderboard_csv",
    "measures",
    "model_card",
    "nested_of",
    "report_page",
    "stage_words",
    "telling_rows",
]
