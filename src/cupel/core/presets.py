"""Presets, and the space from which more of them are made: one declaration that every search strategy works on."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cupel.core.errors import UsageError
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Dimension, Range, is_active, space_of
from cupel.core.wishes import wished_domain

Values = Mapping[str, Any]
PARTS = ("config", "recipe", "preparation")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A configuration that has earned its place: what a family is tried with before any search.

    `place` is its place among the presets of all families; those without one come after those with one, in turns.
    """

    config: Any
    preparation: Any
    recipe: Recipe | None = None
    place: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """What may be chosen about a family, around a default: dimensions by name, each belonging to one part of a preset.

    `wished` are the dimensions that a user narrowed or opened.
    """

    default: Preset
    dimensions: Mapping[str, Dimension]
    parts: Mapping[str, str]
    wished: frozenset[str] = frozenset()

    @classmethod
    def around(
        cls,
        default: Preset,
        *,
        config: Mapping[str, Range | Choice | None] | None = None,
        recipe: Mapping[str, Range | Choice | None] | None = None,
        preparation: Mapping[str, Range | Choice | None] | None = None,
    ) -> Space:
        """Everything that the config declares, and of recipe and preparation what is named here.

        A domain given here replaces the declared one; None keeps a field of the config at its default.
        """
        asked = {"config": dict(config or {}), "recipe": dict(recipe or {}), "preparation": dict(preparation or {})}
        dimensions: dict[str, Dimension] = {}
        parts: dict[str, str] = {}
        for part in PARTS:
            holder = getattr(default, part)
            declared = {} if holder is None else {dimension.name: dimension for dimension in space_of(type(holder))}
            unknown = set(asked[part]) - set(declared)
            if unknown:
                raise UsageError(f"{sorted(unknown)} are no searchable fields of the {part}; there are {sorted(declared)}.")
            for name in declared if part == "config" else asked[part]:
                domain = asked[part].get(name, declared[name].domain)
                if domain is None:
                    continue
                if name in dimensions:
                    raise UsageError(f"{name!r} is a field of two parts of a preset; rename the config's.")
                dimensions[name] = replace(declared[name], domain=domain, default=getattr(holder, name))
                parts[name] = part
        return cls(default=default, dimensions=dimensions, parts=parts)

    def preset(self, values: Values) -> Preset:
        """The preset with these values; dimensions not named, or whose condition does not hold, keep their defaults."""
        unknown = set(values) - set(self.dimensions)
        if unknown:
            raise UsageError(f"{sorted(unknown)} are not in this space; there are {sorted(self.dimensions)}.")
        changes: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for name, dimension in self.dimensions.items():
            if name in values and self.is_active(name, values):
                changes[self.parts[name]][name] = dimension.cast(values[name])
        found = {
            part: replace(getattr(self.default, part), **changed) if changed else getattr(self.default, part)
            for part, changed in changes.items()
        }
        return Preset(**found)

    def values_of(self, preset: Preset) -> dict[str, Any]:
        """The values of a preset's active dimensions."""
        values = {name: getattr(getattr(preset, part), name) for name, part in self.parts.items()}
        return {name: value for name, value in values.items() if self.is_active(name, values)}

    def holds(self, preset: Preset) -> bool:
        """Whether the preset is a point of the space: what is searched lies within, and all else is as in the default."""
        return self.as_default(preset, self.parts) == self.default and all(
            value in self.dimensions[name].domain for name, value in self.values_of(preset).items()
        )

    def as_default(self, preset: Preset, names: Collection[str]) -> Preset:
        """The preset with the default's values for those of these that the space has."""
        changes: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for name, part in self.parts.items():
            if name in names:
                changes[part][name] = getattr(getattr(self.default, part), name)
        return replace(preset, **{part: replace(getattr(preset, part), **c) for part, c in changes.items() if c})

    def is_active(self, name: str, values: Values) -> bool:
        """Whether the dimension matters beside these values."""
        known = {other: values.get(other, dimension.default) for other, dimension in self.dimensions.items()}
        holder = getattr(self.default, self.parts[name])
        return is_active(self.dimensions[name], {**vars_of(holder), **known})

    def why_idle(self, name: str, presets: Iterable[Preset] = ()) -> str:
        """Why the dimension matters at no point of the space and in none of the presets, as a sentence; "" where it does."""
        condition, holder = self.dimensions[name].condition, getattr(self.default, self.parts[name])
        holders = (getattr(preset, self.parts[name]) for preset in presets)
        if condition is None or any(is_active(self.dimensions[name], vars_of(each)) for each in holders):
            return ""
        other, now = self.dimensions.get(condition.field), getattr(holder, condition.field)
        if any(value in other.domain if other else value == now for value in condition.values):
            return ""
        needed = " or ".join(map(repr, condition.values))
        return (
            f"{name!r} matters only where {condition.field!r} is {needed}, and it never is; choose that too, or leave this out."
        )

    def at(self, point: Iterable[float]) -> dict[str, Any]:
        """The values of what is active at a point of the unit cube; the point has a coordinate for every dimension."""
        drawn = zip(self.dimensions.items(), point, strict=True)
        values = {name: dimension.cast(dimension.domain.at(float(fraction))) for (name, dimension), fraction in drawn}
        return {name: value for name, value in values.items() if self.is_active(name, values)}

    def sample(self, generator: np.random.Generator) -> Preset:
        """A preset drawn uniformly."""
        return self.preset(self.at(generator.random(len(self.dimensions))))

    def grid(self, resolution: int) -> Iterator[Preset]:
        """Every combination of all options and of `resolution` evenly spaced numbers per range, each preset once.

        The last dimension varies slowest, so that the first few presets already differ in what is declared first.
        """
        axes = list(self.axes(resolution).values())
        seen: set[Preset] = set()
        for reversed_values in itertools.product(*reversed(axes)):
            values = dict(zip(self.dimensions, reversed(reversed_values), strict=True))
            active = {name: value for name, value in values.items() if self.is_active(name, values)}
            preset = self.preset(active)
            if preset not in seen:
                seen.add(preset)
                yield preset

    def axes(self, resolution: int) -> dict[str, list[Any]]:
        """Of each dimension all options, or so many evenly spaced numbers, each once however narrow its range is."""
        return {
            name: list(dict.fromkeys(dimension.cast(value) for value in dimension.domain.spread(resolution)))
            for name, dimension in self.dimensions.items()
        }

    def narrowed(self, wishes: Mapping[str, Any]) -> Space:
        """The space as a user wants it: ranges narrowed or extended, fields fixed, further ones opened.

        A wish is a value (fixed), two numbers (from, to), a list of options, or a mapping with `low`, `high`, `log` or
        `options`. Any declared field of config, recipe or preparation may be named, and any option that its class declares,
        those among them that a family does not search.

        Raises:
            UsageError: there is no such field, or the wish cannot be read.
        """
        dimensions, parts = dict(self.dimensions), dict(self.parts)
        for name, wish in wishes.items():
            part, dimension = self._declared(name)
            domain = wished_domain(self._widest(part, dimension), wish)
            default = dimension.default if dimension.default in domain else dimension.cast(domain.nearest(dimension.default))
            dimensions[name] = replace(dimension, domain=domain, default=default)
            parts[name] = part
        narrowed = replace(self, dimensions=dimensions, parts=parts, wished=self.wished | set(wishes))
        return replace(narrowed, default=narrowed.held(self.default))

    def held(self, preset: Preset) -> Preset:
        """The preset, moved to the nearest that the wishes allow; what nobody wished for stays, even outside of the space."""
        changes: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for name, part in self.parts.items():
            value, dimension = getattr(getattr(preset, part), name), self.dimensions[name]
            if name in self.wished and value not in dimension.domain:
                changes[part][name] = dimension.cast(dimension.domain.nearest(value))
        return replace(
            preset, **{part: replace(getattr(preset, part), **c) if c else getattr(preset, part) for part, c in changes.items()}
        )

    def without(self, names: Collection[str]) -> Space:
        """The space in which these stay as in the default, but for what a user wished for."""
        kept = {name: dimension for name, dimension in self.dimensions.items() if name not in names or name in self.wished}
        return replace(self, dimensions=kept, parts={name: self.parts[name] for name in kept})

    def has(self, name: str) -> bool:
        """Whether a field of that name is declared in any part, so that it can be wished for."""
        return any(name in {d.name for d in space_of(type(holder))} for _, holder in self._holders())

    def _holders(self) -> list[tuple[str, Any]]:
        held = [(part, getattr(self.default, part)) for part in PARTS]
        return [(part, holder) for part, holder in held if dataclasses.is_dataclass(holder)]

    def _declared(self, name: str) -> tuple[str, Dimension]:
        if name in self.dimensions:
            return self.parts[name], self.dimensions[name]
        for part, holder in self._holders():
            for dimension in space_of(type(holder)):
                if dimension.name == name:
                    return part, replace(dimension, default=getattr(holder, name))
        known = sorted({dimension.name for _, holder in self._holders() for dimension in space_of(type(holder))})
        raise UsageError(f"there is nothing named {name!r} to choose; there are {', '.join(known)}.")

    def _widest(self, part: str, dimension: Dimension) -> Dimension:
        """The same with all options that its class declares, where a family searches some of these."""
        declared = {each.name: each.domain for each in space_of(type(getattr(self.default, part)))}
        own, domain = declared.get(dimension.name), dimension.domain
        if isinstance(own, Choice) and isinstance(domain, Choice) and set(domain.options) < set(own.options):
            return replace(dimension, domain=own)
        return dimension


def vars_of(holder: Any) -> dict[str, Any]:
    """A dataclass's fields as a dict; of None nothing."""
    return {} if holder is None else {field.name: getattr(holder, field.name) for field in dataclasses.fields(holder)}
