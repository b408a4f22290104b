"""Counts of a point's trials, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.records.trial_row import TrialRow

#: Of every interval for one new seed.
CONFIDENCE = 0.95
#: Of each seed, successes and images.
Counts = list[tuple[int, int]]


def of_other_seeds(rows: Sequence[TrialRow], attack_id: str, seed: int) -> list[TrialRow]:
    """The rows of an attack but for one seed, in the order of their seeds."""
    found = [row for row in rows if row.attack_id == attack_id and row.seed != seed]
    return sorted(found, key=lambda row: row.seed)


def clean_counts(rows: Sequence[TrialRow]) -> Counts:
    """Clean test images that were classified correctly, and all."""
    return [(row.clean_correct, row.clean_total) for row in rows]


def success_counts(rows: Sequence[TrialRow], name: str) -> Counts:
    """Triggered test images with the attacker's answer, and all. name: of the measure."""
    return [
        (measured.success, measured.total)
        for row in rows
        for measured in row.measurements
        if measured.measure_id == name
    ]
