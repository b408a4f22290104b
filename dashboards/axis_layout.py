"""Which factor of a region goes to which axis of its map, and where on it each value lies.

Factors are the dotted names of `points[].factors` in region.json. One that takes a single value
says nothing about the map and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sweeps.records.model_answer import Factor
from sweeps.records.region_file import PointEntry

#: A numeric factor with fewer values than this is a category wherever another has more.
AXIS_VALUES = 3
#: An axis is logarithmic when its largest positive value is this many times the smallest.
LOG_RATIO = 8.0
#: A place apart lies this fraction of the scale's length away from it.
APART = 0.15


@dataclass(frozen=True)
class Axis:
    """One numeric factor. `values` are distinct and ascending; some points may not have it.

    Positions are log10 of the value on a logarithmic axis, where 0 has a place apart, to the left
    of the scale; the place of points without the factor is further left still.
    """

    name: str
    values: tuple[float, ...]
    has_missing: bool

    @cached_property
    def logarithmic(self) -> bool:
        """Whether no value is negative and the positive ones span at least `LOG_RATIO`."""
        positive = [value for value in self.values if value > 0]
        return self.values[0] >= 0 and bool(positive) and positive[-1] / positive[0] >= LOG_RATIO

    @property
    def detached_zero(self) -> bool:
        """Whether 0 stands apart, because a logarithmic scale has no place for it."""
        return self.logarithmic and self.values[0] == 0

    def is_apart(self, value: float | None) -> bool:
        """Whether a value lies left of a break."""
        return value is None or (self.detached_zero and value == 0)

    def place(self, value: float | None) -> float:
        """Where a value lies; None stands for a point without this factor."""
        if self.is_apart(value):
            steps = 2 if value is None and self.detached_zero else 1
            return self._scale[0] - steps * self._step
        assert value is not None
        return math.log10(value) if self.logarithmic else float(value)

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """Positions of the smallest and the largest value that are on the scale."""
        places = [self.place(value) for value in self.values if not self.is_apart(value)]
        return places[0], places[-1]

    @property
    def _step(self) -> float:
        return (self._scale[1] - self._scale[0]) * APART or 1.0

    @property
    def limits(self) -> tuple[float, float]:
        """Both ends of the axis, with a margin."""
        low = min(self.place(value) for value in self._all)
        return low - self._step / 2, self._scale[1] + self._step / 2

    @property
    def breaks(self) -> list[float]:
        """Where no scale connects neighbours, as fractions of the axis from its lower end."""
        low, high = self.limits
        apart = sum(self.is_apart(value) for value in self._all)
        places = [self._scale[0] - self._step * (number + 0.5) for number in range(apart)]
        return [(place - low) / (high - low) for place in places]

    @property
    def _all(self) -> list[float | None]:
        return [*([None] if self.has_missing else []), *self.values]

    def ticks(self, room: float) -> list[tuple[float, str]]:
        """Positions and labels. Places apart always have one. Those on the scale are at least
        `room`, a fraction of the axis, from each other: at all values if they fit, else at powers
        of ten if there are some, else at some of the values."""
        apart = [value for value in self._all if self.is_apart(value)]
        on_scale = [value for value in self.values if not self.is_apart(value)]
        shown = self.thinned(on_scale, room)
        if len(shown) < len(on_scale) and self.logarithmic:
            low, high = math.ceil(self._scale[0]), math.floor(self._scale[1])
            powers = [10.0**exponent for exponent in range(low, high + 1)]
            shown = self.thinned(powers, room) if len(powers) > 1 else shown
        missing = "\N{EN DASH}"
        return [(self.place(v), missing if v is None else number(v)) for v in (*apart, *shown)]

    def thinned(self, values: Iterable[float], room: float) -> list[float]:
        """Those of ascending `values` that lie at least `room` of the axis from the one before."""
        low, high = self.limits
        kept: list[float] = []
        for value in values:
            if not kept or self.place(value) - self.place(kept[-1]) >= room * (high - low):
                kept.append(value)
        return kept


@dataclass(frozen=True)
class Layout:
    """axes: up to two numeric factors, the one with more values first. categories: factors
    by which panels differ. left_out: numeric factors that vary too, but have no axis."""

    axes: tuple[Axis, ...]
    categories: tuple[str, ...]
    left_out: tuple[str, ...]

    def panels(self, points: Iterable[PointEntry]) -> list[tuple[str, list[PointEntry]]]:
        """Title and points of each panel, in the order of their first points."""
        groups: dict[str, list[PointEntry]] = {}
        for point in points:
            groups.setdefault(self.title(point), []).append(point)
        return list(groups.items())

    def title(self, point: PointEntry) -> str:
        """The categories of a point in words: `mlp, width 64, no regularizer`."""
        factors = point["factors"]
        named = (_in_words(name, factors.get(name)) for name in self.categories)
        return ", ".join(words for words in named if words)


def arrange(points: Sequence[PointEntry]) -> Layout:
    """Numeric factors with many values become axes, all others that vary distinguish panels."""
    values = _distinct(points)
    numbers = {name: _numbers(known) for name, known in values.items()}
    numeric = [name for name in values if len(numbers[name]) == len(values[name])]
    numeric.sort(key=lambda name: -len(values[name]))  # stable: equal ones in their own order
    rich = [name for name in numeric if len(values[name]) >= AXIS_VALUES] or numeric[:1]
    axes = [
        Axis(n, tuple(sorted(numbers[n])), any(p["factors"].get(n) is None for p in points))
        for n in rich[:2]
    ]
    categories = tuple(name for name in values if name not in rich)
    return Layout(tuple(axes), categories, tuple(rich[2:]))


def short(name: str) -> str:
    """A factor's name as figures show it: `architecture.width`."""
    return name.removeprefix("defence.")


def number(value: float) -> str:
    """A factor's value in few characters: `64`, `0.0316`, `1e-05`."""
    return f"{value:.0f}" if 1 <= abs(value) < 1e6 and value == int(value) else f"{value:.3g}"


def _distinct(points: Sequence[PointEntry]) -> dict[str, list[Factor]]:
    """Factors that take two values or more, each with its values in order of appearance."""
    seen: dict[str, list[Factor]] = {}
    for point in points:
        for name, value in point["factors"].items():
            known = seen.setdefault(name, [])
            if value is not None and not any(_same(value, other) for other in known):
                known.append(value)
    return {name: values for name, values in seen.items() if len(values) > 1}


def _same(one: Factor, other: Factor) -> bool:
    """Whether values are equal, where True is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def number_of(value: Factor) -> float | None:
    """The value of a numeric factor; None for everything else."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _numbers(values: Iterable[Factor]) -> list[float]:
    return [found for value in values if (found := number_of(value)) is not None]


def _in_words(name: str, value: Factor) -> str:
    last = short(name).rpartition(".")[2]
    if value is None:
        return ""
    if isinstance(value, str):
        return f"no {last}" if value == "none" else value
    found = number_of(value)
    return f"{last} {value if found is None else number(found)}"
