"""What every family must satisfy. Each check is one promise; it raises where the promise is broken."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import packing, training
from cupel.checks.bench import Bench, bench_for, demand, difference, emptied, shortened, take
from cupel.core import keeping, space
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.family import Family, UnitData
from cupel.core.feeds import feeds_of
from cupel.core.form import Form
from cupel.core.inputs import Inputs, InputShape
from cupel.core.masks import VOID
from cupel.core.presets import Preset
from cupel.core.space import Choice, Dimension
from cupel.core.task import TaskKind

Array = NDArray[Any]
PARITY = 1e-4
N_EPOCHS_TO_MEMORISE = 100
N_MEMORISED = 24
N_SEARCHED = 5
N_STEPS_TO_CHECKPOINT = 7


def check_family(family: Family, task: TaskKind | str, *, dataset: Dataset | None = None) -> None:
    """Raise unless the family keeps every promise for this kind of task.

    `dataset` is one that the family's modality reads, with task and target set; by default a small table made here.

    Raises:
        CheckFailedError: names the promise and how it is broken.
    """
    bench = bench_for(family, task, dataset=dataset)
    for check in FAMILY_CHECKS:
        check(bench)


def declares_itself(bench: Bench) -> None:
    """A family has a name, a source, tasks, a frozen config with defaults in range, and either fits or builds."""
    family = bench.family
    bench.demand(bool(family.name.strip()), "its name is empty", advice="give it the name that the literature uses")
    bench.demand(len(family.source) > 10, f"its source is {family.source!r}", advice="cite the paper, with year and arXiv number")
    bench.demand(bool(family.tasks), "it serves no task", advice="name the task kinds that it can do")
    both = (family.fit is None) == (family.build is None)
    bench.demand(not both, "fit and build are both given, or neither", advice="give exactly one of them")
    parameters = getattr(family.config, "__dataclass_params__", None)
    frozen = parameters is not None and parameters.frozen
    bench.demand(
        frozen, f"its config {family.config!r} is not a frozen dataclass", advice="write @dataclass(frozen=True, kw_only=True)"
    )
    space.check(family.config())


def offers_presets(bench: Bench) -> None:
    """Presets are hashable, printable, different from one another, and within their declared ranges."""
    presets = list(bench.family.portfolio(bench.task))
    bench.demand(bool(presets), "its portfolio is empty", advice="list at least the default configuration")
    keys = []
    for number, preset in enumerate(presets):
        candidate = _candidate(bench, preset, name=f"preset {number}")
        hash(candidate)
        json.dumps(candidate.to_plain())
        _check_ranges(preset)
        is_complete = bench.family.build is None or preset.recipe is not None
        bench.demand(is_complete, f"preset {number} has no recipe", advice="a network is trained by a recipe; give one")
        keys.append(candidate.key)
    bench.demand(len(set(keys)) == len(keys), "two presets are the same", advice="list each configuration once")


def searches_within_its_space(bench: Bench) -> None:
    """A sampled preset lies within the ranges, the same draw gives the same one, and narrowing is respected."""
    declared = bench.family.space(bench.task)
    found = [declared.sample(np.random.default_rng(seed)) for seed in range(N_SEARCHED)]
    for preset in found:
        _check_ranges(preset)
        hash(_candidate(bench, preset, name="searched"))
        again = declared.preset(declared.values_of(preset))
        bench.demand(again == preset, "its values give another preset", advice="let `finish` change no searched value")
    if not declared.dimensions:
        return
    n_different = len({_candidate(bench, preset, name="").key for preset in found})
    bench.demand(n_different > 1, f"{N_SEARCHED} draws gave one preset", advice="declare ranges that differ")
    name, dimension = next(iter(declared.dimensions.items()))
    one = dimension.cast(dimension.domain.at(0.7))
    narrowed = declared.narrowed({name: one}).sample(np.random.default_rng(0))
    held = declared.values_of(narrowed).get(name, one)
    bench.demand(held == one, f"{name} was fixed at {one!r}, and came out as {held!r}", advice="let `finish` leave it alone")


def estimates_its_cost(bench: Bench) -> None:
    """A cost is positive, finite, and does not fall with more rows."""
    preset = bench.family.portfolio(bench.task)[0]
    shape = InputShape.covering([bench.unit(preset)[1].train])
    costs = [bench.family.cost(n, shape, preset.config, preset.recipe, bench.task) for n in (100, 100_000)]
    for cost in costs:
        is_sound = all(0 < value < math.inf for value in (cost.seconds, cost.memory_bytes))
        bench.demand(is_sound, f"it estimates {cost}", advice="estimate seconds and bytes, both positive and finite")
    grows = costs[1].seconds >= costs[0].seconds and costs[1].memory_bytes >= costs[0].memory_bytes
    bench.demand(grows, f"100 rows cost {costs[0]}, 100,000 cost {costs[1]}", advice="let the estimate grow with the rows")


def builds_at_every_end_of_its_space(bench: Bench) -> None:
    """Every end of every range, and every choice, gives a model that predicts."""
    preset = bench.presets[0]
    _, unit = bench.unit(preset)
    for values in _ends(bench.family.config):
        config = replace(preset.config, **values)
        space.check(config)
        shown = ", ".join(f"{name}={value!r}" for name, value in values.items())
        if bench.family.build is not None:
            is_finite = _outputs_are_finite(bench, config, unit)
        else:
            is_finite = bool(np.isfinite(bench.fit(replace(preset, config=config), unit).predictions).all())
        bench.demand(is_finite, f"with {shown} its outputs are not finite", advice="narrow the range, or mend the model")


def gives_one_prediction_per_row(bench: Bench) -> None:
    """There is one prediction per row, also for one row; probabilities of classes sum to 1, those of labels are from 0 to 1."""
    _, unit, fitted = bench.fitted
    for n_rows in (unit.valid.n_samples, 1):
        predictions = fitted.model.predict(take(unit.valid, np.arange(n_rows)))
        expected = (n_rows, bench.task.n_outputs)
        shape = (predictions.shape, str(predictions.dtype))
        bench.demand(shape == (expected, "float64"), f"{n_rows} rows gave {shape}", advice=f"give float64 of shape {expected}")
        bench.demand(bool(np.isfinite(predictions).all()), "predictions are not finite", advice="find the NaN or overflow")
        if bench.task.form in (Form.CLASSES, Form.MASKS):
            off = float(np.abs(predictions.reshape(n_rows, len(bench.task.classes), -1).sum(axis=1) - 1).max())
            is_proper = off < 1e-6 and float(predictions.min()) >= 0
            bench.demand(is_proper, f"rows of probabilities sum to 1 ± {off:.1g}", advice="normalise in float64")
        if bench.task.form is Form.LABELS:
            low, high = float(predictions.min()), float(predictions.max())
            bench.demand(
                low >= 0 and high <= 1, f"labels have probabilities from {low:.3g} to {high:.3g}", advice="end in a sigmoid"
            )
    off = difference(fitted.predictions, fitted.model.predict(unit.valid))
    bench.demand(off < 1e-5 * bench.spread, f"unit and model differ by {off:.1g}", advice="predict both by the final model")


def predicts_each_row_by_itself(bench: Bench) -> None:
    """A row's prediction does not depend on the rows beside it, nor on their order."""
    _, unit, fitted = bench.fitted
    together = fitted.model.predict(unit.valid)
    shuffled = np.random.default_rng(0).permutation(unit.valid.n_samples)
    for rows in (shuffled, shuffled[:3], shuffled[:1]):
        off = difference(fitted.model.predict(take(unit.valid, rows)), together[rows])
        advice = "let no layer or step mix rows at prediction"
        bench.demand(off < 1e-5 * bench.spread, f"rows {rows[:3]} differ alone by {off:.1g}", advice=advice)


