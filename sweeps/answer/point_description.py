"""The tried points of a search that completes them, described by intervals of their factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backdoor.settings.schema import round_significant
from sweeps.answer.box_axes import Axis, derived_axes, factor_axes
from sweeps.answer.box_choices import Span
from sweeps.answer.box_search import Box, holds, largest
from sweeps.answer.rule_search import better_rule
from sweeps.records.model_answer import DescriptionEntry, Factors, IntervalEntry
from sweeps.records.outside import short
from sweeps.records.region_file import Basis, PointEntry
from sweeps.region.standing import BASES, IN, verdict_by
from sweeps.statistics.arrays import Bools

OUT, INCOMPLETE = "OUT", "INCOMPLETE"


@dataclass(frozen=True)
class PointDescription:
    """A description of points with its counts. held: of its points, how many are IN; size: how many
    there are; inside: how many are IN anywhere."""

    entry: DescriptionEntry
    held: int
    size: int
    inside: int


@dataclass(frozen=True)
class Described:
    """What the tried points say. basis: the surest verdict by which any is IN. judged: how many
    points precision counts, of `tried`: those that are complete, or IN or OUT by that verdict all
    the same. box, rule: None where none holds two points and is 95 % precise, and a rule that says
    no more than the box."""

    basis: Basis
    judged: int
    tried: int
    box: PointDescription | None
    rule: PointDescription | None


def described_points(points: Sequence[PointEntry]) -> Described | None:
    """The points that are IN by the surest verdict by which any is; None where none is."""
    basis = next((b for b in BASES if any(verdict_by(p, b) == IN for p in points)), None)
    if basis is None:
        return None
    judged = [point for point in points if _is_judged(point, basis)]
    inside = np.array([verdict_by(point, basis) == IN for point in judged], dtype=np.bool_)
    axes = factor_axes([point["factors"] for point in judged])
    box = largest(axes, inside)
    rule = better_rule(axes, derived_axes(axes), inside, box)
    total = int(inside.sum())
    return Described(
        basis,
        len(judged),
        len(points),
        None if box is None else _description(axes, box, total),
        None if rule is None else _description(*rule, total),
    )


def _is_judged(point: PointEntry, basis: Basis) -> bool:
    return point["by_means"] != INCOMPLETE or verdict_by(point, basis) in (IN, OUT)


def _description(axes: Sequence[Axis], box: Box, inside: int) -> PointDescription:
    category: Factors = {}
    intervals: list[IntervalEntry] = []
    for axis, span in zip(axes, box.spans, strict=True):
        if not span.cost:
            continue
        if span.start >= axis.ordered:
            category[axis.names[0]] = axis.words[span.start - axis.ordered]
        else:
            intervals.append(_interval(axis, span))
            category |= _kind_of(axis, axes, holds(axes, box.spans, len(axis.codes)))
    entry: DescriptionEntry = {
        "category": category,
        "intervals": intervals,
        "precision": box.held / box.size,
        "coverage": box.held / inside,
    }
    return PointDescription(entry, box.held, box.size, inside)


def _kind_of(bounded: Axis, axes: Sequence[Axis], inside: Bools) -> Factors:
    """The kind that all points of a box have, and that alone has the bounded factor: without it the
    box would read as if other kinds lay in it. inside: the points of the box, (n,)."""
    absent = bounded.codes >= bounded.ordered
    for axis in axes:
        codes = np.unique(axis.codes[inside])
        explains = absent.any() and not axis.levels and len(codes) == 1
        if explains and not absent[axis.codes == codes[0]].any():
            return {axis.names[0]: axis.words[int(codes[0])]}
    return {}


def _interval(axis: Axis, span: Span) -> IntervalEntry:
    """A factor with words or without a value beside its numbers has a lower bound at least."""
    low, high = axis.levels[span.start], axis.levels[span.stop - 1]
    bounded = span.start > 0, span.stop < axis.ordered
    return {
        "factor": _name(axis),
        "low": _bound(low, axis.sign) if bounded[0] or not bounded[1] else None,
        "high": _bound(high, axis.sign) if bounded[1] else None,
    }


def _bound(level: float, sign: int) -> float:
    return float(round_significant(10**level)) if sign else level


def _name(axis: Axis) -> str:
    """`weight_decay`, `weight_decay x learning_rate`, `weight_decay / learning_rate`."""
    return {0: "", 1: " x ", -1: " / "}[axis.sign].join(short(name) for name in axis.names)
