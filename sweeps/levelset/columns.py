"""A mixed space as numbers: what the columns of a point mean, and how points are drawn.

A point is a row of float64. A column is either a number in [0, 1] or the code of a category
(0, 1, 2, ...). A factor that has no effect at a point holds one fixed value there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """categories: for each column 0 where it is a number, else how many categories it has."""

    categories: tuple[int, ...]

    def __add__(self, other: Columns) -> Columns:
        return Columns(self.categories + other.categories)

    def __len__(self) -> int:
        return len(self.categories)

    @property
    def numbers(self) -> Ints:
        """Positions of the columns that are numbers."""
        return np.flatnonzero(np.array(self.categories, dtype=np.int64) == 0)

    @property
    def codes(self) -> Ints:
        """Positions of the columns that are categories."""
        return np.flatnonzero(np.array(self.categories, dtype=np.int64) > 0)


class Domain(Protocol):
    """A space of points that can be drawn evenly."""

    @property
    def columns(self) -> Columns:
        """What the columns of its points mean."""
        ...

    @property
    def groups(self) -> int:
        """How many categories (combinations of kinds) a point may belong to."""
        ...

    def sample(self, count: int, seed: int) -> Floats:
        """`count` evenly spread points, (count, columns); equal seeds give equal points."""
        ...

    def positions(self, count: int, seed: int) -> Floats:
        """Positions of `sample`'s points in the unit cube, one row each; any rows may be taken."""
        ...

    def at(self, positions: Floats) -> Floats:
        """The points at positions in the unit cube, (n, columns)."""
        ...

    def near(self, positions: Floats) -> Floats:
        """`at` but for rounding, in less time: good enough to compare points, not to try them."""
        ...

    def group(self, points: Floats) -> Ints:
        """Which category each point belongs to, (n,), in 0..groups-1."""
        ...


@dataclass(frozen=True)
class Box:
    """The unit cube times categories; every combination has the same share."""

    columns: Columns

    @property
    def groups(self) -> int:
        return int(np.prod([max(1, count) for count in self.columns.categories]))

    def sample(self, count: int, seed: int) -> Floats:
        return self.at(self.positions(count, seed))

    def positions(self, count: int, seed: int) -> Floats:
        """Positions in the unit cube, (count, columns) in [0, 1)."""
        return sobol(len(self.columns), count, seed)

    def at(self, positions: Floats) -> Floats:
        points = positions.copy()
        for column in self.columns.codes:
            count = self.columns.categories[column]
            points[:, column] = np.minimum(np.floor(positions[:, column] * count), count - 1)
        return points

    def near(self, positions: Floats) -> Floats:
        return self.at(positions)

    def group(self, points: Floats) -> Ints:
        codes = self.columns.codes
        shape = [self.columns.categories[c] for c in codes]
        if not shape:
            return np.zeros(len(points), dtype=np.int64)
        found = np.ravel_multi_index(tuple(points[:, codes].astype(np.int64).T), shape)
        return np.asarray(found, dtype=np.int64)


def sobol(axes: int, count: int, seed: int) -> Floats:
    """The first `count` points of a scrambled Sobol sequence (Sobol 1967, Owen 1998)."""
    power = max(0, int(np.ceil(np.log2(max(1, count)))))
    generator = np.random.default_rng(seed)
    found = qmc.Sobol(axes, scramble=True, rng=generator).random_base2(power)
    return np.asarray(found[:count], dtype=np.float64)