def repeats_itself(bench: Bench) -> None:
    """The same seed gives the same predictions, whatever global random state is."""
    _, unit, fitted = bench.fitted
    with _other_global_randomness(uses_torch=bench.family.build is not None):
        again = bench.fit(bench.presets[0], unit)
    off = difference(again.predictions, fitted.predictions)
    bench.demand(off == 0, f"a second fit with the same seed differs by {off:.1g}", advice="draw from the unit's seed alone")


def survives_missing_and_unseen_values(bench: Bench) -> None:
    """Rows whose cells are all missing, or were never seen in training, get a finite prediction."""
    prepared, _, fitted = bench.fitted
    rows = bench.rows[2]
    predictions = fitted.model.predict(prepared.fitted.transform(emptied(bench.dataset, rows), rows))
    bench.demand(bool(np.isfinite(predictions).all()), "empty rows gave NaN or infinity", advice="prepare for missing values")


def leaves_as_onnx(bench: Bench) -> None:
    """The packed graph predicts what the model predicts, for whole tables, one row, and empty rows."""
    inputs = tuple(bench.modality.graph_inputs(bench.dataset.schema))
    for preset in bench.presets:
        if preset is bench.presets[0]:
            prepared, _, fitted = bench.fitted
        else:
            prepared, unit = bench.unit(preset)
            fitted = bench.fit(shortened(preset, n_epochs=1), unit)
        exported = packing.export_unit(prepared.fitted, fitted.model, inputs, n_outputs=bench.task.n_outputs)
        session = packing.session(exported.SerializeToString())
        for table, rows in _tables(bench):
            expected = fitted.model.predict(prepared.fitted.transform(table, rows))
            off = difference(packing.run(session, feeds_of(table, rows, inputs)), expected)
            shown = f"the packed graph differs by {off:.1g} on {len(rows)} rows ({preset.config})"
            bench.demand(off <= PARITY * bench.spread, shown, advice="make emit write what predict computes")


