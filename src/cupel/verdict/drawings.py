"""Draws SVG: scales, axes and marks, enough for the report's pictures and without any library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]
MAX_TICKS = 200


def shown(number: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{number:.1f}"
    return text[:-2] if text.endswith(".0") else text


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`; values outside are held at the ends."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:  # noqa: D102
        low, high, value = (self._linear(self.low), self._linear(self.high), self._linear(value))
        if not high > low:
            return (self.start + self.end) / 2
        fraction = min(max((value - low) / (high - low), 0.0), 1.0)
        return self.start + fraction * (self.end - self.start)

    def _linear(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    def ticks(self, n_wanted: int = 5) -> list[float]:
        """Round values within the scale, about as many as wanted."""
        if self.log:
            return self._decades(n_wanted)
        span = self.high - self.low
        if not (span > 0 and math.isfinite(span)):
            return [self.low]
        rough = span / max(n_wanted, 1)
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        count = min(math.floor(self.high / step + 1e-9) - first, MAX_TICKS)
        return [round((first + i) * step, 12 - math.floor(math.log10(step))) for i in range(count + 1)]

    def _decades(self, n_wanted: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        powers = list(range(first, last + 1))
        if len(powers) <= 2:
            steps = [10.0**power * factor for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
            return [step for step in steps if self.low * 0.999 <= step <= self.high * 1.001]
        stride = max(1, math.ceil(len(powers) / n_wanted))
        return [10.0**power for power in powers[::stride]]


def around(values: Sequence[float], *, margin: float = 0.05) -> tuple[float, float]:
    """The range of the finite values with some air on both sides; (0, 1) where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    air = (high - low) * margin or abs(high) * margin or 1.0
    return low - air, high + air


def tick_text(value: float, ticks: Sequence[float] = ()) -> str:
    """A tick's label: as few digits as tell it from its neighbours, thousands as k, M, G."""
    largest = max((abs(tick) for tick in ticks), default=abs(value))
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if largest >= limit:
            return f"{value / {'G': 1e9, 'M': 1e6, 'k': 1e3}[unit]:.4g}{unit}" if value else "0"
    return f"{value:.6g}".replace("-", "−")


