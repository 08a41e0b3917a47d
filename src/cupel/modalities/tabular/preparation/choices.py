"""Everything that may be chosen about preparing a table, with its search ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from cupel.core.dataset import Dataset
from cupel.core.preparation import Prepared, Rows
from cupel.core.space import Choice, Range, When, check_kinds


@dataclass(frozen=True, kw_only=True)
class TabularPreparation:
    """How numbers, booleans, date-times and categories become the blocks "numeric", "binary" and "codes".

    `missing`: what stands in for a missing number. "drop-rows" deletes training rows with a missing cell,
    "drop-columns" the numeric columns with one, and both use the mean at prediction; "keep" leaves NaN to the model.
    `indicators`: one 0/1 column for each numeric column with missing values in training.
    `scaling`: "robust" is median and interquartile range with smooth clipping, "quantile" maps to normal scores.
    `categories`: "one-hot" holds up to `one_hot_limit` levels, columns with more go where `above_limit` says; "ordinal"
    is the frequency rank; "embedding" gives indices; "target" smoothed out-of-fold means of the target. Levels
    with fewer than `min_level_count` training rows are treated as unseen, so that models learn what to do with those.
    `crossed_pairs`: so many pairs of category columns, beside these, as out-of-fold means of the target: the pairs that
    explain most of what their columns leave, if any does; none where there are more than ten classes.
    `selection`: "variance" drops near-constant columns; the others keep the best `keep` share of each block.
    """

    missing: Annotated[str, Choice("mean", "median", "most-frequent", "knn", "forest", "drop-rows", "drop-columns", "keep")] = (
        "median"
    )
    indicators: Annotated[bool, Choice(True, False)] = True
    scaling: Annotated[str, Choice("none", "min-max", "max-abs", "standard", "robust", "quantile")] = "standard"
    categories: Annotated[str, Choice("one-hot", "ordinal", "embedding", "target")] = "one-hot"
    one_hot_limit: Annotated[int, Range(2, 100, log=True), When("categories", "one-hot")] = 20
    above_limit: Annotated[str, Choice("embedding", "target", "ordinal"), When("categories", "one-hot")] = "embedding"
    min_level_count: Annotated[int, Range(1, 20, log=True)] = 2
    crossed_pairs: Annotated[int, Choice(0, 4, 8)] = 0
    selection: Annotated[str, Choice("none", "variance", "mutual-information", "model")] = "none"
    keep: Annotated[float, Range(0.1, 1.0), When("selection", "mutual-information", "model")] = 0.8

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Learn from the given training rows, and from nothing else, of a dataset whose task is set.

        Raises:
            UsageError: a choice is none that there is, or of another kind.
            TrainingError: deleting rows leaves too few, or no row of some class.
        """
        from cupel.modalities.tabular.preparation.fitting import fit_preparation

        check_kinds(self)
        return fit_preparation(self, dataset, rows, seed=seed)


FOR_TREES = TabularPreparation(missing="keep", indicators=False, scaling="none", categories="ordinal", min_level_count=1)
"""Trees split on raw numbers, know missing values, and take frequency ranks of categories."""

FOR_LINEAR = TabularPreparation(
    missing="median", indicators=True, scaling="standard", categories="one-hot", one_hot_limit=100, above_limit="target"
)
"""Linear models need one column per level and comparable scales."""

FOR_NETWORKS = TabularPreparation(
    missing="mean", indicators=True, scaling="quantile", categories="one-hot", one_hot_limit=20, above_limit="embedding"
)
"""Multi-layer perceptrons and TabM: normal scores (Gorishniy et al. 2024, arXiv:2410.24210, appendix D)."""

FOR_REALMLP = TabularPreparation(
    missing="median", indicators=True, scaling="robust", categories="one-hot", one_hot_limit=9, above_limit="embedding"
)
"""RealMLP: robust scaling with smooth clipping, one-hot up to 9 levels (Holzmüller et al. 2024, arXiv:2407.04491)."""

SEARCHED_FOR_NETWORKS: Mapping[str, Range | Choice] = {
    "missing": Choice("mean", "median"),
    "scaling": Choice("quantile", "robust", "standard"),
    "one_hot_limit": Range(4, 50, log=True),
    "above_limit": Choice("embedding", "target"),
    "min_level_count": Range(1, 20, log=True),
    "crossed_pairs": Choice(0, 4),
}
"""What a search may vary for networks: the costly ways to fill and to select are there for those who ask for them."""
