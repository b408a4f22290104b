"""Factors of tried points as axes of a box: which values a point has, and what a box may ask of it.

Notation: n points. A slot is one value of an axis. The first `ordered` slots are numbers,
ascending, of which a box may ask for an interval; of the others it may ask for one. Of a product or
ratio of two factors the numbers are logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sweeps.records.model_answer import Factor, Factors
from sweeps.statistics.arrays import Bools, Floats, Ints

#: Products and ratios are made of factors that so many points have, and of which each has at least
#: so many values.
FEWEST_POINTS, FEWEST_VALUES = 12, 3
#: Digits of a logarithm, so that equal products are one value.
DIGITS = 9


@dataclass(frozen=True, eq=False)
class Axis:
    """names: of the factor, or of both factors. sign: 1 of a product, -1 of a ratio, 0 of a factor.
    codes: the slot of each point, (n,). levels: the ordered slots' numbers. words: the values of
    the other slots."""

    names: tuple[str, ...]
    sign: int
    codes: Ints
    levels: tuple[float, ...]
    words: tuple[Factor, ...]

    @property
    def ordered(self) -> int:
        """How many slots have an order."""
        return len(self.levels)

    @property
    def slots(self) -> int:
        """How many slots there are."""
        return len(self.levels) + len(self.words)

    @property
    def fixed(self) -> list[int]:
        """Slots that a box may ask for one by one: that a factor is absent counts only where it
        has no numbers, as what it is a setting of says that better."""
        words = enumerate(self.words, self.ordered)
        return [slot for slot, word in words if word is not None or not self.levels]


def factor_axes(points: Sequence[Factors]) -> list[Axis]:
    """The factors that differ between the points, those without an order first."""
    names = dict.fromkeys(name for factors in points for name in factors)
    axes = [_axis(name, [factors.get(name) for factors in points]) for name in names]
    return sorted((axis for axis in axes if axis.slots > 1), key=lambda axis: bool(axis.levels))


def _axis(name: str, values: Sequence[Factor]) -> Axis:
    levels = sorted({number for value in values if (number := _number(value)) is not None})
    words = list({_key(value): value for value in values if _number(value) is None}.values())
    slots = {level: slot for slot, level in enumerate(levels)}
    others = {_key(value): len(levels) + slot for slot, value in enumerate(words)}
    numbers = [_number(value) for value in values]
    codes = [
        others[_key(value)] if number is None else slots[number]
        for value, number in zip(values, numbers, strict=True)
    ]
    return Axis((name,), 0, np.array(codes, dtype=np.int64), tuple(levels), tuple(words))


def _number(value: Factor) -> float | None:
    """A value that has a place in an order."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if np.isfinite(value) else None


def _key(value: Factor) -> tuple[str, str]:
    """Apart for 1, true and `1`."""
    return type(value).__name__, str(value)


def derived_axes(axes: Sequence[Axis]) -> list[Axis]:
    """The products and ratios of every two factors that are positive numbers and vary where both
    are there."""
    known = [(axis, values) for axis in axes if (values := _logarithms(axis)) is not None]
    return [
        derived
        for (one, a), (other, b) in combinations(known, 2)
        if _vary_together(a, b)
        for sign in (1, -1)
        if (derived := _derived(one, other, sign, a + sign * b)) is not None
    ]


def _logarithms(axis: Axis) -> Floats | None:
    """Of each point, NaN where the factor is absent; None of a factor that is not positive."""
    if len(axis.levels) < FEWEST_VALUES or axis.levels[0] <= 0:
        return None
    found = np.full(axis.slots, np.nan)
    found[: axis.ordered] = np.log10(axis.levels)
    return np.asarray(found[axis.codes], dtype=np.float64)


def _vary_together(one: Floats, other: Floats) -> bool:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < FEWEST_POINTS:
        return False
    return all(len(np.unique(values[both])) >= FEWEST_VALUES for values in (one, other))


def _derived(one: Axis, other: Axis, sign: int, values: Floats) -> Axis | None:
    values = np.round(values, DIGITS) + 0.0
    known: Bools = np.isfinite(values)
    levels, codes = np.unique(values[known], return_inverse=True)
    if len(levels) < FEWEST_VALUES:
        return None
    slots = np.full(len(values), len(levels), dtype=np.int64)
    slots[known] = codes
    words = () if known.all() else (None,)
    return Axis((*one.names, *other.names), sign, slots, tuple(levels.tolist()), words)
