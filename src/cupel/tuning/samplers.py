"""Ways to choose the next point of one family's space; what is known about search methods is Optuna's."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cupel.core.presets import Preset, Space
from cupel.core.space import Choice, Dimension, Range

if TYPE_CHECKING:
    import optuna

History = Sequence[tuple[Preset, float | None]]
"""Presets of one family that were tried, with scores; larger is better, minus infinity raced out, None failed or skipped."""


class Sampler(Protocol):
    """Draws presets from a space."""

    def draw(self, history: History) -> Preset | None:
        """The next preset, or None where there is no more. Depends on the seed, on earlier draws and on `history`."""
        ...


class RandomSampler:
    """Uniform draws."""

    def __init__(self, space: Space, *, seed: int) -> None:
        self._space, self._generator = space, np.random.default_rng(seed)

    def draw(self, history: History) -> Preset | None:
        """A draw that does not look back."""
        del history
        return self._space.sample(self._generator)


class QuasiRandomSampler:
    """Scrambled Sobol points: they fill the space more evenly than chance.

    Source: Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points".
    """

    def __init__(self, space: Space, *, seed: int) -> None:
        from scipy.stats import qmc

        self._space = space
        self._points = qmc.Sobol(d=max(len(space.dimensions), 1), scramble=True, rng=np.random.default_rng(seed))

    def draw(self, history: History) -> Preset | None:
        """The next point of the sequence."""
        del history
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a number of points that is no power of two is only a little less even
            point = self._points.random(1)[0]
        return self._space.preset(self._space.at(point[: len(self._space.dimensions)]))


class GridSampler:
    """Every combination, in a random order so that a search that ends early has seen all of the space.

    Ranges are cut into `RESOLUTION` values; of more than `LARGEST` combinations a part is taken.
    """

    RESOLUTION = 3
    LARGEST = 20_000
    MOST_REPEATS = 1000

    def __init__(self, space: Space, *, seed: int) -> None:
        sizes = [len(axis) for axis in space.axes(self.RESOLUTION).values()]
        generator = np.random.default_rng(seed)
        self._presets: Iterator[Preset]
        if np.prod(np.array(sizes, dtype=float)) <= self.LARGEST:
            presets = list(space.grid(self.RESOLUTION))
            self._presets = iter([presets[position] for position in generator.permutation(len(presets))])
        else:
            self._presets = _cells(space, generator)

    def draw(self, history: History) -> Preset | None:
        """The next combination, None after the last."""
        del history
        return next(self._presets, None)


def _cells(space: Space, generator: np.random.Generator) -> Iterator[Preset]:
    """Random cells of a grid that is too large to write down, each once; the end where so many in a row were had before."""
    axes = space.axes(GridSampler.RESOLUTION)
    seen: set[Preset] = set()
    n_repeats = 0
    while len(seen) < GridSampler.LARGEST and n_repeats < GridSampler.MOST_REPEATS:
        values = {name: axis[generator.integers(len(axis))] for name, axis in axes.items()}
        preset = space.preset({name: value for name, value in values.items() if space.is_active(name, values)})
        n_repeats = n_repeats + 1 if preset in seen else 0
        if not n_repeats:
            seen.add(preset)
            yield preset


class BayesianSampler:
    """Tree-structured Parzen estimators, or a Gaussian process, over the active dimensions.

    Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; Watanabe 2023, arXiv:2304.11127; for the
    process Snoek et al. 2012, arXiv:1206.2944. Both as Optuna has them.
    """

    def __init__(self, space: Space, *, seed: int, model: str, n_startup: int = 6) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that parts of it are new to Optuna
            sampler: optuna.samplers.BaseSampler = (
                optuna.samplers.GPSampler(seed=seed, n_startup_trials=n_startup, deterministic_objective=False)
                if model == "gp"
                else optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup, multivariate=True, group=True)
            )
        self._space = space
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[Preset, optuna.Trial] = {}
        self._told: set[Preset] = set()

    def draw(self, history: History) -> Preset | None:
        """What promises most, given the history."""
        for preset, score in history:
            self._tell(preset, score)
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for name in ordered(self._space):
            if self._space.is_active(name, values):
                values[name] = _suggested(trial, self._space.dimensions[name])
        preset = self._space.preset(values)
        self._asked[preset] = trial
        return preset

    def _tell(self, preset: Preset, score: float | None) -> None:
        import optuna

        if preset in self._told:
            return
        self._told.add(preset)
        if preset in self._asked:
            state = _state(score)
            value = score if state is optuna.trial.TrialState.COMPLETE else None
            self._study.tell(self._asked[preset], value, state=state)
        elif score is not None and (known := frozen(self._space, preset, score=score)) is not None:
            self._study.add_trial(known)


def _state(score: float | None) -> optuna.trial.TrialState:
    """What Optuna calls it: pruned is what was raced out, and worse to it than all that is complete."""
    import optuna

    if score is None or math.isnan(score):
        return optuna.trial.TrialState.FAIL
    return optuna.trial.TrialState.COMPLETE if math.isfinite(score) else optuna.trial.TrialState.PRUNED


def ordered(space: Space) -> list[str]:
    """Names of dimensions, each after the one that its condition looks at."""
    names = list(space.dimensions)
    conditions = {name: space.dimensions[name].condition for name in names}
    placed: list[str] = []
    while len(placed) < len(names):
        for name in names:
            condition = conditions[name]
            waits = condition is not None and condition.field in names and condition.field not in placed
            if name not in placed and not waits:
                placed.append(name)
    return placed


def frozen(space: Space, preset: Preset, *, score: float | None) -> optuna.trial.FrozenTrial | None:
    """A finished trial as Optuna keeps it; None where the preset lies outside of the space."""
    import optuna

    if not space.holds(preset):
        return None
    values = space.values_of(preset)
    distributions = {name: distribution(space.dimensions[name]) for name in values}
    return optuna.trial.create_trial(
        params={name: _stored(value, space.dimensions[name]) for name, value in values.items()},
        distributions=distributions,
        value=score if _state(score) is optuna.trial.TrialState.COMPLETE else None,
        state=_state(score),
    )


def distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    """A dimension in Optuna's words."""
    import optuna

    domain = dimension.domain
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution([_stored(option, dimension) for option in domain.options])
    if dimension.kind is int:
        return optuna.distributions.IntDistribution(round(domain.low), round(domain.high), log=domain.log)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)


