"""What of attack success the figures draw: what the region compares with its threshold.

That is all of it, or, where the threshold is `baseline + x`, what is above the clean baseline of
the same seed: then the line of the threshold, at x, and the points are in the same unit.
"""

from __future__ import annotations

from sweeps.records.region_file import AttackEntry, PointEntry, RegionFile

Bounds = tuple[float | None, float | None]


def above_baseline(region: RegionFile) -> bool:
    """Whether success is compared with that of the clean baseline."""
    return "attack_rule" in region["thresholds"]


def success_label(region: RegionFile) -> str:
    """What an axis of it is called."""
    return "attack success" + (" above the clean baseline" if above_baseline(region) else "")


def point_success(point: PointEntry) -> float | None:
    """Of the worst attack, a fraction; None of a point without figures."""
    return point.get("excess", point["attack_success"])


def point_bounds(point: PointEntry) -> Bounds:
    """Its lower and its upper bound."""
    if "excess" in point:
        return point.get("excess_lower"), point.get("excess_upper")
    return point["success_lower"], point["success_upper"]


def attack_success(attack: AttackEntry) -> float:
    """The mean of one attack."""
    return attack.get("excess", attack["attack_success"])


def by_seed(attack: AttackEntry) -> list[float]:
    """The values of one attack, by seed."""
    return list(attack.get("excess_by_seed", attack["success_by_seed"]).values())
