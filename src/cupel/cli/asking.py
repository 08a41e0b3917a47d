"""The options by which a question is asked, the same for every verb that takes data."""

from __future__ import annotations

import argparse

from cupel.core.errors import UsageError
from cupel.core.settings import Settings


def add_question(parser: argparse.ArgumentParser, *, needs_target: bool = True) -> None:
    """Add the source, the target and every setting."""
    parser.add_argument("source", metavar="FILE", help="CSV, Parquet, Arrow, JSON lines, Excel, SQLite, or a postgresql:// URL")
    parser.add_argument("--target", required=needs_target, metavar="COLUMN", help="the column to predict")
    asked = parser.add_argument_group("the question (all inferred; override what is wrong)")
    asked.add_argument("--task", choices=["binary", "multiclass", "regression"], help="what kind of answer")
    asked.add_argument("--metric", help="what to judge by, such as roc_auc, accuracy, f1, log_loss, rmse, mae")
    asked.add_argument("--positive", metavar="CLASS", help="the positive class of a binary task")
    asked.add_argument("--kind", action="append", default=[], metavar="COLUMN=KIND", help="what a column is; repeatable")
    asked.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave a column out; repeatable")
    asked.add_argument("--group", metavar="COLUMN", help="rows with one value here are never divided between folds")
    asked.add_argument("--order", metavar="COLUMN", help="a time column: later rows judge models of earlier ones")
    asked.add_argument("--query", metavar="SQL", help="for databases: the query whose rows are the data")
    asked.add_argument("--sheet", help="for Excel: the sheet")
    asked.add_argument(
        "--split", default="auto", choices=["auto", "holdout", "k-fold", "stratified", "repeated", "group", "time"],
        help="how rows are divided",
    )  # fmt: skip
    asked.add_argument("--folds", type=int, metavar="N", help="number of folds")
    asked.add_argument("--repeats", type=int, default=1, metavar="N", help="how often the folds are drawn anew")
    asked.add_argument("--families", metavar="A,B", default="", help="try only these families (baselines always run)")
    asked.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="where networks are trained")
    asked.add_argument("--seed", type=int, default=0, help="same seed and effort: same models")


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that the options describe.

    Raises:
        UsageError: an option cannot be read.
    """
    return Settings(
        task=arguments.task,
        metric=arguments.metric,
        positive=arguments.positive,
        kinds=kinds_from(arguments.kind),
        drop=tuple(arguments.drop),
        group=arguments.group,
        time=arguments.order,
        query=arguments.query,
        sheet=arguments.sheet,
        split=arguments.split,
        n_folds=arguments.folds,
        n_repeats=arguments.repeats,
        families=tuple(name.strip() for name in arguments.families.split(",") if name.strip()),
        device=arguments.device,
        seed=arguments.seed,
    )


def kinds_from(options: list[str]) -> dict[str, str]:
    """Column kinds from options of the form COLUMN=KIND.

    Raises:
        UsageError: one has another form.
    """
    kinds = {}
    for option in options:
        column, separator, kind = option.rpartition("=")
        if not separator or not column or not kind:
            raise UsageError(f"--kind {option!r} cannot be read; expected COLUMN=KIND, for example --kind zip=category.")
        kinds[column] = kind
    return kinds
