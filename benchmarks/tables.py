"""The development tables: where they lie, what is asked of them, and which rows nobody sees before the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars


@dataclass(frozen=True)
class Table:
    """A table in the folder of development data.

    The test part is the file `test` where there is one, the `last` rows where the usual protocol says so, else a fifth drawn
    with seed 0. `keep` restricts the columns, `drop` leaves out what gives the target away. `metric` is what is compared.
    """

    name: str
    train: str
    target: str
    metric: str
    test: str | None = None
    separator: str = ","
    last: int | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def is_regression(self) -> bool:
        return self.metric == "rmse"

    def read(self, data: Path) -> polars.DataFrame:
        """Every row of the training file, all columns as text."""
        return self._read(data / self.train)

    def divided(self, data: Path) -> tuple[polars.DataFrame, polars.DataFrame]:
        """The rows to learn from, and those to be judged on."""
        frame = self.read(data)
        if self.test:
            return frame, self._read(data / self.test)
        if self.last:
            return frame.head(-self.last), frame.tail(self.last)
        chosen = np.random.default_rng(0).permutation(len(frame))
        n_test = len(frame) // 5
        return frame[np.sort(chosen[n_test:])], frame[np.sort(chosen[:n_test])]

    def _read(self, path: Path) -> polars.DataFrame:
        frame = polars.read_csv(path, separator=self.separator, infer_schema=False)
        frame = frame.select(*self.keep, self.target) if self.keep else frame.drop(self.drop)
        return frame.filter(polars.col(self.target).is_not_null())


COMPAS = ("age", "sex", "race", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "c_charge_degree")

TABLES = (
    Table("adult", "adult/train.csv.gz", "income", "roc_auc", test="adult/test.csv.gz"),
    Table("telco_churn", "telco_churn/telco_churn.csv.gz", "Churn", "roc_auc", drop=("customerID",)),
    Table("titanic", "titanic/titanic.csv.gz", "Survived", "roc_auc"),
    Table("german_credit", "german_credit/german_credit.csv.gz", "credit_risk", "roc_auc"),
    Table("mushroom", "mushroom/mushrooms.csv.gz", "type", "roc_auc"),
    Table("breast_cancer", "breast_cancer_wdbc/wdbc.csv.gz", "diagnosis", "roc_auc", drop=("id",)),
    Table("compas", "compas/compas_two_years.csv.gz", "two_year_recid", "roc_auc", keep=COMPAS),
    Table("pima_diabetes", "pima_diabetes/pima.csv.gz", "Outcome", "roc_auc"),
    Table("penguins", "penguins/penguins.csv.gz", "species", "log_loss"),
    Table("letter", "letter/letter.csv.gz", "letter", "log_loss", last=4000),
    Table("california_housing", "california_housing/housing.csv.gz", "median_house_value", "rmse"),
    Table("diamonds", "diamonds/diamonds.csv.gz", "price", "rmse"),
    Table("abalone", "abalone/abalone.csv.gz", "Rings", "rmse"),
    Table("insurance_charges", "insurance_charges/insurance.csv.gz", "charges", "rmse"),
    Table("wine_red", "wine_quality/winequality-red.csv.gz", "quality", "rmse", separator=";"),
    Table("wine_white", "wine_quality/winequality-white.csv.gz", "quality", "rmse", separator=";"),
    Table("bike_sharing", "bike_sharing_hour/hour.csv.gz", "cnt", "rmse", drop=("instant", "casual", "registered")),
    Table("bengaluru_house", "bengaluru_house/bengaluru_house.csv.gz", "price", "rmse"),
    Table("concrete", "concrete/concrete.csv.gz", "strength", "rmse"),
)


def tables_named(names: str) -> list[Table]:
    """The tables of a comma-separated list; all where it is empty."""
    wanted = [name for name in names.split(",") if name]
    unknown = set(wanted) - {table.name for table in TABLES}
    if unknown:
        raise SystemExit(f"unknown tables {sorted(unknown)}; there are {', '.join(table.name for table in TABLES)}")
    return [table for table in TABLES if not wanted or table.name in wanted]
