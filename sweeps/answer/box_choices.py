"""What a box may ask of one axis: all of it, an interval of its numbers, or one other value.

Ends of intervals lie between slots: end i lies before slot i. Where all of them make up too many
boxes, fewer are taken, with as many points between one and the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sweeps.answer.box_axes import Axis
from sweeps.statistics.arrays import Ints


@dataclass(frozen=True)
class Span:
    """Slots start <= slot < stop of one axis. cost: how many bounds that takes."""

    start: int
    stop: int
    cost: int


def whole(axis: Axis) -> Span:
    """All of an axis."""
    return Span(0, axis.slots, 0)


def all_edges(axis: Axis) -> Ints:
    """Before the first number of an axis, between two, and behind the last; none without order."""
    return np.arange(axis.ordered + 1 if axis.ordered else 0)


def coarse(axis: Axis, count: int, codes: Ints) -> Ints:
    """At most about `count` ends, with as many of the points between one and the next."""
    edges = all_edges(axis)
    if len(edges) <= count:
        return edges
    below = np.cumsum(np.bincount(codes[codes < axis.ordered], minlength=axis.ordered))
    marks = np.linspace(0, below[-1], count)[1:-1]
    inner = np.searchsorted(below, marks) + 1
    return np.unique(np.concatenate([[0], inner, [axis.ordered]]))


def affordable(axes: Sequence[Axis], most: int) -> tuple[list[Ints], bool]:
    """Ends of each axis that make up at most about `most` boxes, and whether they are all."""
    counts = [len(all_edges(axis)) for axis in axes]
    boxes = [choice_count(*pair) for pair in zip(axes, counts, strict=True)]
    while math.prod(boxes) > most and max(counts, default=0) > 3:
        widest = max(range(len(counts)), key=lambda n: counts[n])
        counts[widest] = max(3, int(counts[widest] * 0.8))
        boxes[widest] = choice_count(axes[widest], counts[widest])
    edges = [coarse(a, count, a.codes) for a, count in zip(axes, counts, strict=True)]
    return edges, all(len(all_edges(a)) == len(e) for a, e in zip(axes, edges, strict=True))


def choice_count(axis: Axis, edges: int) -> float:
    """How many choices an axis with so many ends has, or one fewer."""
    return 1.0 + edges * (edges - 1) / 2 + len(axis.fixed)


class Choices(NamedTuple):
    """Of one axis: start <= slot < stop, and the bounds that it takes, (choices,) each."""

    starts: Ints
    stops: Ints
    costs: Ints

    def span(self, number: int) -> Span:
        """The choice of this number."""
        return Span(int(self.starts[number]), int(self.stops[number]), int(self.costs[number]))


def choices_of(axis: Axis, edges: Ints) -> Choices:
    """All choices with these ends: the whole axis, intervals, and single other values."""
    lower, upper = np.triu_indices(len(edges), 1)
    starts, stops, fixed = edges[lower], edges[upper], np.array(axis.fixed, dtype=np.int64)
    bounds = (starts > 0) * 1 + (stops < axis.ordered)
    kept = bounds > (-1 if axis.words else 0)  # all numbers, where there is nothing else, is all
    return Choices(
        np.concatenate([[0], starts[kept], fixed]),
        np.concatenate([[axis.slots], stops[kept], fixed + 1]),
        np.concatenate([[0], np.maximum(bounds[kept], 1), np.ones(len(fixed), np.int64)]),
    )
