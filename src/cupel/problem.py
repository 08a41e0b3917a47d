"""A question made concrete: data read, task known, rows divided, families chosen. Nothing is trained yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import data, ensembling, evaluation
from cupel.core import machine, registry
from cupel.core.cache import Cache
from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.family import Cost, Family
from cupel.core.finding import Finding
from cupel.core.inputs import InputShape
from cupel.core.limits import Limits
from cupel.core.modality import GraphInput, Inspection, Modality, Pretrained
from cupel.core.observer import Observer, Silent
from cupel.core.preparation import ForeseeingPreparation
from cupel.core.presets import Preset
from cupel.core.profile import Profile
from cupel.core.settings import DECIDED_BY, ERRORS, PREFERENCES, Settings
from cupel.core.split import Splits
from cupel.core.stopwatch import Stopwatch
from cupel.core.task import Task
from cupel.core.weights import Weights, demand_allowed, find_weights, findings_about
from cupel.data import streamed
from cupel.dividing import divide

Array = NDArray[Any]
N_GOLDEN = 32
FEWEST_GOLDEN, GOLDEN_NUMBERS = 3, 400_000
"""They are stored as text: of large masks there are fewer."""
N_SHAPE_ROWS = 1000
BYTES_PER_CELL = 4.0
FEWEST_SECONDS_TO_MEASURE = 120.0
FEWEST_SAMPLED = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What a run works on. Rows that share a number in `twins` are of one thing, and stay together.

    Where the table is larger than memory, `dataset` holds some of its rows, and `whole` is the table.
    """

    dataset: Dataset
    modality: Modality
    profile: Profile
    splits: Splits
    findings: tuple[Finding, ...]
    families: tuple[Family, ...]
    settings: Settings
    weights: tuple[Weights, ...] = ()
    whole: streamed.Whole | None = None
    twins: Array | None = None

    def kept_in(self, cache: Cache) -> Problem:
        """The same problem, with a place for what is dear to compute of its rows."""
        return replace(self, dataset=replace(self.dataset, cache=cache))

    @property
    def task(self) -> Task:
        """The task, which a problem always has."""
        assert self.dataset.task is not None, "a problem's dataset is read with a target"
        return self.dataset.task

    @property
    def target(self) -> Array:
        """Class indices or values, one per row, or what a mask is judged by (see `Dataset.judged`)."""
        return self.dataset.judged

    @property
    def inputs(self) -> tuple[GraphInput, ...]:
        """What every packed model of this problem reads."""
        return tuple(self.modality.graph_inputs(self.dataset.schema))

    @property
    def golden_rows(self) -> Array:
        """Rows whose predictions are kept with every model, to compare all later forms of it with."""
        generator = np.random.default_rng(self.settings.seed)
        affordable = max(FEWEST_GOLDEN, GOLDEN_NUMBERS // self.task.n_outputs)
        n_golden = min(N_GOLDEN, self.dataset.n_samples, affordable)
        return np.sort(generator.choice(self.dataset.n_samples, n_golden, replace=False))

    @property
    def spread(self) -> float:
        """The size of a difference in predictions that matters: 1 for probabilities, the target's deviation else."""
        return 1.0 if self.task.form.has_probabilities else max(float(np.std(self.target)), 1e-12)

    def estimator(self) -> Callable[[Candidate | Preset, Family], Cost]:
        """A function that estimates all units of a candidate, from the families' own cost functions.

        Memory is that at the peak: the prepared folds and the model's own copy of them, and what the units take that are
        trained at once, which are all of a network and one for each core of what trains itself.
        """
        n_folds = len(self.splits.folds)
        shapes: dict[Any, InputShape] = {}

        def estimate(candidate: Candidate | Preset, family: Family) -> Cost:
            shape = shapes.get(candidate.preparation)
            if shape is None:
                shape = shapes[candidate.preparation] = self._shape(candidate.preparation)
            n_train = self.splits.n_learned(candidate.recipe)
            unit = family.cost(n_train, shape, candidate.config, candidate.recipe, self.task)
            prepared = 2 * n_folds * self.dataset.n_samples * _bytes_of_row(shape)
            if family.build is None:
                at_once = min(machine.usable_cores(), n_folds)
            else:
                at_once = 1 if family.folds_apart else n_folds
            return Cost(seconds=unit.seconds * n_folds, memory_bytes=prepared + unit.memory_bytes * at_once)

        return estimate

    def _shape(self, preparation: Any) -> InputShape:
        if isinstance(preparation, ForeseeingPreparation):
            return preparation.shape_of(self.dataset)
        rows = self.splits.folds[0].train
        if len(rows) > N_SHAPE_ROWS:
            rows = np.sort(np.random.default_rng(0).choice(rows, N_SHAPE_ROWS, replace=False))
        return InputShape.covering([preparation.fit(self.dataset, rows, seed=0).inputs])


def _bytes_of_row(shape: InputShape) -> float:
    """Prepared: numbers, and pixels of a byte each."""
    pixels = sum(shape.widths[name] * math.prod(extents) for name, extents in shape.extents.items())
    return pixels + BYTES_PER_CELL * sum(width for name, width in shape.widths.items() if name not in shape.extents)


def understand(
    source: Any,
    target: str | Sequence[str] | None,
    *,
    settings: Settings,
    observer: Observer | None = None,
    stopwatch: Stopwatch | None = None,
    seconds: float = math.inf,
    limits: Limits | None = None,
) -> Problem:
    """Read the data, find the task, the faults and the splits; without a target the one that the source itself names.

    Several targets, columns of 0 and 1, are labels that may hold together. Where the whole run has few `seconds`, what mending
    a fault would do to the score is not measured. A file that would not fit into what `limits` leave is read in pieces.

    Raises:
        DataError: the data cannot be read or learned from.
        UsageError: a setting does not fit the data.
    """
    observer, stopwatch = observer or Silent(), stopwatch or Stopwatch()
    ensembling.method_named(settings.ensemble)  # an unknown one is refused before any work
    if settings.prefer not in PREFERENCES:
        raise UsageError(f"prefer {settings.prefer!r} is unknown; choose {' or '.join(PREFERENCES)}.")
    weights = find_weights(settings.backbones, allow_network=settings.allow_network)
    demand_allowed(weights, allowed=settings.allow_licences)
    observer.stage("reading the data")
    with stopwatch.stage("reading"):
        dataset, whole, settings = read_or_draw(
            source, target, settings=settings, limits=limits, seconds=seconds, observer=observer
        )
    if dataset.task is None:
        known = ", ".join(dataset.schema.names[:20])
        raise UsageError(f"which column is to be predicted was not said; the columns are {known}. Name one with --target.")
    ensembling.method_named(settings.ensemble, for_masks=bool(dataset.task.grid))
    _refuse_beside_pictures(dataset)
    modality = registry.recognise(dataset.schema)
    reason = modality.unusable(dataset)
    if reason:
        raise DataError(reason)
    pretrained = _opened(weights, modality, settings)
    observer.stage("looking for faults in the data")
    with stopwatch.stage("understanding"):
        profile, inspection = profile_of(dataset), inspect(dataset, modality)
        measures = seconds >= FEWEST_SECONDS_TO_MEASURE
        findings = findings_of(dataset, profile, inspection=inspection, rehearses=False, measures=measures)
        splits = divide(dataset, settings, twins=inspection.twins)
        return Problem(
            dataset=dataset,
            modality=modality,
            profile=profile,
            splits=splits,
            findings=(*findings, *pretrained.findings, *data.few_units(dataset, splits)),
            families=_families(modality, settings, dataset.task, others=pretrained.families),
            settings=settings,
            weights=pretrained.weights,
            whole=whole,
            twins=inspection.twins,
        )


def read_or_draw(
    source: Any,
    target: str | Sequence[str] | None,
    *,
    settings: Settings,
    limits: Limits | None,
    seconds: float = math.inf,
    observer: Observer,
) -> tuple[Dataset, streamed.Whole | None, Settings]:
    """The data; of a file that would not fit into what `limits` leave some rows, the file, and the settings that draw them again.

    Raises: as `understand`.
    """
    sample = _sample_of(source, settings, limits=limits, seconds=seconds)
    return sample.drawn(target, settings=settings, seconds=seconds, observer=observer)


def read(
    source: Any,
    target: str | Sequence[str] | None,
    *,
    settings: Settings,
    progress: Callable[[float], None] = lambda _: None,
) -> Dataset:
    """The data as the settings ask for them.

    Raises:
        DataError: they cannot be read, or the target cannot be learned.
        UsageError: a setting does not fit the data.
    """
    plan = data.FixPlan.of(settings.fixes)
    dataset = data.read(
        source,
        target=target,
        task=settings.task,
        metric=settings.metric,
        positive=settings.positive,
        kinds=settings.kinds,
        group=settings.group or plan.group,
        time=settings.time or plan.order,
        query=settings.query,
        sheet=settings.sheet,
        readers=registry.readers(),
        progress=progress,
    ).without(tuple(dict.fromkeys((*settings.drop, *plan.drop))))
    plan.check_rows(dataset)
    dataset = data.mended(dataset, plan.changes)
    return _checked(dataset, settings)


def _checked(dataset: Dataset, settings: Settings) -> Dataset:
    dataset = data.shuffled(dataset, seed=settings.seed) if settings.shuffle_target else dataset
    if dataset.task is not None:
        _check_wishes(settings, dataset.task)
        evaluation.metric_named(dataset.task.metric, dataset.task)
    return dataset


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sample:
    """So many rows are to be drawn from a file, and why; without batches all are read."""

    source: Any
    batches: streamed.Batches | None = None
    n_rows: int = 0
    words: str = ""

    def drawn(
        self, target: str | Sequence[str] | None, *, settings: Settings, seconds: float, observer: Observer
    ) -> tuple[Dataset, streamed.Whole | None, Settings]:
        """The rows, the file that they are of where they are not all, and the settings that would draw them again."""
        if self.batches is None:
            return read(self.source, target, settings=settings, progress=observer.stage_progress), None, settings
        observer.message(self.words)
        observer.stage("counting all rows, and drawing some")
        if not isinstance(target, str):
            raise UsageError("a table that is read in pieces has one target; name its column with --target.")
        said = data.Said(
            target=target,
            task=settings.task,
            metric=settings.metric,
            positive=settings.positive,
            kinds=settings.kinds,
            group=settings.group,
            time=settings.time,
        )
        dataset, whole = streamed.drawn(
            self.batches, said, n_rows=self.n_rows, seed=settings.seed, seconds=seconds, progress=observer.stage_progress
        )
        return _checked(dataset.without(settings.drop), settings), whole, replace(settings, sample=self.n_rows)


def _sample_of(source: Any, settings: Settings, *, limits: Limits | None, seconds: float) -> _Sample:
    """What to draw: all rows where the table fits, or is none that can be read in pieces.

    Raises:
        UsageError: it does not fit, and something is asked that needs all rows, or there is too little memory for any.
    """
    batches = None if limits is None and settings.sample is None else streamed.batches_of(source)
    if settings.sample is not None and settings.sample < FEWEST_SAMPLED:
        raise UsageError(f"a sample of {settings.sample:,} rows was asked for; give at least {FEWEST_SAMPLED:,} with --sample.")
    if batches is None and settings.sample is not None:
        raise UsageError("a sample can be drawn of Parquet, Arrow and CSV files in UTF-8 alone; leave --sample out.")
    if batches is None:
        return _Sample(source=source)
    most = None if limits is None else limits.memory_bytes
    memory_bytes = float(machine.usable_memory_bytes() if most is None else most)
    needed = streamed.needed_bytes(batches)
    n_rows = settings.sample
    if n_rows is None and not streamed.fits(batches, memory_bytes=memory_bytes):
        n_rows = streamed.rows_to_search(batches, memory_bytes=memory_bytes, seconds=seconds)
    if n_rows is None or n_rows >= batches.n_rows:
        return _Sample(source=source)
    wishes = {
        "--fixes": settings.fixes,
        "--seal": settings.seal,
        "--nested": settings.nested,
        "--backbone": settings.backbones,
        "--task multilabel": settings.task == "multilabel",
    }
    streamed.refuse_what_needs_all_rows(batches, wishes, needed_bytes=needed, memory_bytes=memory_bytes)
    words = (
        f"about {batches.n_rows:,} rows would take {needed / 1e9:.1f} GB, and {memory_bytes / 1e9:.1f} GB may be used: all are "
        f"counted, {n_rows:,} are drawn"
    )
    return _Sample(source=source, batches=batches, n_rows=n_rows, words=words)


def demand_memory_for(source: Any, limits: Limits | None = None, *, why: str) -> None:
    """Raises:
    UsageError: it is a file of more rows than may be held, and `why` all of them are needed.
    """  # fmt: skip
    batches, most = streamed.batches_of(source), None if limits is None else limits.memory_bytes
    memory_bytes = float(machine.usable_memory_bytes() if most is None else most)
    if batches is not None and not streamed.fits(batches, memory_bytes=memory_bytes):
        raise UsageError(
            f"{source} would take about {streamed.needed_bytes(batches) / 1e9:.1f} GB, and {memory_bytes / 1e9:.1f} GB may be "
            f"used; give fewer rows, since it {why}."
        )


def inspect(dataset: Dataset, modality: Modality) -> Inspection:
    """What the modality sees in its own columns, and rows of plain columns that are nearly equal."""
    seen = Inspection() if modality.inspect is None else modality.inspect(dataset)
    copies = data.near_copies(dataset)
    if copies is None:
        return seen
    twins = copies.units if seen.twins is None else data.joined(copies.units, seen.twins)
    return replace(seen, twins=twins, findings=(data.copies_finding(copies, dataset), *seen.findings))


def profile_of(dataset: Dataset) -> Profile:
    """The dataset in numbers; of masks, pixels are counted by class."""
    counted = data.profile(dataset.unasked)
    if dataset.task is None or dataset.target is None or not dataset.task.grid:
        return counted
    counts = tuple(int((dataset.target == klass).sum()) for klass in range(len(dataset.task.classes)))
    return replace(counted, task=dataset.task, class_counts=counts)


def _refuse_beside_pictures(dataset: Dataset) -> None:
    features = [column.name for column in dataset.schema.features]
    if dataset.task is not None and dataset.task.grid and len(features) > 1:
        named = ", ".join(features[:20])
        raise DataError(
            f"masks are learned from one column of pictures, and there are {named}; leave the others out with --drop."
        )


def findings_of(
    dataset: Dataset, profile: Profile, *, inspection: Inspection, rehearses: bool = True, measures: bool = True
) -> tuple[Finding, ...]:
    """What was found while reading, in every table's way and in the modality's, which knows more where both have a word.

    With `rehearses` doubtful targets are looked for by a small forest, which a run does better by what it trains. With `measures`
    what has a remedy is told with what that does to the score, without it that this was not measured. Each takes a second or two.
    """
    said = {finding.code for finding in inspection.findings}
    found = [finding for finding in data.judge_quality(dataset, profile) if finding.code not in said]
    describe = None if inspection.describe is None else data.remembered(inspection.describe)
    found += [*(evaluation.rehearsed_doubts(dataset, describe=describe) if rehearses else ()), *inspection.findings]
    obstacle = "" if measures else f"the run has less than {FEWEST_SECONDS_TO_MEASURE:.0f} seconds"
    return tuple(evaluation.with_effects(found, dataset, units=inspection.twins, describe=describe, obstacle=obstacle))


def _opened(weights: tuple[Weights, ...], modality: Modality, settings: Settings) -> Pretrained:
    """The families that start from these weights, and what is to be said about them.

    Raises:
        UsageError: models of this kind of data start from none, or these cannot be used.
    """
    if not weights:
        return Pretrained()
    if modality.pretrained is None:
        raise UsageError(f"models of {modality.name} data start from no pretrained weights; leave --backbone out.")
    pretrained = modality.pretrained(weights)
    demand_allowed(pretrained.weights, allowed=settings.allow_licences)
    return replace(pretrained, findings=(*findings_about(pretrained.weights), *pretrained.findings))


def _families(modality: Modality, settings: Settings, task: Task, *, others: tuple[Family, ...]) -> tuple[Family, ...]:
    """The families to try, `others` first; what is always needed as a yardstick is never left out."""
    wanted = {registry.family_named(modality, name, others=others).name for name in settings.families}
    families = [family for family in (*others, *modality.families()) if task.kind in family.tasks]
    if not wanted:
        return tuple(family for family in families if not family.on_request)
    return tuple(family for family in families if family.name in wanted or family.is_baseline)


def _check_wishes(settings: Settings, task: Task) -> None:
    """Refuse wishes about decisions that cannot be met, before any work.

    Raises:
        UsageError: there are not two classes, both kinds of wish came, or one is not a number in its range.
    """
    if not settings.costs and not settings.at_least:
        return
    if not task.is_classification or len(task.classes) != 2:
        raise UsageError(f"costs or a least precision are for two classes, and this is a {task.kind.value} task; leave them out.")
    if settings.costs and settings.at_least:
        raise UsageError("costs and a least precision or recall both choose the threshold; give one of them.")
    if settings.costs and (set(settings.costs) != set(ERRORS) or not all(0 < cost < np.inf for cost in settings.costs.values())):
        raise UsageError(f"costs {dict(settings.costs)} came; expected both, above 0: {ERRORS[0]}=1,{ERRORS[1]}=5.")
    wished = settings.at_least
    if wished and (len(wished) != 1 or not set(wished) <= set(DECIDED_BY) or not all(0 < least < 1 for least in wished.values())):
        raise UsageError(f"at least {dict(wished)} came; expected one share between 0 and 1: precision=0.9 or recall=0.9.")
