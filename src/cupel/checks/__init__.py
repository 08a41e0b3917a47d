"""What every family and every modality must satisfy, ours or a plug-in's; run by the tests of both.

`check_family(family, "binary")` and `check_modality(modality)` run every check; `FAMILY_CHECKS` and `MODALITY_CHECKS` hold
them one by one, each a function whose docstring is the promise.
"""

from cupel.checks.bench import Bench, bench_for
from cupel.checks.example import example_dataset, example_for
from cupel.checks.families import FAMILY_CHECKS, check_family
from cupel.checks.modalities import MODALITY_CHECKS, check_modality

__all__ = [
    "FAMILY_CHECKS",
    "MODALITY_CHECKS",
    "Bench",
    "bench_for",
    "check_family",
    "check_modality",
    "example_dataset",
    "example_for",
]
