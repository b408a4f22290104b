"""The figures of all points as arrays, judged again and again with changed criteria.

The rules are those of `point_table`: tests hold both against each other. Objects of the table are
not built again for every change, which would take several times as long as the table itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweeps.records.criteria import Criteria
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import STOPPED, TrialRow
from sweeps.region.points import Counts, Point
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.seed_bounds import Rate, rate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
#: Bounds that are computed for all changes together, at most; the table of 3,500 points and seven
#: attacks takes as many.
MOST_BOUNDS = 50_000


@dataclass(frozen=True)
class Judged:
    """All points, judged. by_means, by_bounds: whether each is IN, (n,) for n points; by_bounds is
    None where that would take too many bounds. margin: (n,), NaN where incomplete."""

    by_means: Bools
    by_bounds: Bools | None
    margin: Floats

    @property
    def recommended(self) -> int | None:
        """As `point_table.recommend` chooses: by bounds where any point is IN by them."""
        sure = self.by_bounds
        among = self.by_means if sure is None or not sure.any() else sure
        return int(np.where(among, self.margin, -np.inf).argmax()) if among.any() else None


@dataclass(frozen=True)
class _Cells:
    """What is kept. attacks, seeds: their numbers, ascending. complete: (n,). clean, success,
    validation: means over seeds, (n, attacks), NaN where incomplete. fine: complete, and no model
    is broken."""

    attacks: list[int]
    seeds: list[int]
    complete: Bools
    fine: Bools
    clean: Floats
    success: Floats
    validation: Floats


class PointArrays:
    """Counts of all points by attack and seed. points: of the table, in its order; rows: finished
    and stopped ones, of which all points were gathered by these criteria."""

    def __init__(
        self, rows: Sequence[TrialRow], points: Sequence[Point], criteria: Criteria
    ) -> None:
        self.points, self.confidence = points, criteria.thresholds.confidence
        self.attacks, self.seeds = list(criteria.measures), list(criteria.seeds)
        self.bounds_left = MOST_BOUNDS
        self._known: dict[tuple[Counts, ...], Rate] = {}
        self._number = {point.defence_id: index for index, point in enumerate(points)}
        self._stopped = [
            (self._number[row.defence_id], row.attack_id, row.seed)
            for row in rows
            if row.status == STOPPED
        ]
        self._broken = [
            (index, row.attack_id, row.seed)
            for index, point in enumerate(points)
            for row in point.rows
            if row.collapsed or row.diverged
        ]
        self._fill()

    def _fill(self) -> None:
        """Counts, (n, attacks, seeds) of integers; validation accuracy likewise; the clean
        baseline's accuracies, (n, seeds), NaN where it is missing."""
        shape = (len(self.points), len(self.attacks), len(self.seeds))
        attacks = {name: number for number, name in enumerate(self.attacks)}
        seeds = {seed: number for number, seed in enumerate(self.seeds)}
        cells, values = list[tuple[int, int, int]](), list[tuple[int, int, int, int]]()
        validation, baseline = np.full(shape, np.nan), np.full((2, shape[0], shape[2]), np.nan)
        for index, point in enumerate(self.points):
            for row in point.rows:
                seed, attack = seeds.get(row.seed), attacks.get(row.attack_id)
                if seed is None:
                    continue
                accuracy = row.validation_accuracy or 0.0
                if attack is not None:
                    first = row.measurements[0]
                    cells.append((index, attack, seed))
                    values.append(
                        (row.clean_correct, row.clean_total, first.success or 0, first.total)
                    )
                    validation[index, attack, seed] = accuracy
                elif row.is_clean:
                    baseline[:, index, seed] = accuracy, row.clean_accuracy or 0.0
        counts = np.zeros((4, *shape), dtype=np.int64)
        if cells:
            counts[:, *np.array(cells).T] = np.array(values).T
        self._counts, self._validation, self._baseline = counts, validation, baseline
        with np.errstate(invalid="ignore"):  # NaN where a seed has no images: it is left out
            self._clean, self._success = counts[0] / counts[1], counts[2] / counts[3]

    # --- judging --------------------------------------------------------------------------------

    def judged(self, criteria: Criteria) -> Judged | None:
        """By criteria with fewer attacks or seeds, or other thresholds; None where the clean
        accuracy that is asked for is not known."""
        cells = self._cells(criteria)
        least, most = self._least(criteria.thresholds, cells), criteria.thresholds.attack_success
        if least is None:
            return None
        with np.errstate(invalid="ignore"):
            margin = np.minimum(cells.clean.min(1) - least, most - cells.success.max(1))
            margin = np.round(margin, DIGITS)
            by_means = cells.fine & (margin >= 0)
        return Judged(by_means, self._by_bounds(cells, least, most), margin)

    def _cells(self, criteria: Criteria) -> _Cells:
        attacks = [n for n, name in enumerate(self.attacks) if name in criteria.measures]
        seeds = [number for number, seed in enumerate(self.seeds) if seed in criteria.seeds]
        missing = np.isnan(self._validation[:, attacks][:, :, seeds])
        complete = ~missing.any((1, 2))
        fine = complete.copy()
        for index, attack, seed in self._broken:
            if self._kept(attack, seed, criteria):
                fine[index] = False
        means = (
            np.where(complete[:, None], _mean(values[:, attacks][:, :, seeds]), np.nan)
            for values in (self._clean, self._success, self._validation)
        )
        return _Cells(attacks, seeds, complete, fine, *means)

    def _kept(self, attack: str, seed: int, criteria: Criteria) -> bool:
        """Whether a row is not of an attack or a seed that is left out. Rows of neither are the
        clean baseline's, and those of seeds that the sweep no longer asks for."""
        gone_attack = attack in self.attacks and attack not in criteria.measures
        return not (gone_attack or (seed in self.seeds and seed not in criteria.seeds))

    def _least(self, thresholds: Thresholds, cells: _Cells) -> float | None:
        """As `point_table.least_accuracy`, with the best point chosen again."""
        if thresholds.below_best is None:
            return thresholds.clean_accuracy
        baseline = self._baseline[:, :, cells.seeds]
        validation, clean = np.where(np.isnan(baseline).any(-1), np.nan, _mean(baseline))
        stopped = np.zeros(len(self.points), dtype=np.bool_)
        kept = {self.seeds[number] for number in cells.seeds}
        names = {self.attacks[number] for number in cells.attacks}
        for index, attack, seed in self._stopped:
            gone = attack in self.attacks and attack not in names
            stopped[index] |= not gone and (seed in kept or seed not in self.seeds)
        own = np.where(stopped, validation, np.nan)
        known = np.where(cells.complete, cells.validation.min(1), own)
        if np.isnan(known).all():
            return None
        best = int(np.nanargmax(known))
        accuracy = cells.clean[best].min() if cells.complete[best] else clean[best]
        return float(accuracy) - thresholds.below_best

    # --- bounds ---------------------------------------------------------------------------------

    def _by_bounds(self, cells: _Cells, least: float, most: float) -> Bools | None:
        inside = np.zeros(len(self.points), dtype=np.bool_)
        again = cells.fine & ~self._hopeless(cells, least, most)
        if len(cells.seeds) == len(self.seeds):
            lower, upper = (bounds[:, cells.attacks] for bounds in self._table_bounds)
            with np.errstate(invalid="ignore"):
                inside = cells.fine & (lower >= least).all(1) & (upper <= most).all(1)
            again &= np.array([not point.complete for point in self.points], dtype=np.bool_)
        margins = np.concatenate([cells.clean - least, most - cells.success], axis=1)
        for index in np.flatnonzero(again):
            if self.bounds_left <= 0:
                return None
            # The worst figure first: most points that are not IN need no other bound.
            inside[index] = all(
                self._holds(int(index), int(number), cells, least, most)
                for number in margins[index].argsort()
            )
        return inside

    @cached_property
    def _table_bounds(self) -> tuple[Floats, Floats]:
        """The lower bounds of clean accuracy and the upper ones of attack success that the table
        has, (n, attacks) each; NaN where there is none."""
        bounds = np.full((2, len(self.points), len(self.attacks)), np.nan)
        for index, point in enumerate(self.points):
            for number, name in enumerate(self.attacks if point.complete else ()):
                found = point.figures[name]
                bounds[:, index, number] = [
                    np.nan if bound is None else bound
                    for bound in (found.clean_rate.lower, found.success_rate.upper)
                ]
        return bounds[0], bounds[1]

    def _hopeless(self, cells: _Cells, least: float, most: float) -> Bools:
        """Points of which some figure misses its threshold with every single seed: no bound can
        say that it keeps it."""
        clean = self._clean[:, cells.attacks][:, :, cells.seeds]
        success = self._success[:, cells.attacks][:, :, cells.seeds]
        with np.errstate(invalid="ignore"):
            missed = (clean < least).all(2) | (success > most).all(2)
        return missed.any(1)

    def _holds(self, index: int, number: int, cells: _Cells, least: float, most: float) -> bool:
        """Whether a bound of a point keeps its threshold. number: of an attack for clean accuracy,
        then once more for its success."""
        kept, of_success = len(cells.attacks), number >= len(cells.attacks)
        attack = cells.attacks[number % kept]
        pair = self._counts[2 * of_success : 2 * of_success + 2, index, attack][:, cells.seeds]
        found = self._rate(tuple(zip(*pair.tolist(), strict=True)))
        if of_success:
            return found.upper is not None and found.upper <= most
        return found.lower is not None and found.lower >= least

    def _rate(self, counts: tuple[Counts, ...]) -> Rate:
        if counts not in self._known:
            self.bounds_left -= 1
            self._known[counts] = rate(counts, self.confidence)
        return self._known[counts]


def _mean(values: Floats) -> Floats:
    """Over the last axis, added up in its order as the table does, without seeds that have no
    images."""
    total, images = np.zeros(values.shape[:-1]), (~np.isnan(values)).sum(-1)
    for column in np.moveaxis(values, -1, 0):
        total = total + np.nan_to_num(column)
    with np.errstate(invalid="ignore"):
        return total / images
