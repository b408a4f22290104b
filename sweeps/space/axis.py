"""One factor as columns of numbers and codes, and back.

A number column holds where a value lies on the factor's scale, from 0 to 1. A code column says
which of the other values it is, such as a 0 beside a log range; the last code is any number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backdoor.settings.schema import is_number
from sweeps.space.scale import Floats, Scale
from sweeps.space.space import Leaf, Range, Value

#: Numbers that span more than this factor are spaced by their logarithms.
WIDE = 8.0
#: How exact a position in [0, 1] is.
RESOLUTION = 2.0**-53


@dataclass(frozen=True)
class Axis:
    """The columns of one factor: a scale for its numbers, if any, and its other values, if any."""

    scale: Scale | None
    words: tuple[Value, ...]

    @cached_property
    def categories(self) -> tuple[int, ...]:
        """For each of its columns 0 where it holds a number, else how many codes it has."""
        numbers = [0] if self.scale is not None and self.scale.low < self.scale.high else []
        kinds = len(self.words) + (self.scale is not None)
        return (*numbers, *([kinds] if kinds > 1 else []))

    def encode(self, value: Value) -> list[float]:
        """The columns of a value."""
        same = [i for i, w in enumerate(self.words) if _is_same(w, value)]
        word = same[0] if same else None
        number = 0.5
        if word is None and self.scale is not None and isinstance(value, (int, float)):
            number = self.scale.to_unit(float(value))
        elif self.scale is not None and is_number(value):
            number = 0.0  # a 0 beside a log range is nearest to its low end
        code = len(self.words) if word is None else word
        return [float(code) if count else number for count in self.categories]

    def decode(self, columns: Sequence[float], leaf: Leaf) -> Value:
        """The value of a leaf that has these columns, or that comes nearest to them."""
        found, least = leaf.ends()[0], np.inf
        for value in self._candidates(columns, leaf):
            far = self._distance(columns, value)
            if far < least:
                found, least = value, far
            if not far:
                break
        return found

    def _candidates(self, columns: Sequence[float], leaf: Leaf) -> Iterator[Value]:
        """Values of the leaf: the plain ones, and of each range those next to the position."""
        yield from (option for option in leaf.options if not isinstance(option, Range))
        if self.scale is None or 0 not in self.categories:
            return
        unit = columns[self.categories.index(0)]
        for option in leaf.options:
            if isinstance(option, Range):
                for steps in (0, -1, 1, -2, 2):  # a number near 0 has more digits than its position
                    yield option.nearest(self.scale.to_value(unit + steps * RESOLUTION))

    def _distance(self, columns: Sequence[float], value: Value) -> float:
        """0 where the value has these columns; another code is farther than any number."""
        own = zip(self.encode(value), columns, self.categories, strict=True)
        return sum(2.0 * (a != b) if count else abs(a - b) for a, b, count in own)

    def encode_all(self, values: Sequence[Value]) -> Floats:
        """One row a value, (n, columns)."""
        rows = [self.encode(value) for value in values] if self.categories else []
        return np.array(rows, dtype=np.float64).reshape(len(values), len(self.categories))

    def encode_positions(self, leaf: Leaf, positions: Floats) -> Floats:
        """The rows of a leaf's values at positions from 0 to 1, (n, columns), but for rounding."""
        bins = len(leaf.options)
        which = np.minimum((positions * bins).astype(np.int64), bins - 1)
        found = np.empty((len(positions), len(self.categories)))
        for index, option in enumerate(leaf.options):
            rows = which == index
            low = option.ends()[0] if isinstance(option, Range) else option
            found[rows] = self.encode(low)
            if isinstance(option, Range) and 0 in self.categories and self.scale is not None:
                values = option.on_scale.at_all(positions[rows] * bins - index)
                found[rows, self.categories.index(0)] = self.scale.to_units(values)
        return found

    @property
    def absent(self) -> list[float]:
        """Its columns where the factor has no effect."""
        return [0.0 if count else 0.5 for count in self.categories]


def axis_of(values: Sequence[Value | Range]) -> Axis:
    """The axis on which all these values and ranges have their places."""
    ranges = [v for v in values if isinstance(v, Range)]
    plain = [v for v in values if not isinstance(v, Range)]
    numbers = [float(v) for v in plain if isinstance(v, (int, float)) and is_number(v)]
    words = [v for v in plain if not is_number(v)]
    ends = [*numbers, *(r.low for r in ranges), *(r.high for r in ranges)]
    positive = [end for end in ends if end > 0]
    wide = bool(positive) and max(positive) > WIDE * min(positive)
    log = wide or any(r.scale == "log" for r in ranges)
    log &= all(r.low > 0 for r in ranges)  # numbers down to 0 have no place on a log scale
    if log:
        words += [v for v in plain if isinstance(v, (int, float)) and is_number(v) and v <= 0]
        ends = positive
    scale = Scale(min(ends), max(ends), log) if ends else None
    return Axis(scale, tuple({(type(w) is bool, w): w for w in words}.values()))


def _is_same(one: Value, other: Value) -> bool:
    """0 and 0.0 are one value, 1 and true are two."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
