"""Defence points, gathered from rows of the ledger: counts by seed, rates, what is complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sweeps.ledger import flatten_factors
from sweeps.records.model_answer import Factors
from sweeps.records.trial_row import TrialRow
from sweeps.region.best_accuracy import AccuracyReference, from_baseline, from_panel
from sweeps.statistics.seed_bounds import Rate, rate

#: Successes and images.
Counts = tuple[int, int]


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
    neither collapsed nor diverged, which the best accuracy is taken from."""

    defence_id: str
    factors: Factors
    rows: list[TrialRow]
    figures: dict[str, AttackFigures]
    stopped: int = 0
    stand_in: AccuracyReference | None = None
    unbroken: AccuracyReference | None = None

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
    return in_order(point_of(own, panel, seeds, confidence) for own in by_point.values())


def point_of(
    rows: Sequence[TrialRow], panel: Collection[str], seeds: Sequence[int], confidence: float
) -> Point:
    """The point behind all of its finished and stopped rows, at least one."""
    finished = [row for row in rows if row.finished]
    figures = _figures(finished, panel, seeds, confidence)
    stopped = len(rows) - len(finished)
    stand_in = from_baseline(finished, seeds) if stopped else None
    unbroken = from_panel(finished, panel, seeds)
    factors = _factors(rows[0])
    return Point(rows[0].defence_id, factors, finished, figures, stopped, stand_in, unbroken)


def in_order(points: Iterable[Point]) -> list[Point]:
    """The order of the table, which also decides between equal ones.

    It goes by factor, text and numbers apart, so that it does not depend on what ended first.
    """

    def key(point: Point) -> list[tuple[str, bool, object]]:
        return [(name, isinstance(v, str), v) for name, v in sorted(point.factors.items())]

    return sorted(points, key=key)


def _factors(row: TrialRow) -> Factors:
    flat = flatten_factors(dict(row.config))
    return {name: value for name, value in flat.items() if name.startswith("defence.")}


def _figures(
    rows: Sequence[TrialRow], panel: Collection[str], seeds: Sequence[int], confidence: float
) -> dict[str, AttackFigures]:
    """Figures of every attack of the panel; nothing at all while a seed of one is missing."""
    found = {(row.attack_id, row.seed): row for row in rows}
    if any((name, seed) not in found for name in panel for seed in seeds):
        return {}
    return {
        name: _attack_figures([found[name, seed] for seed in seeds], confidence) for name in panel
    }


def _attack_figures(rows: Sequence[TrialRow], confidence: float) -> AttackFigures:
    clean = {row.seed: (row.clean_correct, row.clean_total) for row in rows}
    success = {row.seed: (row.measurements[0].success, row.measurements[0].total) for row in rows}
    clean_rate, success_rate = (rate(list(c.values()), confidence) for c in (clean, success))
    validation = [row.validation_accuracy or 0.0 for row in rows]
    return AttackFigures(clean, success, validation, clean_rate, success_rate)