def passes_gradients_to_every_parameter(bench: Bench) -> None:
    """Training moves every parameter of a network."""
    if bench.family.build is None:
        return
    import torch

    _, unit = bench.unit(bench.presets[0])
    network, blocks = _network(bench, bench.presets[0].config, unit)
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2)
    moved: set[str] = set()
    # Layers that begin at zero pass no gradient to those before them until they have moved.
    for _ in range(3):
        optimizer.zero_grad()
        outputs = network(blocks)
        (outputs * torch.linspace(0.5, 1.5, outputs.numel()).reshape(outputs.shape) - 1).square().mean().backward()
        moved |= {name for name, p in network.named_parameters() if p.grad is not None and bool(p.grad.ne(0).any())}
        optimizer.step()
    still = [name for name, p in network.named_parameters() if p.requires_grad and p.numel() and name not in moved]
    bench.demand(not still, f"no gradient reaches {', '.join(still)}", advice="use the parameter in forward, or drop it")


def says_whether_it_remembers(bench: Bench) -> None:
    """A network that looks its training rows up says so: it cannot learn from rows that are not in memory."""
    keeps = False
    if bench.family.build is not None:
        from cupel.core.layers import Network

        network, _ = _network(bench, bench.presets[0].config, bench.unit(bench.presets[0])[1])
        keeps = any(isinstance(part, Network) and type(part).remember is not Network.remember for part in network.modules())
    said = "says that it" if bench.family.remembers else "does not say that it"
    bench.demand(keeps == bench.family.remembers, f"it {said} remembers training rows", advice="set `remembers` as it is")


