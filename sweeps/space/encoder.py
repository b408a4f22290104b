"""Points of a space as rows of numbers and codes, and back.

A column of codes says which branch (combination of kinds) a point is on. The other columns belong
to axes, one for each factor that varies (`sweeps.space.axis`). A column without effect at a point
holds 0.5 or 0. Leaves of the same name share an axis between branches; a setting of a component
belongs to its kind alone, since the strengths of two regularizers have nothing in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sweeps.space.axis import Axis, axis_of
from sweeps.space.scale import Floats, Scale
from sweeps.space.space import Assignment, Branch, Range, Space, Value
from sweeps.space.unit_cube import free_leaves, leaf_columns

Canonical = Callable[[Assignment], Assignment]


class SpaceEncoder:
    """Rows of points, and the points of rows; `decode` needs to know nothing but the row."""

    def __init__(
        self,
        space: Space,
        inactive: Sequence[frozenset[str]] = (),
        canonical: Canonical | None = None,
    ) -> None:
        """inactive: for each branch, the leaves without effect in it; none where not given.
        canonical: as `Space.locate` takes it, where branches may have points in common."""
        self.space, self._canonical = space, canonical
        self._kinds = [branch.kinds for branch in space.branches]
        self._inactive = tuple(inactive) or (frozenset[str](),) * len(space.branches)
        self._axes = self._find_axes()
        #: Branches, which are the combinations of kinds.
        self.groups = len(space.branches)
        branch = (self.groups,) if self.groups > 1 else ()
        own = (count for axis in self._axes.values() for count in axis.categories)
        #: For each column 0 where it holds a number, else how many codes it has.
        self.categories = (*branch, *own)

    def _find_axes(self) -> dict[str, Axis]:
        options: dict[str, list[Value | Range]] = {}
        for branch, inactive in zip(self.space.branches, self._inactive, strict=True):
            for name, leaf in branch.leaves:
                if name not in inactive:
                    options.setdefault(_column_name(branch, name), []).extend(leaf.options)
        return {name: axis_of(values) for name, values in options.items()}

    def _columns(self) -> Iterator[tuple[str, Axis, slice]]:
        """Each factor, its axis, and the columns that are its own."""
        start = 1 if self.groups > 1 else 0
        for name, axis in self._axes.items():
            yield name, axis, slice(start, start := start + len(axis.categories))

    @property
    def number_axes(self) -> dict[int, tuple[str, Scale]]:
        """Number column → the factor's name and scale."""
        return {
            columns.start: (name, axis.scale)
            for name, axis, columns in self._columns()
            if axis.scale is not None and 0 in axis.categories
        }

    def on_scale(self, point: Floats) -> dict[str, tuple[Scale, bool]]:
        """Of each factor that has other values beside its numbers, such as 0 beside a log range:
        the scale of the numbers, and whether the point has one of them."""
        return {
            name: (axis.scale, bool(point[columns.stop - 1] == len(axis.words)))
            for name, axis, columns in self._columns()
            if axis.scale is not None and len(axis.categories) == 2
        }

    # --- encoding ---------------------------------------------------------------------------

    def encode(self, branch: int, values: Sequence[Value]) -> Floats:
        """The row of a point of a branch with these leaf values."""
        branch, values = self._canonical_branch(branch, values)
        return np.asarray(self._rows(branch, [[value] for value in values], 1)[0])

    def _may_be_shared(self, branch: int) -> bool:
        """Whether an earlier branch may have points of this one."""
        return self._canonical is not None and self._kinds[branch] in self._kinds[:branch]

    def _canonical_branch(
        self, branch: int, values: Sequence[Value]
    ) -> tuple[int, Sequence[Value]]:
        """The first branch that has a point, and its values there."""
        if self._canonical is None or not self._may_be_shared(branch):
            return branch, values
        own = self.space.branches[branch]
        given = dict(zip((name for name, _ in own.leaves), values, strict=True))
        for other in self.space.branches[:branch]:
            fits = all(
                n not in given or leaf.find(given[n]) is not None for n, leaf in other.leaves
            )
            if other.kinds == own.kinds and fits:
                point = self._canonical(own.assignment(values))
                return self.space.locate(point, self._canonical) or (branch, values)
        return branch, values

    def _rows(self, branch: int, columns: Sequence[Sequence[Value]], count: int) -> Floats:
        """Rows of `count` points of a branch. columns: for each of its leaves, their values."""
        own = self.space.branches[branch]
        found = {
            _column_name(own, name): values
            for (name, _), values in zip(own.leaves, columns, strict=True)
            if name not in self._inactive[branch]
        }
        encoded = {name: self._axes[name].encode_all(values) for name, values in found.items()}
        return self._joined(branch, encoded, count)

    def _joined(self, branch: int, encoded: dict[str, Floats], count: int) -> Floats:
        """Rows from the columns of the factors that a branch has; the others are absent."""
        blocks = [np.full((count, 1), float(branch))] if self.groups > 1 else []
        for name, axis in self._axes.items():
            absent = np.tile(np.array(axis.absent, dtype=np.float64), (count, 1))
            blocks.append(encoded.get(name, absent))
        return np.concatenate([*blocks, np.empty((count, 0))], axis=1)

    # --- decoding ---------------------------------------------------------------------------

    def decode(self, point: Floats) -> Assignment:
        """The point of a row. Factors without effect are at their first end. A row that no point
        has stands for one that is near to it."""
        index = int(point[0]) if self.groups > 1 else 0
        branch, columns = self.space.branches[index], {n: c for n, _, c in self._columns()}
        values: list[Value] = []
        for name, leaf in branch.leaves:
            column = _column_name(branch, name)
            if name in self._inactive[index]:
                values.append(leaf.ends()[0])
            else:
                own = point[columns[column]].tolist()
                values.append(self._axes[column].decode(own, leaf))
        return branch.assignment(values)

    # --- positions in the unit cube ---------------------------------------------------------

    @property
    def axes(self) -> int:
        """How many axes the unit cube of `at` has: the branch and the leaves."""
        return 1 + max(len(branch.leaves) for branch in self.space.branches)

    def at(self, positions: Floats) -> Floats:
        """The rows of points at positions in the unit cube, (n, axes) to (n, columns)."""
        points = np.empty((len(positions), len(self.categories)))
        for index, rows in self._by_branch(positions):
            points[rows] = self._exactly(index, positions[rows, 1:])
        return points

    def near(self, positions: Floats) -> Floats:
        """`at` by whole columns; that one formats and reads every number, to round it."""
        points = np.empty((len(positions), len(self.categories)))
        for index, rows in self._by_branch(positions):
            nearly = self._exactly if self._may_be_shared(index) else self._nearly
            points[rows] = nearly(index, positions[rows, 1:])
        return points

    def _by_branch(self, positions: Floats) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Branches, and which of the positions lie in them."""
        which = np.minimum((positions[:, 0] * self.groups).astype(np.int64), self.groups - 1)
        for index in range(self.groups):
            yield index, np.flatnonzero(which == index)

    def _exactly(self, index: int, positions: Floats) -> Floats:
        values, count = leaf_columns(self.space.branches[index], positions.tolist()), len(positions)
        if not self._may_be_shared(index):
            return self._rows(index, values, count)
        rows = [self.encode(index, [column[row] for column in values]) for row in range(count)]
        return np.array(rows).reshape(count, -1)

    def _nearly(self, index: int, positions: Floats) -> Floats:
        branch, count = self.space.branches[index], len(positions)
        along = dict(zip(free_leaves(branch), positions.T, strict=False))
        encoded: dict[str, Floats] = {}
        for name, leaf in branch.leaves:
            if name not in self._inactive[index]:
                axis = self._axes[column := _column_name(branch, name)]
                encoded[column] = axis.encode_positions(leaf, along.get(name, np.zeros(count)))
        return self._joined(index, encoded, count)


def _column_name(branch: Branch, leaf: str) -> str:
    slot, _, setting = leaf.partition(".")
    return f"{slot}={dict(branch.kinds)[slot]}.{setting}" if setting else leaf
