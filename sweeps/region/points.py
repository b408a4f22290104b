"""Defence points, gathered from rows of the ledger: counts by seed, rates, what is complete."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sweeps.ledger import flatten_factors
from sweeps.records.model_answer import Factors
from sweeps.records.trial_row import TrialRow
from sweeps.region.best_accuracy import AccuracyReference, from_baseline, from_panel
from sweeps.region.seed_modes import ONE_MODE, SeedModes, seed_modes
from sweeps.statistics.seed_bounds import Counts, Rate, rates


@dataclass(frozen=True)
class AttackFigures:
    """One attack at one defence point. clean, success: counts by seed; validation: accuracy of each
    seed, a fraction; the rates are over all seeds."""

    clean: dict[int, Counts]
    success: dict[int, Counts]
    validation: list[float]
    clean_rate: Rate
    success_rate: Rate


@dataclass(frozen=True)
class Point:
    """A defence point with its finished rows. figures: by attack id, empty where the panel is not
    complete for every seed. stopped: how many of its trials were stopped early; stand_in: what its
    accuracy is then known by, if anything. unbroken: its accuracy by the panel's models that
    neither collapsed nor diverged, which the best accuracy is taken from. modes: what the test of
    the sweep's seeds says, by which bounds were computed."""

    defence_id: str
    factors: Factors
    rows: list[TrialRow]
    figures: dict[str, AttackFigures]
    stopped: int = 0
    stand_in: AccuracyReference | None = None
    unbroken: AccuracyReference | None = None
    modes: SeedModes = ONE_MODE

    @property
    def reference(self) -> AccuracyReference | None:
        """What the point says of the best accuracy; None while it cannot say."""
        return self.unbroken if self.complete else self.stand_in

    @property
    def baseline(self) -> list[TrialRow]:
        """The rows of the clean baseline."""
        return [row for row in self.rows if row.is_clean]

    @property
    def complete(self) -> bool:
        """Whether every attack of the panel has every seed."""
        return bool(self.figures)

    @property
    def clean_accuracy(self) -> float:
        """The lowest mean over the panel's poisoned models."""
        return min(figures.clean_rate.mean for figures in self.figures.values())

    @property
    def validation_accuracy(self) -> float:
        """The same on validation images."""
        return min(sum(f.validation) / len(f.validation) for f in self.figures.values())

    @property
    def worst_attack(self) -> str:
        """The id of the attack that succeeds most."""
        return max(self.figures, key=lambda name: self.figures[name].success_rate.mean)

    @property
    def attack_success(self) -> float:
        """The mean success of the worst attack."""
        return self.figures[self.worst_attack].success_rate.mean


def gathered(
    rows: Sequence[TrialRow], panel: Collection[str], seeds: Sequence[int], confidence: float
) -> list[Point]:
    """All points of finished and stopped rows, in the order of the table. panel: ids of the attacks
    that a point needs."""
    by_point: dict[str, list[TrialRow]] = defaultdict(list)
    for row in rows:
        by_point[row.defence_id].append(row)
    points = in_order(_without_bounds(own, panel, seeds) for own in by_point.values())
    return bounded(points, confidence, modes_of(points))


def modes_of(points: Iterable[Point]) -> SeedModes:
    """Whether the seeds of all complete points without a broken model have two modes."""
    fine = [point for point in points if not any(row.broken for row in point.rows)]
    figures = [figures for point in fine for figures in point.figures.values()]
    return seed_modes([f.clean for f in figures], [f.success for f in figures])


def point_of(
    rows: Sequence[TrialRow],
    panel: Collection[str],
    seeds: Sequence[int],
    confidence: float,
    modes: SeedModes = ONE_MODE,
) -> Point:
    """The point behind all of its finished and stopped rows, at least one, by itself: whether seeds
    have two modes cannot be told from it."""
    return bounded([_without_bounds(rows, panel, seeds)], confidence, modes)[0]


def _without_bounds(
    rows: Sequence[TrialRow], panel: Collection[str], seeds: Sequence[int]
) -> Point:
    finished = [row for row in rows if row.finished]
    figures = _figures(finished, panel, seeds)
    stopped = len(rows) - len(finished)
    stand_in = from_baseline(finished, seeds) if stopped else None
    unbroken = from_panel(finished, panel, seeds)
    factors = factors_of(rows[0])
    return Point(rows[0].defence_id, factors, finished, figures, stopped, stand_in, unbroken)


def bounded(points: list[Point], confidence: float, modes: SeedModes = ONE_MODE) -> list[Point]:
    """The points with bounds of all their rates, in the same order."""
    figures = [figures for point in points for figures in point.figures.values()]
    clean = rates([list(f.clean.values()) for f in figures], confidence, modes.clean.fired)
    success = rates([list(f.success.values()) for f in figures], confidence, modes.success.fired)
    again = iter(
        replace(own, clean_rate=c, success_rate=s)
        for own, c, s in zip(figures, clean, success, strict=True)
    )
    return [
        replace(point, figures={name: next(again) for name in point.figures}, modes=modes)
        for point in points
    ]


def in_order(points: Iterable[Point]) -> list[Point]:
    """The order of the table, which also decides between equal ones.

    It goes by factor, nothing, numbers and text apart, so that it does not depend on what ended
    first.
    """

    def key(point: Point) -> list[tuple[str, bool, bool, object]]:
        return [
            (name, isinstance(v, str), v is not None, 0 if v is None else v)
            for name, v in sorted(point.factors.items())
        ]

    return sorted(points, key=key)


def factors_of(row: TrialRow) -> Factors:
    """The settings of a row's defence point, by dotted name."""
    flat = flatten_factors(dict(row.config))
    return {name: value for name, value in flat.items() if name.startswith("defence.")}


def _figures(
    rows: Sequence[TrialRow], panel: Collection[str], seeds: Sequence[int]
) -> dict[str, AttackFigures]:
    """Figures of every attack of the panel; nothing at all while a seed of one is missing."""
    found = {(row.attack_id, row.seed): row for row in rows}
    if any((name, seed) not in found for name in panel for seed in seeds):
        return {}
    return {name: _attack_figures([found[name, seed] for seed in seeds]) for name in panel}


def _attack_figures(rows: Sequence[TrialRow]) -> AttackFigures:
    clean = {row.seed: (row.clean_correct, row.clean_total) for row in rows}
    success = {row.seed: (row.measurements[0].success, row.measurements[0].total) for row in rows}
    validation = [row.validation_accuracy or 0.0 for row in rows]
    return AttackFigures(clean, success, validation, _mean(clean), _mean(success))


def _mean(counts: dict[int, Counts]) -> Rate:
    """The mean without bounds, which are computed for all points at once."""
    known = [k / n for k, n in counts.values() if n]
    return Rate(sum(known) / len(known) if known else math.nan, None, None)