def _suggested(trial: optuna.Trial, dimension: Dimension) -> Any:
    domain = dimension.domain
    if isinstance(domain, Choice):
        chosen = trial.suggest_categorical(dimension.name, [_stored(option, dimension) for option in domain.options])
        return next(option for option in domain.options if _stored(option, dimension) == chosen)
    if dimension.kind is int:
        return trial.suggest_int(dimension.name, round(domain.low), round(domain.high), log=domain.log)
    return trial.suggest_float(dimension.name, domain.low, domain.high, log=domain.log)


def _stored(value: Any, dimension: Dimension) -> Any:
    """A value as Optuna can store it: options that are not plain become text."""
    is_plain = isinstance(dimension.domain, Range) or value is None or isinstance(value, bool | int | float | str)
    return value if is_plain else repr(value)


def sampler_named(name: str, space: Space, *, seed: int) -> Sampler:
    """The sampler of that name: grid, random, quasi-random, tpe or gp."""
    makers: dict[str, Callable[..., Sampler]] = {"grid": GridSampler, "random": RandomSampler, "quasi-random": QuasiRandomSampler}
    return makers[name](space, seed=seed) if name in makers else BayesianSampler(space, seed=seed, model=name)


def derived_seed(seed: int, *purpose: object) -> int:
    """A seed of its own for every purpose."""
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return int.from_bytes(digest[:4], "big")