class Drawing:
    """An SVG picture under construction; colours come from style-sheet classes, so that it follows light and dark."""

    def __init__(self, width: float, height: float, *, label: str) -> None:
        self._head = (
            f'<svg viewBox="0 0 {shown(width)} {shown(height)}" width="{shown(width)}" height="{shown(height)}" '
            f'role="img" aria-label="{escape(label)}">'
        )
        self._parts: list[str] = []
        self.width = width
        self.height = height

    def line(self, start: Point, end: Point, style: str) -> None:
        """A straight line."""
        (x1, y1), (x2, y2) = start, end
        self._parts.append(f'<line class="{style}" x1="{shown(x1)}" y1="{shown(y1)}" x2="{shown(x2)}" y2="{shown(y2)}"/>')

    def path(self, points: Sequence[Point], style: str, *, closed: bool = False, title: str = "") -> None:
        """A line through points, or an area."""
        drawn = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        if len(drawn) < 2:
            return
        steps = "L".join(f"{shown(x)} {shown(y)}" for x, y in drawn)
        end = "Z" if closed else ""
        self._parts.append(f'<path class="{style}" d="M{steps}{end}">{_title(title)}</path>')

    def image(self, corner: Point, size: Point, url: str) -> None:
        """A picture given as a data URL, stretched to a size, its pixels left sharp."""
        (x, y), (width, height) = corner, size
        self._parts.append(
            f'<image class="pixels" x="{shown(x)}" y="{shown(y)}" width="{shown(width)}" height="{shown(height)}" '
            f'preserveAspectRatio="none" href="{escape(url)}"/>'
        )

    def rect(self, corner: Point, size: Point, style: str, *, opacity: float = 1.0, title: str = "", key: str = "") -> None:
        """A rectangle from its upper left corner; by `key` a script finds it."""
        (x, y), (width, height) = corner, size
        faded = f' fill-opacity="{opacity:.3g}"' if opacity < 1 else ""
        found_by = f' data-key="{escape(key)}"' if key else ""
        self._parts.append(
            f'<rect class="{style}" x="{shown(x)}" y="{shown(y)}" width="{shown(max(width, 0))}" '
            f'height="{shown(max(height, 0))}"{faded}{found_by}>{_title(title)}</rect>'
        )

    def dot(self, center: Point, radius: float, style: str, *, title: str = "") -> None:
        """A filled circle."""
        x, y = center
        self._parts.append(
            f'<circle class="{style}" cx="{shown(x)}" cy="{shown(y)}" r="{shown(radius)}">{_title(title)}</circle>'
        )

    def text(self, place: Point, words: str, style: str = "", *, anchor: str = "start", turned: bool = False) -> None:
        """Words at a point, escaped; `turned` reads from below upward."""
        x, y = place
        turn = f' transform="rotate(-90 {shown(x)} {shown(y)})"' if turned else ""
        kind = f' class="{style}"' if style else ""
        side = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{shown(x)}" y="{shown(y)}"{kind}{side}{turn}>{escape(words)}</text>')

    def interval(self, middle: Point, ends: Point, style: str, *, radius: float = 4.5, title: str = "") -> None:
        """A dot on a horizontal bar that reaches from one x to another."""
        _, y = middle
        self.line((ends[0], y), (ends[1], y), f"bar {style}")
        self.dot(middle, radius, f"mark {style}", title=title)

    def svg(self) -> str:
        """The finished picture."""
        return self._head + "".join(self._parts) + "</svg>"


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What one axis of a plot says: its range, its name, and how its ticks are written."""

    low: float
    high: float
    name: str
    log: bool = False
    n_ticks: int = 5
    grid: bool = True
    written: Callable[[float], str] | None = None


class Plot(Drawing):
    """A drawing with two axes; `x` and `y` map values to pixels."""

    LEFT, RIGHT, TOP, BOTTOM = 54.0, 14.0, 12.0, 44.0
    BESIDE_TICKS, A_CHARACTER = 30.0, 6.3

    def __init__(self, x: Axis, y: Axis, *, label: str, width: float = 460, height: float = 300) -> None:
        super().__init__(width, height, label=label)
        self.y = Scale(y.low, y.high, height - self.BOTTOM, self.TOP, y.log)
        longest = max((len(words) for _, words in self._ticks(self.y, y)), default=0)
        left = max(self.LEFT, self.BESIDE_TICKS + self.A_CHARACTER * longest)
        self.x = Scale(x.low, x.high, left, width - self.RIGHT, x.log)
        self._draw_x(x)
        self._draw_y(y)

    def at(self, x: float, y: float) -> Point:
        """The pixel of a value pair."""
        return self.x(x), self.y(y)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> list[Point]:
        """The pixels of value pairs; pairs that are not finite are left out."""
        pairs = zip(xs, ys, strict=True)
        return [self.at(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]

    @staticmethod
    def _ticks(scale: Scale, axis: Axis) -> list[tuple[float, str]]:
        ticks = scale.ticks(axis.n_ticks)
        return [(tick, axis.written(tick) if axis.written else tick_text(tick, ticks)) for tick in ticks]

    def _draw_x(self, axis: Axis) -> None:
        for tick, words in self._ticks(self.x, axis):
            at = self.x(tick)
            if axis.grid:
                self.line((at, self.y.start), (at, self.y.end), "grid")
            self.text((at, self.y.start + 17), words, "tick", anchor="middle")
        self.line((self.x.start, self.y.start), (self.x.end, self.y.start), "axis")
        self.text(((self.x.start + self.x.end) / 2, self.height - 7), axis.name, "name", anchor="middle")

    def _draw_y(self, axis: Axis) -> None:
        for tick, words in self._ticks(self.y, axis):
            at = self.y(tick)
            if axis.grid:
                self.line((self.x.start, at), (self.x.end, at), "grid")
            self.text((self.x.start - 7, at + 4), words, "tick", anchor="end")
        self.text((14, (self.y.start + self.y.end) / 2), axis.name, "name", anchor="middle", turned=True)
