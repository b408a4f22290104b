"""Verdicts by bounds after a change. Bounds of all seeds are the table's; a seed that is left out
needs new ones, of which no more than necessary are computed."""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np

from sweeps.region.stability_arrays import Bools, Floats, Kept, PointArrays
from sweeps.statistics.paired_bounds import mean_difference
from sweeps.statistics.seed_bounds import Counts, Rate, rate

#: Bounds that are computed for all seeds left out together, at most; of a large table, half as many
#: as the table has.
MOST_BOUNDS = 20_000

#: A lower and an upper bound, None where there is none.
_Bounds = tuple[float | None, float | None]


class BoundsAgain:
    """Judges by bounds. confidence: of each bound. most: how many bounds may be computed for seeds
    that are left out; too_many: whether that was not enough."""

    def __init__(self, arrays: PointArrays, confidence: float) -> None:
        self._arrays, self._confidence = arrays, confidence
        points, attacks, seeds = arrays.clean.shape
        self.most = max(MOST_BOUNDS, points * attacks)
        self.too_many = False
        self._all_seeds, self._computed = seeds, 0
        # Flat tuples of numbers: the garbage collector does not look at them again and again.
        self._known: dict[tuple[int, ...], _Bounds] = {}

    def inside(self, kept: Kept, least: float, most: float) -> Bools | None:
        """Which points are IN, (n,); None where that would take too many bounds."""
        limited = len(kept.seeds) < self._all_seeds
        inside = np.zeros(len(kept.fine), dtype=np.bool_)
        again = kept.fine & ~self._never(kept, least, most)
        if not limited:
            lower, upper = (bounds[:, kept.attacks] for bounds in self._table)
            known = ~np.isnan(lower + upper).any(1)
            with np.errstate(invalid="ignore"):
                inside = kept.fine & known & (lower >= least).all(1) & (upper <= most).all(1)
            again &= ~known
        elif len(kept.seeds) < 2:
            return inside
        for index in np.flatnonzero(again).tolist():
            if limited and self._computed >= self.most:
                self.too_many = True
                return None
            inside[index] = self._is_inside(index, kept, least, most, limited)
        return inside

    @cached_property
    def _table(self) -> tuple[Floats, Floats]:
        """The lower bounds of clean accuracy and the upper ones of attack success that the table
        has, (n, attacks) each; NaN where there is none, or success is compared otherwise."""
        lower, upper = np.full((2, *self._arrays.clean.shape[:2]), np.nan)
        for index, point in enumerate(self._arrays.points):
            found = list(point.figures.values())
            if found and not self._arrays.above_baseline:
                lower[index] = [_or_nan(figures.clean_rate.lower) for figures in found]
                upper[index] = [_or_nan(figures.success_rate.upper) for figures in found]
        return lower, upper

    def _never(self, kept: Kept, least: float, most: float) -> Bools:
        """Points of which some figure misses its threshold with every single seed, (n,): no bound
        can say that it keeps it."""
        with np.errstate(invalid="ignore"):
            clean = (kept.of(self._arrays.clean) < least).all(2)
            return (clean | (kept.of(self._arrays.success) > most).all(2)).any(1)

    def _is_inside(self, index: int, kept: Kept, least: float, most: float, counts: bool) -> bool:
        """Whether all bounds of a point keep their thresholds. The worst figure is looked at first:
        most points that are not IN need no other bound."""
        clean, success = kept.clean[index] - least, most - kept.success[index]
        images = kept.of(self._arrays.counts[:, index]).tolist()
        order = np.concatenate([clean, success]).argsort().tolist()
        computed = len(self._known)
        found = True
        for number in order:
            attack = number % len(kept.attacks)
            if number < len(kept.attacks):
                lower = self._clean([of[attack] for of in images])[0]
                found = lower is not None and lower >= least
            else:
                upper = self._success([of[attack] for of in images])[1]
                found = upper is not None and upper <= most
            if not found:
                break
        self._computed += (len(self._known) - computed) * counts
        return found

    def _clean(self, counts: list[list[int]]) -> _Bounds:
        return self._rate(counts[0], counts[1])

    def _success(self, counts: list[list[int]]) -> _Bounds:
        if not self._arrays.above_baseline:
            return self._rate(counts[2], counts[3])
        key = tuple(itertools.chain(*counts[2:]))
        if key not in self._known:
            ones, others = _pairs(counts[2], counts[3]), _pairs(counts[4], counts[5])
            self._known[key] = _bounds(mean_difference(ones, others, self._confidence))
        return self._known[key]

    def _rate(self, successes: list[int], images: list[int]) -> _Bounds:
        key = (*successes, *images)
        if key not in self._known:
            self._known[key] = _bounds(rate(_pairs(successes, images), self._confidence))
        return self._known[key]


def _bounds(found: Rate) -> _Bounds:
    return found.lower, found.upper


def _pairs(successes: list[int], images: list[int]) -> list[Counts]:
    return list(zip(successes, images, strict=True))


def _or_nan(bound: float | None) -> float:
    return np.nan if bound is None else bound
