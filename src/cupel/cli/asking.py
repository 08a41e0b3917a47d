"""The options by which a question is asked, the same for every verb that takes data."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from cupel.core.errors import UsageError
from cupel.core.settings import OUTER_FOLDS, Settings

SEARCHES = (
    "auto", "portfolio", "grid", "random", "quasi-random", "tpe", "gp",
    "halving-epochs", "halving-rows", "one-epoch", "hyperband",
)  # fmt: skip
"""The names of `tuning.SEARCHES`, which is not imported for a mere help text; a test compares them."""


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the source, the target and every setting."""
    parser.add_argument(
        "source",
        metavar="FILE",
        help="CSV, Parquet, Arrow, JSON lines, Excel, SQLite, a postgresql:// URL, or a folder of pictures",
    )
    parser.add_argument(
        "--target",
        metavar="COLUMN",
        help="the column to predict; several columns of 0 and 1 as A,B,C are labels that may hold together; folders of pictures "
        "need none",
    )
    asked = parser.add_argument_group("the question (all inferred; override what is wrong)")
    asked.add_argument("--task", choices=["binary", "multiclass", "multilabel", "regression"], help="what kind of answer")
    asked.add_argument("--metric", help="what to judge by, such as roc_auc, accuracy, f1, log_loss, rmse, mae")
    asked.add_argument("--positive", metavar="CLASS", help="the positive class of a binary task")
    asked.add_argument("--kind", action="append", default=[], metavar="COLUMN=KIND", help="what a column is; repeatable")
    asked.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave a column out; repeatable")
    asked.add_argument("--group", metavar="COLUMN", help="rows with one value here are never divided between folds")
    asked.add_argument("--order", metavar="COLUMN", help="a time column: later rows judge models of earlier ones")
    asked.add_argument("--query", metavar="SQL", help="for databases: the query whose rows are the data")
    asked.add_argument("--sheet", help="for Excel: the sheet")
    asked.add_argument(
        "--split", default="auto", choices=["auto", "holdout", "tenth", "k-fold", "stratified", "repeated", "group", "time"],
        help="how rows are divided (tenth: a holdout of so many)",
    )  # fmt: skip
    asked.add_argument("--folds", type=int, metavar="N", help="number of folds")
    asked.add_argument("--repeats", type=int, default=1, metavar="N", help="how often the folds are drawn anew")
    asked.add_argument("--families", metavar="A,B", default="", help="only these, and baselines; some families wait to be named")
    asked.add_argument("--search", default="auto", choices=SEARCHES, help="how candidates are chosen")
    asked.add_argument("--space", metavar="YAML", help="a file that narrows, fixes or extends what may be chosen, by family")
    asked.add_argument("--no-racing", action="store_true", help="train every candidate on all folds, however bad the first")
    asked.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="where networks are trained")
    asked.add_argument(
        "--sample",
        type=int,
        metavar="ROWS",
        help="search on so many rows, drawn from all (default: all, where they fit into memory)",
    )
    asked.add_argument("--seed", type=int, default=0, help="same seed and effort: same models")


def add_fixes(parser: argparse.ArgumentParser) -> None:
    """Add the option that applies a fix plan."""
    parser.add_argument(
        "--fixes", metavar="PLAN", help="mend the data as this file says; `cupel look … --fixes PLAN` writes one to edit"
    )


def add_nested(parser: Any) -> None:
    """Add the options that have the whole run judged from outside."""
    parser.add_argument(
        "--nested",
        action="store_true",
        help=f"repeat the whole run without each of {OUTER_FOLDS} outer folds, and judge what it picks by them; it shares --time",
    )
    parser.add_argument("--outer-folds", type=int, metavar="N", help=f"the same with N outer folds instead of {OUTER_FOLDS}")


def with_nested(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """The settings, with what the options of `add_nested` ask for."""
    n_folds = OUTER_FOLDS if arguments.nested and arguments.outer_folds is None else arguments.outer_folds
    return settings if n_folds is None else replace(settings, nested=n_folds)


def add_backbones(parser: argparse.ArgumentParser) -> None:
    """Add the options that name pretrained networks to start from."""
    begun = parser.add_argument_group("pretrained networks to start from (models of pictures)")
    begun.add_argument(
        "--backbone",
        action="append",
        default=[],
        metavar="WEIGHTS",
        help="a .safetensors or .onnx file, a folder that holds one, or a name in the local cache of a model hub; repeatable",
    )
    begun.add_argument("--allow-network", action="store_true", help="download a --backbone that is not here")
    begun.add_argument(
        "--allow-licence",
        action="append",
        default=[],
        metavar="NAME",
        help="take weights of this licence, though it forbids commercial use; repeatable",
    )


def with_backbones(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """The settings, with what the options of `add_backbones` ask for."""
    return replace(
        settings,
        backbones=tuple(arguments.backbone),
        allow_network=arguments.allow_network,
        allow_licences=tuple(arguments.allow_licence),
    )


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
        search=arguments.search,
        space=space_from(arguments.space),
        racing=not arguments.no_racing,
        device=arguments.device,
        fixes=fixes_from(getattr(arguments, "fixes", None)),
        sample=arguments.sample,
        seed=arguments.seed,
    )


def space_from(path: str | None) -> dict[str, dict[str, Any]]:
    """Wishes about search spaces from a YAML file: families, their fields, and what each may be.

    Raises:
        UsageError: it cannot be read, or is no mapping of mappings.
    """
    if path is None:
        return {}
    from cupel.core.plain_yaml import parsed_yaml

    try:
        wishes = parsed_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--space {path!r} cannot be read: {error}") from error
    if not isinstance(wishes, dict) or not all(isinstance(fields, dict) for fields in wishes.values()):
        raise UsageError(
            f"--space {path!r} does not name families with fields; expected for example\n"
            "RealMLP:\n  width: [128, 512]\n  dropout: 0.1"
        )
    return {str(family): {str(name): wish for name, wish in fields.items()} for family, fields in wishes.items()}


def fixes_from(path: str | None) -> dict[str, Any]:
    """A fix plan from a YAML file; nothing without one.

    Raises:
        UsageError: it cannot be read, or is no plan.
    """
    if path is None:
        return {}
    import yaml

    from cupel.core.candidate import plain
    from cupel.data.fixes import FixPlan

    try:
        read = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--fixes {path!r} cannot be read: {error}") from error
    if not isinstance(read, dict) or not read:
        raise UsageError(f"--fixes {path!r} holds no fix plan; `cupel look FILE --target COLUMN --fixes {path}` writes one.")
    FixPlan.of(read)
    described: dict[str, Any] = plain(read)
    return described


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


def numbers_from(given: str | None, *, option: str) -> dict[str, float]:
    """Numbers by name from an option of the form NAME=NUMBER,NAME=NUMBER; nothing of none.

    Raises:
        UsageError: it has another form.
    """
    numbers = {}
    for part in filter(None, map(str.strip, (given or "").split(","))):
        name, _, number = part.partition("=")
        try:
            numbers[name.strip()] = float(number)
        except ValueError as error:
            raise UsageError(f"{option} {given!r} cannot be read at {part!r}; expected NAME=NUMBER.") from error
    return numbers