def memorises_a_small_batch(bench: Bench) -> None:
    """A network can learn a few rows by heart, with targets that mean nothing; masks, which move with pictures, are their own."""
    if bench.family.build is None:
        return
    preset = shortened(bench.family.portfolio(bench.task)[0], n_epochs=N_EPOCHS_TO_MEMORISE)
    recipe = replace(preset.recipe, patience=100, label_smoothing=0.0, weight_decay=0.0, ema=0.0)  # type: ignore[type-var]
    _, unit = bench.unit(preset)
    few = _first_different(unit.train, N_MEMORISED)
    rows, target = take(unit.train, few), _to_memorise(bench, unit, few)
    batch = replace(unit, train=rows, train_target=target, stop=rows, stop_target=target, valid=rows)
    predictions = bench.fit(replace(preset, recipe=recipe), batch).predictions
    if bench.task.grid:
        said = predictions.reshape(len(few), len(bench.task.classes), *bench.task.grid).argmax(axis=1)
        quality = float((said == target)[target != VOID].mean())
    elif bench.task.is_classification:
        quality = float((predictions.argmax(axis=1) == target).mean())
    elif bench.task.form is Form.LABELS:
        quality = float(((predictions >= 0.5) == (target == 1)).mean())
    else:
        quality = 1 - float(np.mean((predictions[:, 0] - target) ** 2) / np.var(target))
    shown = f"after {N_EPOCHS_TO_MEMORISE} epochs on {len(few)} rows it explains {quality:.2f} of them"
    bench.demand(quality >= 0.9, shown, advice="look for a layer that loses the signal, or a learning rate far off")


def goes_on_from_a_checkpoint(bench: Bench) -> None:
    """Training that was ended after any step goes on from there to the same model: whatever it draws from is kept.

    Families that train themselves need not keep anything, but what they do keep must lead to the same.
    """
    _, unit, fitted = bench.fitted
    preset = bench.presets[0]
    with _at_every_step():
        checkpoints = _Ending(after=N_STEPS_TO_CHECKPOINT)
        with contextlib.suppress(_EndedError):
            bench.fit(preset, unit, checkpoints=checkpoints)
        again = bench.fit(preset, unit, checkpoints=_Ending(checkpoints.kept))
    off = difference(again.predictions, fitted.predictions)
    advice = "hold generators, counters and pools as attributes of modules, single or in lists (training/hidden.py)"
    bench.demand(off == 0, f"training that went on from a checkpoint gave predictions that differ by {off:.1g}", advice=advice)


def stops_when_time_is_up(bench: Bench) -> None:
    """A deadline that has passed ends training at once: by what there is so far, or by a TrainingError."""
    preset = bench.family.portfolio(bench.task)[0]
    _, unit = bench.unit(preset)
    watch = Deadline(20)
    with contextlib.suppress(TrainingError):
        training.fit(
            bench.family,
            [unit],
            config=preset.config,
            recipe=preset.recipe,
            task=bench.task,
            deadline=Deadline(0),
            threads=1,
        )
    bench.demand(not watch.passed, f"it trained on for {watch.elapsed:.0f} s", advice="look at the deadline every few steps")


FAMILY_CHECKS: tuple[Callable[[Bench], None], ...] = (
    declares_itself,
    offers_presets,
    searches_within_its_space,
    estimates_its_cost,
    gives_one_prediction_per_row,
    predicts_each_row_by_itself,
    repeats_itself,
    survives_missing_and_unseen_values,
    leaves_as_onnx,
    builds_at_every_end_of_its_space,
    passes_gradients_to_every_parameter,
    says_whether_it_remembers,
    memorises_a_small_batch,
    goes_on_from_a_checkpoint,
    stops_when_time_is_up,
)


class _EndedError(Exception):
    """A process that is killed, as far as a check can have that."""


class _Ending:
    """Checkpoints in memory, which end what writes them after some."""

    def __init__(self, kept: dict[str, bytes] | None = None, *, after: float = math.inf) -> None:
        self.kept, self._n_left = kept or {}, after

    def save(self, name: str, content: bytes) -> None:
        """Keep it, or end."""
        self._n_left -= 1
        if self._n_left < 0:
            raise _EndedError
        self.kept[name] = content

    def load(self, name: str) -> bytes | None:
        """What was kept."""
        return self.kept.get(name)


@contextlib.contextmanager
def _at_every_step() -> Iterator[None]:
    """Checkpoints without waiting."""
    before = keeping.SHORTEST_SECONDS, keeping.LONGEST_SECONDS
    keeping.SHORTEST_SECONDS = keeping.LONGEST_SECONDS = 0.0
    try:
        yield
    finally:
        keeping.SHORTEST_SECONDS, keeping.LONGEST_SECONDS = before


