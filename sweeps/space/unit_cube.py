"""Positions in the unit cube as points of a space; equal volumes are equal shares of the space."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from backdoor.settings.schema import round_significant
from sweeps.space.space import Assignment, Branch, Leaf, Range, Space, Value


def point_at(space: Space, unit: Sequence[float]) -> Assignment:
    """The point at a position in the unit cube; equal volumes are equal shares of the space."""
    branch = space.branches[_bin(unit[0], len(space.branches))[0]]
    return branch.assignment([values[0] for values in leaf_columns(branch, [unit[1:]])])


def leaf_columns(branch: Branch, units: Sequence[Sequence[float]]) -> list[list[Value]]:
    """For each leaf of a branch, its values at positions in the unit cube of its free leaves."""
    along = dict(zip(free_leaves(branch), zip(*units, strict=True), strict=False))
    return [
        _values_at(leaf, along[name]) if name in along else [leaf.ends()[0]] * len(units)
        for name, leaf in branch.leaves
    ]


def free_leaves(branch: Branch) -> list[str]:
    """Names of the leaves that have more than one value."""
    return [
        name
        for name, leaf in branch.leaves
        if len(leaf.options) > 1 or isinstance(leaf.options[0], Range)
    ]


def _values_at(leaf: Leaf, units: Sequence[float]) -> list[Value]:
    """Options by equal bins; inside a range's bin, the rest of the way is the way through it."""
    ways = [_way(o) if isinstance(o, Range) else partial(_only, o) for o in leaf.options]
    found = []
    for unit in units:
        index, rest = _bin(unit, len(ways))
        found.append(ways[index](rest))
    return found


def _only(value: Value, _: float) -> Value:
    return value


def _way(span: Range) -> Callable[[float], Value]:
    """The numbers of a range on the way from 0 to 1."""
    low, high = span.ends()
    if span.scale == "int":
        return lambda unit: int(low) + _bin(unit, int(high) - int(low) + 1)[0]
    if span.scale == "log":
        start, reach = math.log(low), math.log(high) - math.log(low)
        return lambda unit: round_significant(math.exp(start + unit * reach))
    return lambda unit: round_significant(low + unit * (high - low))


def _bin(unit: float, bins: int) -> tuple[int, float]:
    """Which of `bins` equal parts of [0, 1) holds `unit`, and where in it, in [0, 1)."""
    index = min(int(unit * bins), bins - 1)
    return index, unit * bins - index
