"""Sobol search: defence points that fill the space evenly, whatever their number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from backdoor.config import build_defence
from backdoor.settings.schema import round_significant
from backdoor.streams import stream
from sweeps.search.enumerated import Enumerated, distinct
from sweeps.space.space import Assignment, Branch, Leaf, Range, Space, Value
from sweeps.spec import SweepSpec


def sobol_search(spec: SweepSpec) -> Enumerated:
    """`search.points` distinct points of a scrambled Sobol sequence (Sobol 1967, Owen 1998)."""
    count = spec.search.points or 1
    drawn = distinct(map(build_defence, sobol_points(spec.defence, count, spec.search.seed)))
    return Enumerated(spec, itertools.islice(drawn, count))


def sobol_points(space: Space, count: int, seed: int) -> Iterator[Assignment]:
    """An endless sequence of points, drawn in blocks of the first power of 2 from `count` on.

    The first axis is the branch, in equal shares; the others are the leaves of that branch that
    have more than one value, each on its own scale.
    """
    from scipy.stats import qmc  # takes a while to load

    axes = 1 + max(len(free_leaves(branch)) for branch in space.branches)
    engine = qmc.Sobol(axes, scramble=True, seed=stream("search", seed))
    while True:
        for unit in engine.random(2 ** math.ceil(math.log2(count))).tolist():
            yield point_at(space, unit)


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
