"""A spec's defence space and attack panel as columns of numbers and codes, and back.

A column of codes says which branch (combination of kinds) a point is on. A leaf that varies gives
a number column where it takes numbers, on the leaf's own scale from 0 to 1, and a code column where
it takes other values, or 0 beside a log range. A column without effect at a point holds 0.5 or 0.
Leaves of the same name share columns between branches; a setting of a component belongs to its
kind alone, since the strengths of two regularizers have nothing in common.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backdoor.settings.schema import is_number
from sweeps.levelset.columns import Columns, Floats, Ints, sobol
from sweeps.levelset.surrogate import Panel
from sweeps.space.space import Assignment, Branch, Leaf, Range, Space, Value
from sweeps.space.unit_cube import free_leaves, leaf_columns

Canonical = Callable[[Assignment], Assignment]
#: Numbers that span more than this factor are spaced by their logarithms.
WIDE = 8.0


@dataclass(frozen=True)
class Scale:
    """Numbers from low to high as 0 to 1; those at or below 0 have no place on a log scale."""

    low: float
    high: float
    log: bool

    def to_unit(self, value: float) -> float:
        if self.high == self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def to_units(self, values: Floats) -> Floats:
        """`to_unit` of many values, (n,), where the scale has more than one."""
        if self.log:
            return np.asarray(np.log(values / self.low) / math.log(self.high / self.low))
        return (values - self.low) / (self.high - self.low)

    def to_value_axis(self, unit: Floats) -> Floats:
        """Values at these places between 0 and 1, or their logarithms to base 10."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
        else:
            low, high = self.low, self.high
        return low + unit * (high - low)


@dataclass(frozen=True)
class Axis:
    """The columns of one factor: a scale for its numbers, if any, and its other values, if any."""

    scale: Scale | None
    words: tuple[Value, ...]

    @cached_property
    def levels(self) -> tuple[int, ...]:
        numbers = [0] if self.scale is not None and self.scale.low < self.scale.high else []
        kinds = len(self.words) + (self.scale is not None)
        return (*numbers, *([kinds] if kinds > 1 else []))

    def encode(self, value: Value) -> list[float]:
        same = [i for i, w in enumerate(self.words) if _is_same(w, value)]
        word = same[0] if same else None
        number = 0.5
        if word is None and self.scale is not None and isinstance(value, (int, float)):
            number = self.scale.to_unit(float(value))
        elif self.scale is not None and is_number(value):
            number = 0.0  # a 0 beside a log range is nearest to its low end
        code = len(self.words) if word is None else word
        return [number if level == 0 else float(code) for level in self.levels]

    def encode_all(self, values: Sequence[Value]) -> Floats:
        """One row a value, (n, levels)."""
        rows = [self.encode(value) for value in values] if self.levels else []
        return np.array(rows, dtype=np.float64).reshape(len(values), len(self.levels))

    def encode_along(self, leaf: Leaf, units: Floats) -> Floats:
        """The rows of a leaf's values on the way from 0 to 1, (n, levels), but for rounding."""
        bins = len(leaf.options)
        which = np.minimum((units * bins).astype(np.int64), bins - 1)
        found = np.empty((len(units), len(self.levels)))
        for index, option in enumerate(leaf.options):
            rows = which == index
            low = option.ends()[0] if isinstance(option, Range) else option
            found[rows] = self.encode(low)
            if isinstance(option, Range) and 0 in self.levels and self.scale is not None:
                values = option.along(units[rows] * bins - index)
                found[rows, self.levels.index(0)] = self.scale.to_units(values)
        return found

    @property
    def absent(self) -> list[float]:
        """Where the factor has no effect."""
        return [0.5 if level == 0 else 0.0 for level in self.levels]


def axis_of(values: Sequence[Value | Range]) -> Axis:
    """The axis on which all these values and ranges have their places."""
    ranges = [v for v in values if isinstance(v, Range)]
    plain = [v for v in values if not isinstance(v, Range)]
    numbers = [float(v) for v in plain if isinstance(v, (int, float)) and is_number(v)]
    words = [v for v in plain if not is_number(v)]
    ends = [*numbers, *(r.low for r in ranges), *(r.high for r in ranges)]
    positive = [end for end in ends if end > 0]
    wide = bool(positive) and max(positive) > WIDE * min(positive)
    log = any(r.scale == "log" for r in ranges) or (wide and all(r.low > 0 for r in ranges))
    if log:
        words += [v for v in plain if isinstance(v, (int, float)) and is_number(v) and v <= 0]
        ends = positive
    scale = Scale(min(ends), max(ends), log) if ends else None
    return Axis(scale, tuple(dict.fromkeys(words)))


