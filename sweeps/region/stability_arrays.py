"""Counts of all points of the table as arrays, by attack and seed.

All changes of `stability_changes` are judged from them: to build the table's objects again for
every change would take several times as long as the table itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sweeps.records.criteria import Criteria
from sweeps.records.trial_row import CLEAN, STOPPED, TrialRow
from sweeps.region.points import Point

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]
Counts = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)
#: A trial by its point's number, attack and seed.
Place = tuple[int, str, int]


@dataclass(frozen=True)
class Kept:
    """What a change leaves. attacks, seeds: their numbers, ascending. complete: whether a point has
    all of their trials, (n,). stopped: whether one of its trials was stopped, (n,). fine: whether
    it can be IN: it is complete, has the clean baseline where that is needed, and no model is
    broken, (n,). clean, success: means over seeds as thresholds compare them, (n, attacks), NaN
    where the point is not judged."""

    attacks: list[int]
    seeds: list[int]
    complete: Bools
    stopped: Bools
    fine: Bools
    clean: Floats
    success: Floats

    def of(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """(..., attacks, seeds) of what is kept."""
        found: NDArray[Scalar] = values[..., self.attacks, :][..., self.seeds]
        return found


class PointArrays:
    """Counts of n points.

    counts: int64, (6, n, attacks, seeds): correct and clean test images, successes and triggered
    images, and where thresholds compare with the clean baseline, its successes and images.
    accuracies: (2, n, attacks, seeds), on validation and on clean test images, NaN where a trial is
    missing, and baseline: (2, n, seeds), likewise of the clean baseline. broken: whether a model of
    the panel collapsed or diverged, (n, attacks, seeds); broken_baseline: (n, seeds). clean,
    success: by attack and seed as thresholds compare them, NaN where a seed has no images.
    """

    def __init__(
        self, rows: Sequence[TrialRow], points: Sequence[Point], criteria: Criteria
    ) -> None:
        """points: of the table, in its order; rows: finished and stopped ones, of which the points
        were gathered by these criteria."""
        self.points = points
        self._attacks = {name: number for number, name in enumerate(criteria.measures)}
        self._seeds = {seed: number for number, seed in enumerate(criteria.seeds)}
        number = {point.defence_id: index for index, point in enumerate(points)}
        self._stopped: list[Place] = [
            (number[row.defence_id], row.attack_id, row.seed)
            for row in rows
            if row.status == STOPPED
        ]
        self._broken: list[Place] = [
            (index, row.attack_id, row.seed)
            for index, point in enumerate(points)
            for row in point.rows
            if row.collapsed or row.diverged
        ]
        shape = (len(points), len(self._attacks), len(self._seeds))
        self.counts = np.zeros((6, *shape), dtype=np.int64)
        self.accuracies = np.full((2, *shape), np.nan)
        self.baseline = np.full((2, shape[0], shape[2]), np.nan)
        self.broken = np.zeros(shape, dtype=np.bool_)
        self.broken_baseline = np.zeros((shape[0], shape[2]), dtype=np.bool_)
        self._compared = np.zeros(shape, dtype=np.bool_)  # with a clean baseline that is there
        self.above_baseline = criteria.thresholds.above_baseline
        self._fill_complete()
        self._fill_incomplete()
        if self.above_baseline or self._stopped:  # else nothing is compared with it
            self._fill_baseline(criteria.measures)
        self._fill_broken()
        with np.errstate(invalid="ignore"):
            self.clean = self.counts[0] / self.counts[1]
            known = np.where(np.isnan(self.clean), 0.0, self.clean)
            self.accuracies[1] = np.where(np.isnan(self.accuracies[0]), np.nan, known)
            self.success = self.counts[2] / self.counts[3]
            if self.above_baseline:
                self.success -= self.counts[4] / self.counts[5]

    def _fill_complete(self) -> None:
        """Points that the table judges, whose figures it has: one assignment for all."""
        complete = [index for index, point in enumerate(self.points) if point.complete]
        if not complete:
            return
        figures = [list(self.points[index].figures.values()) for index in complete]
        counts = [[[*f.clean.values(), *f.success.values()] for f in own] for own in figures]
        # (points, attacks, clean then success by seed, successes and images)
        found = np.array(counts).reshape(*self._shape_of(complete), 2, -1, 2)
        self.counts[:4, complete] = np.moveaxis(found, (2, 4), (0, 1)).reshape(
            4, *self._shape_of(complete), -1
        )
        self.accuracies[0, complete] = [[f.validation for f in own] for own in figures]

    def _shape_of(self, points: Sequence[int]) -> tuple[int, int]:
        return len(points), len(self._attacks)

    def _fill_incomplete(self) -> None:
        attacks, seeds = self._attacks, self._seeds
        for index, point in enumerate(self.points):
            for row in () if point.complete else point.rows:
                if row.attack_id in attacks and row.seed in seeds:
                    where, found = (attacks[row.attack_id], seeds[row.seed]), row.measurements[0]
                    counts = row.clean_correct, row.clean_total, found.success, found.total
                    self.counts[:4, index, *where] = counts
                    self.accuracies[0, index, *where] = row.validation_accuracy or 0.0

    def _fill_baseline(self, measures: Mapping[str, str]) -> None:
        for index, point in enumerate(self.points):
            for row in point.baseline:
                if (seed := self._seeds.get(row.seed)) is None:
                    continue
                own = row.validation_accuracy or 0.0, row.clean_accuracy or 0.0
                self.baseline[:, index, seed] = own
                if not self.above_baseline:
                    continue
                found = {measured.measure_id: measured for measured in row.measurements}
                for attack, name in enumerate(measures.values()):
                    if (measured := found.get(name)) is not None:
                        self.counts[4:, index, attack, seed] = measured.success, measured.total
                        self._compared[index, attack, seed] = True

    def _fill_broken(self) -> None:
        for index, name, seed in self._broken:
            attack, number = self._attacks.get(name), self._seeds.get(seed)
            if number is not None and attack is not None:
                self.broken[index, attack, number] = True
            elif number is not None and name == CLEAN:
                self.broken_baseline[index, number] = True

    def kept(self, criteria: Criteria) -> Kept:
        """What criteria with fewer attacks or seeds leave."""
        attacks = [n for name, n in self._attacks.items() if name in criteria.measures]
        seeds = [n for seed, n in self._seeds.items() if seed in criteria.seeds]

        def chosen(values: Floats) -> Floats:
            return values[:, attacks][:, :, seeds]

        complete = every(~np.isnan(chosen(self.accuracies[0])), (1, 2))
        judged = complete.copy()
        if self.above_baseline:
            judged &= every(self._compared[:, attacks][:, :, seeds], (1, 2))
        clean, success = (
            np.where(judged[:, None], mean(chosen(values)), np.nan)
            for values in (self.clean, self.success)
        )
        fine = judged & ~self._points_of(self._broken, criteria)
        stopped = self._points_of(self._stopped, criteria)
        return Kept(attacks, seeds, complete, stopped, fine, clean, success)

    def _points_of(self, places: Iterable[Place], criteria: Criteria) -> Bools:
        """Points with one of these trials, (n,), without those of an attack or a seed that is left
        out. What is of neither counts: the clean baseline, and seeds of before."""
        attacks = self._attacks.keys() - criteria.measures.keys()
        seeds = self._seeds.keys() - set(criteria.seeds)
        found = np.zeros(len(self.points), dtype=np.bool_)
        found[[p for p, name, seed in places if name not in attacks and seed not in seeds]] = True
        return found


def mean(values: Floats) -> Floats:
    """Over the last axis, added up in its order as the table does, without what is NaN."""
    total, known = np.zeros(values.shape[:-1]), (~np.isnan(values)).sum(-1)
    for column in np.moveaxis(values, -1, 0):
        total = total + np.nan_to_num(column)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / known)


def every(values: Bools, axes: tuple[int, ...]) -> Bools:
    """Whether all are true along these axes."""
    return np.asarray(values.all(axes), dtype=np.bool_)
