"""The box that holds most of the points that are IN and hardly any other.

All boxes are counted where there are few enough: by sums over intervals of every axis in turn (a
summed-area table, Crow 1984). Where there are too many, all boxes of coarser ends are, and the best
one's ends are then moved, those of two axes at a time, for as long as that holds more.

Notation: n points, axes of `sweeps.answer.box_axes`; a box has one choice, `Span`, for each axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np

from sweeps.answer.box_axes import Axis
from sweeps.answer.box_choices import (
    Choices,
    Span,
    affordable,
    all_edges,
    choice_count,
    choices_of,
    coarse,
    whole,
)
from sweeps.statistics.arrays import Bools, Floats, Ints

#: Of the points in a box, 19 of 20 must be IN; and a box holds at least so many points.
PRECISION, FEWEST = (19, 20), 2
#: It also holds at least one of so many points that are IN.
LEAST_PART = 20
#: Boxes that are counted at once; and ends that are tried while they are moved, of one axis by
#: itself and of each of two.
MOST, ALONE, TOGETHER = 60_000, 50, 9
#: Rounds of moving ends, at most.
ROUNDS = 8
#: A score that no box which is precise enough has, and that of a box that is none.
IMPRECISE, NONE = -1e12, -1e15


@dataclass(frozen=True)
class Box:
    """spans: of each axis. held: how many points of the box are IN; size: how many it holds."""

    spans: tuple[Span, ...]
    held: int
    size: int

    @property
    def cost(self) -> int:
        """How many bounds and fixed values it has."""
        return sum(span.cost for span in self.spans)


@dataclass(frozen=True)
class Points:
    """codes: slots, (n, axes); inside: whether each point is IN, (n,)."""

    axes: Sequence[Axis]
    inside: Bools

    def holds(self, spans: Sequence[Span], without: Sequence[int] = ()) -> Bools:
        """As the function does."""
        return holds(self.axes, spans, len(self.inside), without)


def holds(
    axes: Sequence[Axis], spans: Sequence[Span], count: int, without: Sequence[int] = ()
) -> Bools:
    """Which of n = `count` points lie in a box, (n,). without: axes that do not count."""
    found = np.ones(count, dtype=np.bool_)
    for number, (axis, span) in enumerate(zip(axes, spans, strict=True)):
        if number not in without and span.cost:
            found &= (axis.codes >= span.start) & (axis.codes < span.stop)
    return found


def largest(axes: Sequence[Axis], inside: Bools) -> Box | None:
    """The box that holds most points that are IN; of equal ones that with the fewest others, then
    with the fewest bounds. None where none is precise enough, or the best one holds hardly any of
    them: it might be a whim of the points. The whole space is one only where all points are IN."""
    points = Points(axes, inside)
    starts, exact = _starts(points, MOST)
    best = max(starts, key=lambda box: score_of(box, inside), default=None)
    if not exact and best is not None:
        precise = score_of(best, inside) > IMPRECISE / 2
        best = moved(points, best if precise else starts[-1])
    if best is None or score_of(best, inside) < IMPRECISE / 2:
        return None
    return _tightened(points, best) if best.held * LEAST_PART >= inside.sum() else None


def nearest(axes: Sequence[Axis], inside: Bools, most: int) -> Box | None:
    """The best of about so many boxes, precise or not."""
    starts, _ = _starts(Points(axes, inside), most)
    return starts[0] if starts else None


def _starts(points: Points, most: int) -> tuple[list[Box], bool]:
    """The best boxes among about so many, and whether there are no others."""
    axes, free = points.axes, _telling(points, most)
    edges, exact = affordable([axes[number] for number in free], most)
    found = _counted(points, tuple(whole(axis) for axis in axes), free, edges)
    return [box for box in found if box is not None], exact and len(free) == len(axes)


def _telling(points: Points, most: int) -> list[int]:
    """The numbers of all axes; where even their coarsest choices make up too many boxes, of those
    that tell most about which points are IN."""
    fewest = [choice_count(axis, min(3, len(all_edges(axis)))) for axis in points.axes]
    if math.prod(fewest) <= most:
        return list(range(len(points.axes)))
    share, gains = points.inside.mean(), []
    for axis in points.axes:
        cells = _cell_edges(axis, coarse(axis, 5, axis.codes))
        codes = np.searchsorted(cells, axis.codes, side="right") - 1
        sizes = np.maximum(np.bincount(codes), 1)
        gains.append(float((np.bincount(codes, points.inside - share) ** 2 / sizes).sum()))
    kept, boxes = list[int](), 1.0
    for number in np.argsort(-np.array(gains), kind="stable").tolist():
        boxes *= fewest[number]
        if boxes > most:
            break
        kept.append(number)
    return sorted(kept)


# --- counting boxes ----------------------------------------------------------------------------


def _counted(
    points: Points, spans: tuple[Span, ...], free: Sequence[int], edges: Sequence[Ints]
) -> list[Box | None]:
    """The best of all boxes that differ from `spans` on the free axes only, and the one that comes
    nearest to being precise while it holds many; edges: of the free axes, their ends."""
    axes = [points.axes[number] for number in free]
    choices = [choices_of(axis, own) for axis, own in zip(axes, edges, strict=True)]
    where = points.holds(spans, free)
    held = _sums(axes, edges, choices, where & points.inside)
    size = _sums(axes, edges, choices, where)
    rest = sum(span.cost for n, span in enumerate(spans) if n not in free)
    cost = reduce(np.add.outer, [own.costs for own in choices], np.array(rest))
    found: list[Box | None] = []
    for score in (_score(held, size, cost, points.inside), held - 3.0 * (size - held)):
        place = np.unravel_index(int(np.argmax(score)), score.shape)
        if score[place] <= NONE:
            found.append(None)
            continue
        chosen = list(spans)
        for number, own, at in zip(free, choices, place, strict=True):
            chosen[number] = own.span(int(at))
        found.append(Box(tuple(chosen), int(held[place]), int(size[place])))
    return found


def _sums(
    axes: Sequence[Axis], edges: Sequence[Ints], choices: Sequence[Choices], where: Bools
) -> Floats:
    """How many of the points `where`, (n,), each box holds: one axis of the result for each."""
    cells = [_cell_edges(axis, own) for axis, own in zip(axes, edges, strict=True)]
    shape = tuple(len(own) - 1 for own in cells)
    codes = [
        np.searchsorted(own, axis.codes[where], side="right") - 1
        for own, axis in zip(cells, axes, strict=True)
    ]
    flat = np.ravel_multi_index(tuple(codes), shape) if axes else np.zeros(where.sum(), np.int64)
    table = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    for number, (own, choice) in enumerate(zip(cells, choices, strict=True)):
        zero = np.zeros_like(table.take([0], axis=number))
        below = np.concatenate([zero, table.cumsum(axis=number)], axis=number)
        first = np.searchsorted(own, choice.starts)
        last = np.searchsorted(own, choice.stops)
        table = below.take(last, axis=number) - below.take(first, axis=number)
    return np.asarray(table, dtype=np.float64)


def _cell_edges(axis: Axis, edges: Ints) -> Ints:
    """The ends of an axis and those of its slots without an order."""
    return np.unique(np.concatenate([edges, np.arange(axis.ordered, axis.slots + 1)]))


def _score(held: Floats, size: Floats, cost: Ints, inside: Bools) -> Floats:
    """The greater, the better. A box that is not precise enough counts by how far it is from it."""
    count = len(inside)
    precise = held * PRECISION[1] >= size * PRECISION[0]
    trivial = (size == count) & (held < count)
    score = (held * (count + 1) - (size - held)) * 64 - cost
    far = IMPRECISE + held - PRECISION[0] * (size - held)
    score = np.where(precise & ~trivial, score, far)
    return np.asarray(np.where(size < FEWEST, NONE, score), dtype=np.float64)


def score_of(box: Box, inside: Bools) -> float:
    """The greater, the better."""
    figures = np.array(box.held, float), np.array(box.size, float), np.array(box.cost)
    return float(_score(*figures, inside))


# --- moving ends -------------------------------------------------------------------------------


def moved(points: Points, box: Box) -> Box:
    """The box with its ends moved, and values fixed or freed, for as long as that makes it better:
    on one axis at a time, and on two."""
    numbers = range(len(points.axes))
    alone = [(number,) for number in numbers]
    box = _climbed(points, box, alone)
    return _climbed(points, box, [*alone, *combinations(numbers, 2)])


def _climbed(points: Points, box: Box, turns: Sequence[tuple[int, ...]]) -> Box:
    """turns: numbers of axes that are moved together, in turn."""
    best = score_of(box, points.inside)
    for _ in range(ROUNDS):
        before = box
        for free in turns:
            edges = [_ends(points, box, n, ALONE if len(free) == 1 else TOGETHER) for n in free]
            found, _ = _counted(points, box.spans, free, edges)
            if found and (score := score_of(found, points.inside)) > best:
                box, best = found, score
        if box is before:
            break
    return box


def _ends(points: Points, box: Box, number: int, count: int) -> Ints:
    """Ends to try on one axis: of the points that the others leave, those of the box, and the ones
    beside these."""
    axis, span = points.axes[number], box.spans[number]
    if not axis.ordered:
        return all_edges(axis)
    left = axis.codes[points.holds(box.spans, [number])]
    own = np.array([span.start, span.stop])
    near = np.clip(np.concatenate([own - 1, own, own + 1]), 0, axis.ordered)
    edges = coarse(axis, count, left) if (left < axis.ordered).any() else near
    return np.unique(np.concatenate([edges, near]))


def _tightened(points: Points, box: Box) -> Box:
    """With bounds at values of its points that are IN: beyond them none is known to be."""
    where, spans = points.holds(box.spans) & points.inside, list(box.spans)
    for number, (axis, span) in enumerate(zip(points.axes, spans, strict=True)):
        if not span.cost or span.start >= axis.ordered:
            continue
        codes = axis.codes[where]
        start = int(codes.min()) if span.start else 0
        stop = int(codes.max()) + 1 if span.stop < axis.ordered else span.stop
        spans[number] = Span(start, stop, span.cost)
    return Box(tuple(spans), box.held, int(points.holds(spans).sum()))