def _is_same(one: Value, other: Value) -> bool:
    """0 and 0.0 are one value, 1 and true are two."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


class SpaceDomain:
    """A `Domain` of a spec's space; every drawn point is an assignment that `decode` gives back."""

    def __init__(
        self, space: Space, inert: Sequence[frozenset[str]] = (), canonical: Canonical | None = None
    ) -> None:
        """inert: for each branch, the leaves without effect in it; none where not given. canonical:
        as `Space.locate` takes it, where branches may have points in common."""
        self.space, self._canonical = space, canonical
        self._kinds = [branch.kinds for branch in space.branches]
        self._inert = tuple(inert) or (frozenset[str](),) * len(space.branches)
        self._axes = self._find_axes()
        branch = (len(space.branches),) if len(space.branches) > 1 else ()
        levels = [level for axis in self._axes.values() for level in axis.levels]
        self.columns = Columns((*branch, *levels))
        self.groups = len(space.branches)
        self._encoded: dict[bytes, tuple[int, tuple[Value, ...]]] = {}

    def _find_axes(self) -> dict[str, Axis]:
        options: dict[str, list[Value | Range]] = {}
        for branch, inert in zip(self.space.branches, self._inert, strict=True):
            for name, leaf in branch.leaves:
                if name in inert:
                    continue
                options.setdefault(_column_name(branch, name), []).extend(leaf.options)
        return {name: axis_of(values) for name, values in options.items()}

    @property
    def number_axes(self) -> dict[int, tuple[str, Scale]]:
        """Number column → the factor's name and scale."""
        found: dict[int, tuple[str, Scale]] = {}
        column = 1 if self.groups > 1 else 0
        for name, axis in self._axes.items():
            for level in axis.levels:
                if level == 0 and axis.scale is not None:
                    found[column] = (name, axis.scale)
                column += 1
        return found

    def on_scale(self, point: Floats) -> dict[str, tuple[Scale, bool]]:
        """Of each factor that has other values beside its numbers, such as 0 beside a log range:
        the scale of the numbers, and whether the point has one of them."""
        found: dict[str, tuple[Scale, bool]] = {}
        column = 1 if self.groups > 1 else 0
        for name, axis in self._axes.items():
            column += len(axis.levels)
            if len(axis.levels) == 2 and axis.scale is not None:
                found[name] = axis.scale, bool(point[column - 1] == len(axis.words))
        return found

    def _may_be_shared(self, branch: int) -> bool:
        """Whether an earlier branch may have points of this one."""
        return self._canonical is not None and self._kinds[branch] in self._kinds[:branch]

    def _home(self, branch: int, values: Sequence[Value]) -> tuple[int, Sequence[Value]]:
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

    def encode(self, branch: int, values: Sequence[Value]) -> Floats:
        """The row of a point of a branch with these leaf values."""
        branch, values = self._home(branch, values)
        return np.asarray(self._rows(branch, [[value] for value in values], 1)[0])

    def places(self, count: int, seed: int) -> Floats:
        """Positions in the unit cube, (count, axes); equal volumes are equal shares of points."""
        return sobol(self.axes, count, seed)

    def at(self, places: Floats) -> Floats:
        points = np.empty((len(places), len(self.columns.levels)))
        for index, rows in self._by_branch(places):
            points[rows] = self._exactly(index, places[rows, 1:])
        return points

    def near(self, places: Floats) -> Floats:
        """`at` by whole columns; that one formats and reads every number, to round it."""
        points = np.empty((len(places), len(self.columns.levels)))
        for index, rows in self._by_branch(places):
            nearly = self._exactly if self._may_be_shared(index) else self._nearly
            points[rows] = nearly(index, places[rows, 1:])
        return points

    def _by_branch(self, places: Floats) -> Iterator[tuple[int, Ints]]:
        """Branches, and which of the places lie in them."""
        which = np.minimum((places[:, 0] * self.groups).astype(np.int64), self.groups - 1)
        for index in range(self.groups):
            yield index, np.flatnonzero(which == index)

    def _exactly(self, index: int, units: Floats) -> Floats:
        values = leaf_columns(self.space.branches[index], units.tolist())
        if not self._may_be_shared(index):
            return self._rows(index, values, len(units))
        rows = [self.encode(index, [column[row] for column in values]) for row in range(len(units))]
        return np.array(rows).reshape(len(units), -1)

    def _nearly(self, index: int, units: Floats) -> Floats:
        branch, count = self.space.branches[index], len(units)
        along = dict(zip(free_leaves(branch), units.T, strict=False))
        leaves = {
            _column_name(branch, name): (leaf, along.get(name, np.zeros(count)))
            for name, leaf in branch.leaves
            if name not in self._inert[index]
        }
        blocks = [np.full((count, 1), float(index))] if self.groups > 1 else []
        for name, axis in self._axes.items():
            absent = np.tile(np.array(axis.absent, dtype=np.float64), (count, 1))
            blocks.append(axis.encode_along(*leaves[name]) if name in leaves else absent)
        return np.concatenate([*blocks, np.empty((count, 0))], axis=1)

    @property
    def axes(self) -> int:
        """How many axes the unit cube of `at` has: the branch and the leaves."""
        return 1 + max(len(branch.leaves) for branch in self.space.branches)

    def _rows(self, branch: int, columns: Sequence[Sequence[Value]], count: int) -> Floats:
        """Rows of `count` points of a branch. columns: for each of its leaves, their values."""
        own = self.space.branches[branch]
        found = {
            _column_name(own, name): values
            for (name, _), values in zip(own.leaves, columns, strict=True)
            if name not in self._inert[branch]
        }
        blocks = [np.full((count, 1), float(branch))] if self.groups > 1 else []
        for name, axis in self._axes.items():
            absent = np.tile(np.array(axis.absent, dtype=np.float64), (count, 1))
            blocks.append(axis.encode_all(found[name]) if name in found else absent)
        points = np.concatenate([*blocks, np.empty((count, 0))], axis=1)
        decoded = list(zip(*columns, strict=True)) if columns else [()] * count
        for point, values in zip(points, decoded, strict=True):
            self._encoded[point.tobytes()] = (branch, values)
        return points

    def forget(self) -> None:
        """Rows encoded so far can be decoded no more; their memory is free."""
        self._encoded.clear()

    def decode(self, point: Floats) -> Assignment:
        """The assignment of a row that this domain has encoded."""
        branch, values = self._encoded[np.ascontiguousarray(point).tobytes()]
        return self.space.branches[branch].assignment(values)

    def sample(self, count: int, seed: int) -> Floats:
        return self.at(self.places(count, seed))

    def group(self, points: Floats) -> Ints:
        if self.groups == 1:
            return np.zeros(len(points), dtype=np.int64)
        return points[:, 0].astype(np.int64)


