"""What of an attack's success is compared with the threshold: all of it, or what it has above the
clean baseline.

For `attack_success: baseline + x` it is the success minus that of the clean baseline of the same
measure and seed at the same point: clean models give the attacker's answer to some triggered images
too, and how often depends on the defence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.records.region_file import AttackEntry, PointEntry
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.region.points import AttackFigures, Point
from sweeps.statistics.paired_bounds import difference_by_seed, mean_difference
from sweeps.statistics.seed_bounds import Counts, Rate


@dataclass(frozen=True)
class ComparedSuccess:
    """Of one attack at one point. by_seed: fractions, or differences of them in [-1, 1]; rate:
    their mean and its bounds."""

    by_seed: dict[int, float]
    rate: Rate


def compared_success(
    point: Point, measures: Mapping[str, str], thresholds: Thresholds
) -> dict[str, ComparedSuccess] | None:
    """By attack id, in the order of the panel; None while a seed of the clean baseline is missing
    that the threshold needs, and while the panel is not complete. measures: attack id → measure
    id."""
    if not point.complete:
        return None
    if not thresholds.above_baseline:
        return {name: _whole(point.figures[name]) for name in measures}
    clean = {name: baseline_counts(point.baseline, measure) for name, measure in measures.items()}
    if any(seed not in clean[name] for name, f in point.figures.items() for seed in f.success):
        return None
    bimodal = point.modes.success.fired
    return {
        name: _above(point.figures[name], clean[name], thresholds.confidence, bimodal)
        for name in measures
    }


def _whole(figures: AttackFigures) -> ComparedSuccess:
    by_seed = {seed: k / max(1, n) for seed, (k, n) in figures.success.items()}
    return ComparedSuccess(by_seed, figures.success_rate)


def baseline_counts(rows: list[TrialRow], measure_id: str) -> dict[int, Counts]:
    """The counts of clean models by seed."""
    return {
        row.seed: (measured.success, measured.total)
        for row in rows
        for measured in row.measurements
        if measured.measure_id == measure_id
    }


def _above(
    figures: AttackFigures, clean: Mapping[int, Counts], confidence: float, bimodal: bool
) -> ComparedSuccess:
    seeds = list(figures.success)
    ones, others = list(figures.success.values()), [clean[seed] for seed in seeds]
    by_seed = zip(seeds, difference_by_seed(ones, others), strict=True)
    return ComparedSuccess(
        {seed: 0.0 if value is None else value for seed, value in by_seed},
        mean_difference(ones, others, confidence, bimodal),
    )


def add_excess(entry: PointEntry, compared: Mapping[str, ComparedSuccess]) -> None:
    """Adds to an entry with its attacks what they have above the clean baseline."""
    worst = max(compared, key=lambda name: compared[name].rate.mean)
    rates = [own.rate for own in compared.values()]
    entry["excess"], entry["excess_attack"] = compared[worst].rate.mean, worst
    entry["excess_lower"] = max((r.lower for r in rates if r.lower is not None), default=None)
    entry["excess_upper"] = max((r.upper for r in rates if r.upper is not None), default=None)
    for attack in entry["attacks"]:
        _add_to_attack(attack, compared[attack["attack_id"]])


def _add_to_attack(attack: AttackEntry, own: ComparedSuccess) -> None:
    attack["excess"] = own.rate.mean
    attack["excess_by_seed"] = {str(seed): value for seed, value in own.by_seed.items()}
