"""Numbers from low to high as positions from 0 to 1, on a linear or on a logarithmic scale.

There are two maps. `to_unit` and `to_value` go by where a number lies between the ends. `at` gives
equal parts of [0, 1] to all values, so that evenly spread positions are evenly spread values: the
two differ where a scale has steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """log: by logarithms; numbers at or below 0 have no place there. step: between two values, both
    ends included, 1 on a log scale; None where all numbers are values."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def to_unit(self, value: float) -> float:
        """Where a number lies between the ends, 0 to 1."""
        if self.high == self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def to_units(self, values: Floats) -> Floats:
        """`to_unit` of many numbers, (n,), where the scale has more than one."""
        if self.log:
            return np.asarray(np.log(values / self.low) / math.log(self.high / self.low))
        return (values - self.low) / (self.high - self.low)

    def to_value(self, unit: float) -> float:
        """The number at a position, the inverse of `to_unit`; also between two steps."""
        if self.log:
            return self.low * math.exp(unit * math.log(self.high / self.low))
        return self.low + unit * (self.high - self.low)

    def to_value_axis(self, units: Floats) -> Floats:
        """`to_value` of many positions, or its logarithm to base 10 on a log scale."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
        else:
            low, high = self.low, self.high
        return low + units * (high - low)

    @property
    def count(self) -> int:
        """How many values there are on a scale with steps."""
        if self.step is None:
            raise ValueError("a scale without steps has no number of values")
        return round((self.high - self.low) / self.step) + 1

    def at(self, unit: float) -> float:
        """The value at a position, equal parts of [0, 1] for each."""
        if self.log:
            start, end = self._log_ends
            value: float = math.exp(start + unit * (end - start))
            value = value if self.step is None else round(value)
        elif self.step is not None:
            value = self.low + self.step * part_of(unit, self.count)[0]
        else:
            value = self.low + unit * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def at_all(self, units: Floats) -> Floats:
        """`at` of many positions, (n,)."""
        if self.log:
            start, end = self._log_ends
            values = np.exp(start + units * (end - start))
            values = values if self.step is None else np.rint(values)
        elif self.step is not None:
            values = self.low + self.step * _parts_of(units, self.count)
        else:
            values = self.low + units * (self.high - self.low)
        return np.asarray(np.clip(values, self.low, self.high), dtype=np.float64)

    def snap(self, units: Floats) -> Floats:
        """`to_units` of `at_all`, without rounding where all numbers are values."""
        if self.step is None:
            return units
        if self.log:
            return self.to_units(self.at_all(units))
        parts = _parts_of(units, self.count)
        return np.asarray(np.minimum(parts * self.step / (self.high - self.low), 1.0))

    @property
    def _log_ends(self) -> tuple[float, float]:
        """Half a step beyond both ends, so that the first and the last value have their part."""
        half = 0.0 if self.step is None else self.step / 2
        return math.log(self.low - half), math.log(self.high + half)


def part_of(unit: float, parts: int) -> tuple[int, float]:
    """Which of equal parts of [0, 1] holds a position, and where in it, in [0, 1)."""
    index = min(int(unit * parts), parts - 1)
    return index, unit * parts - index


def _parts_of(units: Floats, parts: int) -> Floats:
    return np.asarray(np.minimum(np.floor(units * parts), parts - 1), dtype=np.float64)