def _column_name(branch: Branch, leaf: str) -> str:
    slot, _, setting = leaf.partition(".")
    return f"{slot}={dict(branch.kinds)[slot]}.{setting}" if setting else leaf


def panel_of(attacks: Sequence[Mapping[str, Any]]) -> Panel:
    """The attacks' identities (plain, nested values) as points."""
    flat = [_flat(attack) for attack in attacks]
    names = list(dict.fromkeys(name for one in flat for name in one))
    axes = {name: axis_of([one[name] for one in flat if name in one]) for name in names}
    categories = ("target",)  # class numbers have no order
    for name in categories:
        if name in axes:
            values = dict.fromkeys(one[name] for one in flat if name in one)
            axes[name] = Axis(None, tuple(values))
    varying = {name: axis for name, axis in axes.items() if axis.levels}
    rows = [
        list(itertools.chain.from_iterable(
            axis.encode(one[name]) if name in one else axis.absent
            for name, axis in varying.items()
        ))
        for one in flat
    ]  # fmt: skip
    columns = Columns(tuple(level for axis in varying.values() for level in axis.levels))
    return Panel(columns, np.array(rows, dtype=np.float64).reshape(len(attacks), -1))


def _flat(attack: Mapping[str, Any]) -> dict[str, Value]:
    """One level of names; settings of a trigger under the trigger's kind."""
    found: dict[str, Value] = {}
    for name, value in attack.items():
        if isinstance(value, Mapping):
            kind = value["kind"]
            found[name] = kind
            found |= {f"{name}={kind}.{k}": _plain(v) for k, v in value.items() if k != "kind"}
        else:
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Value:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