@contextlib.contextmanager
def _other_global_randomness(*, uses_torch: bool) -> Iterator[None]:
    """Global random states changed on purpose, and put back afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(12345)  # noqa: NPY002
    with contextlib.ExitStack() as stack:
        if uses_torch:
            import torch

            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(12345)
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _candidate(bench: Bench, preset: Preset, *, name: str) -> Candidate:
    return Candidate(
        name=name,
        modality=bench.modality.name,
        family=bench.family.name,
        config=preset.config,
        preparation=preset.preparation,
        recipe=preset.recipe,
    )


def _check_ranges(preset: Preset) -> None:
    """Config and preparation lie within their ranges; a recipe's ranges are for search in general, its choices bind."""
    space.check(preset.config)
    space.check(preset.preparation)
    recipe = preset.recipe
    dimensions = () if recipe is None else space.space_of(type(recipe))
    for dimension in dimensions:
        value = getattr(recipe, dimension.name)
        is_known = value in dimension.domain or not isinstance(dimension.domain, Choice)
        demand(is_known, who="recipe", came=f"{dimension.name} is {value!r}", advice=f"choose from {dimension.domain}")


def _ends(config: type) -> Iterator[dict[str, Any]]:
    """Values for each field at the ends of its range, or each of its choices, with what makes the field matter."""
    for dimension in space.space_of(config):
        condition = dimension.condition
        needed = {} if condition is None else {condition.field: condition.values[0]}
        for value in _end_values(dimension):
            yield {**needed, dimension.name: value}


def _end_values(dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension.domain, Choice):
        return dimension.domain.options
    return dimension.cast(dimension.domain.low), dimension.cast(dimension.domain.high)


def _network(bench: Bench, config: Any, unit: UnitData) -> tuple[Any, dict[str, Any]]:
    """A fresh network for one model, and its training blocks with the models' axis in front."""
    import torch

    assert bench.family.build is not None, "only asked of families that build"
    shape = InputShape.covering([unit.train, unit.stop, unit.valid])
    network = bench.family.build(shape, n_outputs=bench.task.n_outputs, task=bench.task, config=config, seeds=[unit.seed])
    blocks = {name: torch.from_numpy(block)[None] for name, block in unit.train.blocks.items()}
    network.initialise(blocks)
    target = np.asarray(unit.train_target, np.int64 if bench.task.is_classification else np.float32)
    network.remember(blocks, torch.from_numpy(target)[None], sizes=[len(target)])
    return network, blocks


def _outputs_are_finite(bench: Bench, config: Any, unit: UnitData) -> bool:
    import torch

    network, blocks = _network(bench, config, unit)
    network.eval()
    with torch.inference_mode():
        return bool(network({name: block[:, :4] for name, block in blocks.items()}).isfinite().all())


def _tables(bench: Bench) -> Iterator[tuple[Dataset, Array]]:
    rows = bench.rows[2]
    yield bench.dataset, rows
    yield bench.dataset, rows[:1]
    yield emptied(bench.dataset, rows), rows[:3]


def _first_different(inputs: Inputs, n_rows: int) -> Array:
    """The first rows that no earlier one equals, as two missing pictures do: equal rows cannot be told apart by heart."""
    contents = (b"".join(block[row].tobytes() for block in inputs.blocks.values()) for row in range(inputs.n_samples))
    first = {content: row for row, content in reversed(list(enumerate(contents)))}
    return np.array(sorted(first.values())[:n_rows])


def _to_memorise(bench: Bench, unit: UnitData, few: Array) -> Array:
    if bench.task.grid:
        own: Array = unit.train_target[few]
        return own
    return np.random.default_rng(0).permutation(_balanced(bench, len(few)))


def _balanced(bench: Bench, n_rows: int) -> Array:
    """Targets for a few rows: every class equally often, every set of labels, or values spread like the dataset's."""
    if bench.task.form is Form.LABELS:
        return (np.arange(n_rows)[:, None] >> np.arange(bench.task.n_outputs) & 1).astype(np.float64)
    if bench.task.is_classification:
        return np.arange(n_rows) % bench.task.n_outputs
    return np.linspace(bench.target.min(), bench.target.max(), n_rows)
